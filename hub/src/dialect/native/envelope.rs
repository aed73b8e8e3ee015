//! A reply as it is sent to one or to many: what it says is encoded once, only the id of the request
//! differs.

use dhub_proto::Message;
use dhub_proto::wire::{self, reply};

/// A tag of one byte, and the longest number.
const ID_BYTES_MAX: usize = 11;

/// Begins with room for an id.
pub struct Envelope(Vec<u8>);

impl Envelope {
    pub fn new(body: reply::Body) -> Self {
        let reply = wire::Reply { id: 0, body: Some(body) };
        let mut bytes = Vec::with_capacity(ID_BYTES_MAX + reply.encoded_len());
        bytes.resize(ID_BYTES_MAX, 0);
        // It writes no id that is 0, and a vector has always room.
        let _ = reply.encode(&mut bytes);
        Self(bytes)
    }

    /// Of a reply without an id, as bytes.
    pub fn of(reply: &[u8]) -> Self {
        let mut bytes = vec![0; ID_BYTES_MAX];
        bytes.extend_from_slice(reply);
        Self(bytes)
    }

    /// The reply without its id.
    pub fn reply(&self) -> &[u8] {
        &self.0[ID_BYTES_MAX..]
    }

    /// The reply to the request with this id.
    pub fn under(&mut self, id: u64) -> &[u8] {
        let head = wire::Reply { id, body: None }.encode_to_vec();
        let begin = ID_BYTES_MAX - head.len();
        self.0[begin..ID_BYTES_MAX].copy_from_slice(&head);
        &self.0[begin..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_reply_whatever_the_id() {
        let error = wire::Error { message: "no".into(), ..wire::Error::default() };
        let body = reply::Body::Error(error);
        let mut envelope = Envelope::new(body.clone());
        for id in [u64::MAX, 0, 1, 127, 128, 1 << 35, u64::MAX, 5] {
            let reply = wire::Reply { id, body: Some(body.clone()) };
            assert_eq!(envelope.under(id), reply.encode_to_vec(), "{id}");
        }
    }
}
