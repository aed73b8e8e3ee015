//! Secret keys in memory: wiped when they are not needed any more, not written to swap where the
//! system allows that, and in no core dump.
//!
//! libzmq and libsodium have copies of their own, which nobody wipes but the end of the process.

use std::fmt;

use rustix::process::{DumpableBehavior, Resource, Rlimit};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Length of a key, and in Z85, ZeroMQ's way to write it.
const KEY_BYTES: usize = 32;
const KEY_CHARS: usize = 40;
const Z85: &[u8] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
/// For who develops these programs: core dumps as the system makes them.
const DUMPS: &str = "DHUB_CORE";

/// Half of a key pair, in Z85. Only `expose` shows it.
#[derive(PartialEq, Serialize, Deserialize)]
#[serde(from = "String")]
pub struct SecretKey(Zeroizing<String>);

impl SecretKey {
    pub fn new(z85: String) -> Self {
        lock(z85.as_bytes());
        Self(Zeroizing::new(z85))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }

    /// As libzmq keeps it: given the text, it would leave a copy of that behind.
    pub fn raw(&self) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
        decode(&self.0)
    }
}

/// A key from its Z85, nothing of which stays anywhere else; zmq's own function keeps a copy.
pub fn decode(z85: &str) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    if z85.len() != KEY_CHARS {
        return None;
    }
    for (four, five) in key.chunks_exact_mut(4).zip(z85.as_bytes().chunks_exact(5)) {
        let mut number: u64 = 0;
        for byte in five {
            number = number * 85 + Z85.iter().position(|it| it == byte)? as u64;
        }
        four.copy_from_slice(&u32::try_from(number).ok()?.to_be_bytes());
    }
    Some(key)
}

impl From<String> for SecretKey {
    fn from(z85: String) -> Self {
        Self::new(z85)
    }
}

impl Clone for SecretKey {
    fn clone(&self) -> Self {
        Self::new(self.expose().to_owned())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Keeps the pages of these bytes out of swap, if the limit of locked memory allows it. They stay so:
/// there may be another key on the same page.
#[allow(unsafe_code, reason = "rustix leaves the range to its caller")]
fn lock(bytes: &[u8]) {
    // SAFETY: the range is that of a slice that lives; locking a page changes nothing in it.
    let _ = unsafe { rustix::mm::mlock(bytes.as_ptr().cast_mut().cast(), bytes.len()) };
}

/// From here on this process leaves no core dump, and only root reads its memory. What it starts may
/// leave some, by the limit that this returns; None: nothing was changed.
pub fn forbid_dumps() -> Option<Rlimit> {
    if std::env::var_os(DUMPS).is_some_and(|it| !it.is_empty() && it != "0") {
        return None;
    }
    let limit = rustix::process::getrlimit(Resource::Core);
    // The hard one stays, so that what is started can have its own back. Neither can fail here.
    let _ = rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), ..limit });
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    Some(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_zmq_reads_them() {
        for _ in 0..100 {
            let pair = zmq::CurveKeyPair::new().unwrap();
            let text = zmq::z85_encode(&pair.secret_key).unwrap();
            assert_eq!(*SecretKey::new(text).raw().unwrap(), pair.secret_key);
        }
        // Too short, too long, no such character, more than four bytes.
        for wrong in ["", &"0".repeat(39), &"0".repeat(41), &"~".repeat(40), &"#".repeat(40)] {
            assert!(decode(wrong).is_none(), "{wrong}");
        }
        assert!(decode(&"é".repeat(20)).is_none());
    }

    #[test]
    fn a_secret_is_shown_by_nothing_but_expose() {
        let key: SecretKey = serde_json::from_str("\"abc\"").unwrap();
        assert_eq!(key.clone().expose(), "abc");
        assert_eq!(format!("{key:?}"), "(secret)");
        assert_eq!(serde_json::to_string(&key).unwrap(), "\"abc\"");
    }
}
