//! What libzmq tells about a connection: only here does 'denied' differ from 'down'.

use zmq::{Context, Socket, SocketEvent};

use crate::parts::{self, uninterrupted};

/// What happened to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The handshake is over: requests can be answered.
    Up,
    Down,
    /// The other side does not let this key in.
    Denied,
    /// One side is encrypted and the other is not, or it does not speak ZeroMQ.
    Mismatch,
    /// The other side closed the connection during the handshake.
    BrokenOff,
}

const EVENTS: [(SocketEvent, Event); 5] = [
    (SocketEvent::HANDSHAKE_SUCCEEDED, Event::Up),
    (SocketEvent::DISCONNECTED, Event::Down),
    (SocketEvent::HANDSHAKE_FAILED_AUTH, Event::Denied),
    (SocketEvent::HANDSHAKE_FAILED_PROTOCOL, Event::Mismatch),
    (SocketEvent::HANDSHAKE_FAILED_NO_DETAIL, Event::BrokenOff),
];

/// A socket with what libzmq tells about its connection.
pub struct Watched {
    socket: Socket,
    events: Socket,
    number: u64,
}

impl Watched {
    /// Of a socket that is not connected yet. `number` is another one for each of a context.
    pub fn new(context: &Context, socket: Socket, number: u64) -> Result<Self, zmq::Error> {
        let address = format!("inproc://watch-{number}");
        let wanted = EVENTS.iter().fold(0, |all, (event, _)| all | event.to_raw());
        uninterrupted(|| socket.monitor(&address, wanted.into()))?;
        let events = context.socket(zmq::PAIR)?;
        let watched = Self { socket, events, number };
        watched.events.set_linger(0)?;
        uninterrupted(|| watched.events.connect(&address))?;
        Ok(watched)
    }

    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// What has happened since this was asked, one after the other.
    pub fn next(&self) -> Option<Event> {
        while let Ok(parts) = parts::receive(&self.events) {
            let Some(&[low, high]) = parts.first().and_then(|part| part.get(..2)) else { continue };
            let raw = u16::from_ne_bytes([low, high]);
            if let Some((_, event)) = EVENTS.iter().find(|(event, _)| event.to_raw() == raw) {
                return Some(*event);
            }
        }
        None
    }

    /// The socket, and its events.
    pub fn poll_items(&self) -> [zmq::PollItem<'_>; 2] {
        [&self.socket, &self.events].map(|socket| socket.as_poll_item(zmq::POLLIN))
    }
}

/// libzmq's own thread waits until an event is taken: for ever, and with it all connections of the
/// context, if nobody is there to take it. So it has to stop before who listens goes. The socket is
/// closed a little later than this says; it cannot be asked to tell nothing more, but to tell nothing
/// at another place.
impl Drop for Watched {
    fn drop(&mut self) {
        // If nobody can listen there, nothing is told there either.
        let nowhere = format!("inproc://unwatched-{}", self.number);
        let _ = uninterrupted(|| self.socket.monitor(&nowhere, 0));
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// Sockets are closed at all moments of their handshakes; the next one is heard all the same.
    #[test]
    fn a_socket_that_is_closed_early_stops_no_other() {
        let server = Context::new();
        let router = server.socket(zmq::ROUTER).expect("a socket");
        router.bind("tcp://127.0.0.1:*").expect("a port");
        let endpoint = router.get_last_endpoint().expect("an endpoint").expect("UTF-8");
        let client = Context::new();
        let connect = |number: u64| {
            let socket = client.socket(zmq::DEALER).expect("a socket");
            socket.set_linger(0).expect("an option");
            let watched = Watched::new(&client, socket, number).expect("a watch");
            watched.socket().connect(&endpoint).expect("a connection");
            watched
        };
        for number in 0..300 {
            let watched = connect(number);
            let until = Instant::now() + Duration::from_micros(number * 3);
            while Instant::now() < until {
                std::hint::spin_loop();
            }
            drop(watched);
        }
        let watched = connect(300);
        watched.socket().send("hello", 0).expect("room");
        router.set_rcvtimeo(60_000).expect("an option");
        let heard = router.recv_multipart(0).expect("it is heard");
        assert_eq!(heard[1], b"hello");
    }
}
