//! What the hub calls a key: its name with a mark of its public key, so that one made anew under the same name is
//! another.

use std::fmt::Write;

use crate::engine::keyname::MARK;

/// Of the public key, in the mark.
const MARK_BYTES: usize = 4;

/// `public_key` is as it is in keys.json.
pub fn marked(name: &str, public_key: &str) -> String {
    let bytes = zmq::z85_decode(public_key).unwrap_or_default();
    let mut key = format!("{name}{MARK}");
    for byte in bytes.iter().take(MARK_BYTES) {
        // To a text, which takes everything.
        let _ = write!(key, "{byte:02x}");
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_made_anew_under_its_name_has_another_mark() {
        let key = |byte: u8| zmq::z85_encode(&[byte; 32]).expect("a key");
        let (one, other) = (marked("lab", &key(1)), marked("lab", &key(0xab)));
        assert_eq!((one.as_str(), other.as_str()), ("lab#01010101", "lab#abababab"));
    }
}
