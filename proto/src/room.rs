//! Is a hub there that has no room for another connection? It closes new ones before a byte is said, where a
//! hub with room greets.

use std::io::{ErrorKind, Read};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// A place may be free just when it is looked at.
const LOOKS: usize = 10;
const PAUSE: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_millis(500);

/// Only of a hub that is there, over TCP.
pub fn is_full(endpoint: &str) -> bool {
    let Some(address) = endpoint.strip_prefix("tcp://") else { return false };
    for _ in 0..LOOKS {
        match greets(address) {
            Some(false) => return true,
            Some(true) => std::thread::sleep(PAUSE),
            None => return false,
        }
    }
    false
}

/// None: nobody is there, or nobody says anything.
fn greets(address: &str) -> Option<bool> {
    let address = address.to_socket_addrs().ok()?.next()?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    match stream.read(&mut [0]) {
        Ok(bytes) => Some(bytes > 0),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Some(false),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    fn at(greeting: Option<&'static [u8]>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("tcp://{}", listener.local_addr().expect("an address"));
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for mut stream in listener.incoming().flatten() {
                match greeting {
                    Some(bytes) => drop(stream.write_all(bytes)),
                    None => silent.push(stream),
                }
            }
        });
        endpoint
    }

    #[test]
    fn only_who_closes_before_a_word_is_full() {
        assert!(is_full(&at(Some(b""))));
        assert!(!is_full(&at(Some(b"\xff"))));
        assert!(!is_full(&at(None)));
        assert!(!is_full("tcp://127.0.0.1:1"));
        assert!(!is_full("ipc:///nowhere"));
    }
}
