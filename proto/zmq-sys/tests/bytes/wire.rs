//! ZMTP 3.0 by hand: what libzmq itself would not send.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const GREETING: usize = 64;

/// What ZMTP 3.0 begins with.
pub fn greeting(mechanism: &str) -> Vec<u8> {
    let mut bytes = vec![0; GREETING];
    bytes[0] = 0xff;
    bytes[9] = 0x7f;
    bytes[10] = 3;
    bytes[12..12 + mechanism.len()].copy_from_slice(mechanism.as_bytes());
    bytes
}

pub fn raw(endpoint: &str) -> TcpStream {
    let stream = TcpStream::connect(endpoint.trim_start_matches("tcp://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream
}

/// Of ZMTP 3.0, until both sides know each other.
pub fn shake_hands(endpoint: &str, name: &[u8]) -> TcpStream {
    shake_hands_as("DEALER", endpoint, name)
}

pub fn shake_hands_as(kind: &str, endpoint: &str, name: &[u8]) -> TcpStream {
    let mut stream = raw(endpoint);
    stream.write_all(&greeting("NULL")).unwrap();
    let mut body = b"\x05READY\x0bSocket-Type".to_vec();
    body.extend((kind.len() as u32).to_be_bytes());
    body.extend(kind.as_bytes());
    body.extend(b"\x08Identity");
    body.extend((name.len() as u32).to_be_bytes());
    body.extend(name);
    stream.write_all(&large(4, body.len() as u64)).unwrap();
    stream.write_all(&body).unwrap();
    let mut answer = [0; GREETING + 2];
    stream.read_exact(&mut answer).unwrap();
    let mut ready = vec![0; answer[GREETING + 1].into()];
    stream.read_exact(&mut ready).unwrap();
    stream
}

/// A frame that begins: how large it will be.
pub fn large(flags: u8, size: u64) -> Vec<u8> {
    let mut bytes = vec![flags | 2];
    bytes.extend(size.to_be_bytes());
    bytes
}

/// The other side has closed the connection; what it said before is of no interest.
pub fn is_closed(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}
