//! Which request it is: what its client calls it, and a checksum of what it asks.

use dhub_proto::verb::Verb;
use dhub_proto::wire::{self, request::Body};

use crate::dialect::check::{Checked, invalid};
use crate::dialect::fields::{Fields, Value};
use crate::engine::message::{Tag, Token};

/// Number of the field that has the token.
const TOKEN: u32 = 9;

/// None: it does not say, or nothing is kept of such requests.
pub fn tag(key: &str, request: &wire::Request, frame: &[u8]) -> Checked<Option<Tag>> {
    let is_told = match &request.body {
        // Leases are given again by their number.
        Some(Body::Complete(complete)) if complete.want > 0 => false,
        Some(body) => Verb::of(body).takes_token(),
        None => false,
    };
    if request.token.is_empty() || !is_told {
        return Ok(None);
    }
    let token = Token::try_from(request.token.as_slice()).map_err(|_| {
        let bytes = request.token.len();
        invalid(format!("a token has {} bytes, this one has {bytes}", size_of::<Token>()))
    })?;
    Ok(Some(Tag { key: key.into(), token, sum: sum(frame) }))
}

/// Of all but the id, which may be another one for each copy, and the token.
fn sum(frame: &[u8]) -> u64 {
    let (mut fields, mut sum, mut length) = (Fields::of(frame), crc32fast::Hasher::new(), 0);
    while let Ok(Some((number, value))) = fields.next() {
        if let Value::Bytes(bytes) = value
            && number != TOKEN
        {
            sum.update(&number.to_le_bytes());
            sum.update(bytes);
            length += bytes.len() as u64;
        }
    }
    length << 32 | u64::from(sum.finalize())
}

#[cfg(test)]
mod tests {
    use dhub_proto::Message;
    use dhub_proto::wire::{Complete, Create, Request, Status, Task};

    use super::*;

    fn tagged(id: u64, token: &[u8], body: Body) -> Checked<Option<Tag>> {
        let request = Request { id, token: token.into(), body: Some(body) };
        tag("ada", &request, &request.encode_to_vec())
    }

    fn create(name: &str) -> Body {
        Body::Create(Create { tasks: vec![Task { name: name.into(), ..Task::default() }] })
    }

    #[test]
    fn copies_have_the_same_and_other_requests_do_not() {
        let first = tagged(1, &[7; 16], create("a")).expect("a token").expect("a tag");
        assert_eq!(tagged(2, &[7; 16], create("a")), Ok(Some(first.clone())));
        let other = tagged(1, &[7; 16], create("b")).expect("a token").expect("a tag");
        assert_eq!((&other.token, &other.key), (&first.token, &first.key));
        assert_ne!(other.sum, first.sum);
    }

    #[test]
    fn only_what_tells_what_it_did_has_one() {
        assert_eq!(tagged(1, &[], create("a")), Ok(None));
        assert_eq!(tagged(1, &[7; 16], Body::Status(Status {})), Ok(None));
        let complete = |want| Body::Complete(Complete { want, ..Complete::default() });
        assert_eq!(tagged(1, &[7; 16], complete(1)), Ok(None));
        assert!(tagged(1, &[7; 16], complete(0)).is_ok_and(|tag| tag.is_some()));
    }

    #[test]
    fn a_token_has_16_bytes() {
        assert!(tagged(1, &[7; 15], create("a")).is_err());
        assert!(tagged(1, &[7; 17], create("a")).is_err());
    }
}
