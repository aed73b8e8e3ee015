//! Who is at the hub's address when no hub answers? A hub that has no descriptors for more connections says so in
//! its greeting; a tunnel to nowhere takes a connection and closes it; something else has words of its own.

use std::io::{ErrorKind, Read};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::plain::plain;

/// For a connection, and for what is said.
const PATIENCE: Duration = Duration::from_millis(500);
/// For all of it: to look a name up may take longer than anybody wants to wait.
const LIMIT: Duration = Duration::from_millis(1500);
/// Between two looks, at least; at most twice that.
const PAUSE: Duration = Duration::from_secs(2);
/// The begin of a greeting of ZMTP; what is between the ends is padding.
const GREETING_BYTES: usize = 10;
/// Of that, as a hub sends it that is full.
const FULL: [u8; GREETING_BYTES] = *b"\xffdhubfull\x7f";
/// Of something else's words, to know it by.
const WORDS_BYTES: usize = 60;

/// What was found there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Found {
    /// Nobody, or nothing that says why there is no answer.
    #[default]
    Nothing,
    /// A hub, that has no room for another connection.
    Full,
    /// It closes each connection at once.
    Closes,
    /// What speaks first there, and is no hub.
    Says(String),
}

/// Looks at most once in some seconds; in between, what was found last counts.
#[derive(Debug, Default)]
pub struct Door {
    found: Found,
    again: Option<Instant>,
    /// A look that took too long, and what it will find.
    late: Option<Receiver<Option<Found>>>,
}

impl Door {
    /// Only over TCP. It takes a second and a half at most.
    pub fn look(&mut self, endpoint: &str) -> Found {
        self.look_with(endpoint, knock)
    }

    fn look_with(
        &mut self,
        endpoint: &str,
        knock: impl FnOnce(&str) -> Option<Found> + Send + 'static,
    ) -> Found {
        let now = Instant::now();
        if self.again.is_none_or(|again| now >= again) {
            let address = endpoint.strip_prefix("tcp://").map(str::to_owned);
            self.found =
                address.and_then(|address| self.wait_for(address, knock)).unwrap_or_default();
            // Not all that wait at the same moment.
            let random = crate::random_id().map_or(0.5, |id| f64::from(id[0]) / 256.0);
            self.again = Some(now + PAUSE.mul_f64(1.0 + random));
        }
        self.found.clone()
    }

    /// In a thread of its own, one at a time.
    fn wait_for(
        &mut self,
        address: String,
        knock: impl FnOnce(&str) -> Option<Found> + Send + 'static,
    ) -> Option<Found> {
        let looking = match self.late.take() {
            Some(late) => late,
            None => {
                let (told, looking) = channel();
                // Nobody may be there to be told any more.
                let look = move || drop(told.send(knock(&address)));
                std::thread::Builder::new().name("door".into()).spawn(look).ok()?;
                looking
            }
        };
        match looking.recv_timeout(LIMIT) {
            Ok(found) => found,
            Err(RecvTimeoutError::Timeout) => {
                self.late = Some(looking);
                None
            }
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }
}

/// None: nobody is there.
fn knock(address: &str) -> Option<Found> {
    let address = address.to_socket_addrs().ok()?.next()?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    let (mut said, mut is_closed) = (Vec::new(), false);
    let until = Instant::now() + PATIENCE;
    while said.len() < WORDS_BYTES && !is_greeting(&said) && !said.contains(&b'\n') {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            break;
        }
        let mut bytes = [0; GREETING_BYTES];
        match stream.read(&mut bytes) {
            Ok(0) => is_closed = true,
            Ok(count) => said.extend_from_slice(&bytes[..count]),
            Err(error) => is_closed = error.kind() == ErrorKind::ConnectionReset,
        }
        if is_closed {
            break;
        }
    }
    Some(match said.as_slice() {
        [] if is_closed => Found::Closes,
        _ if said.starts_with(&FULL) => Found::Full,
        [] | [0xff, ..] => Found::Nothing,
        words => Found::Says(plain(String::from_utf8_lossy(words).trim()).into_owned()),
    })
}

fn is_greeting(said: &[u8]) -> bool {
    said.len() >= GREETING_BYTES && said[0] == 0xff
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Somebody who says that to each who connects, and then closes the connection or not; how many came.
    fn at(words: &'static [u8], closes: bool) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("tcp://{}", listener.local_addr().expect("an address"));
        let came = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&came);
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for mut stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(words);
                open.extend((!closes).then_some(stream));
            }
        });
        (endpoint, came)
    }

    fn found(words: &'static [u8], closes: bool) -> Found {
        Door::default().look(&at(words, closes).0)
    }

    #[test]
    fn a_hub_that_is_full_is_told_from_a_tunnel_to_nowhere_and_from_others() {
        assert_eq!(found(b"\xffdhubfull\x7f", true), Found::Full);
        assert_eq!(found(b"\xffdhubfull\x7f\x03", false), Found::Full, "it greets on");
        assert_eq!(found(b"", true), Found::Closes);
        assert_eq!(found(b"\xff\0\0\0\0\0\0\0\x01\x7f", false), Found::Nothing, "a hub with room");
        assert_eq!(found(b"\xff\0", true), Found::Nothing);
        assert_eq!(found(b"", false), Found::Nothing);
        let said = Found::Says("SSH-2.0-OpenSSH_9.6".into());
        assert_eq!(found(b"SSH-2.0-OpenSSH_9.6\r\n", false), said);
        for nowhere in ["tcp://127.0.0.1:1", "ipc:///nowhere", "tcp://"] {
            assert_eq!(Door::default().look(nowhere), Found::Nothing);
        }
    }

    /// As when nobody answers who knows what a name is.
    #[test]
    fn a_look_that_takes_too_long_is_not_waited_for_and_not_begun_again() {
        let (go_on, wait) = channel::<()>();
        let mut door = Door::default();
        let slow = move |_: &str| wait.recv().ok().map(|()| Found::Full);
        assert_eq!(door.look_with("tcp://hub:1", slow), Found::Nothing);
        door.again = Some(Instant::now());
        go_on.send(()).expect("the one that looks");
        let other = |_: &str| -> Option<Found> { panic!("one at a time") };
        assert_eq!(door.look_with("tcp://hub:1", other), Found::Full, "of the first look");
    }

    #[test]
    fn who_asks_often_knocks_once() {
        let (endpoint, came) = at(&FULL, true);
        let mut door = Door::default();
        for _ in 0..3 {
            assert_eq!(door.look(&endpoint), Found::Full);
        }
        assert_eq!(came.load(Ordering::SeqCst), 1);
        door.again = Some(Instant::now());
        assert_eq!(door.look(&endpoint), Found::Full);
        assert_eq!(came.load(Ordering::SeqCst), 2);
    }
}
