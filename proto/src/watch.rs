//! What libzmq tells about a connection: only here does 'denied' differ from 'down'.

use zmq::{Context, Socket, SocketEvent};

use crate::parts;

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

pub struct Watch {
    socket: Socket,
}

impl Watch {
    /// To be made before the socket connects. `number` is another one for each of a context.
    pub fn new(context: &Context, watched: &Socket, number: u64) -> Result<Self, zmq::Error> {
        let address = format!("inproc://watch-{number}");
        let events = EVENTS.iter().fold(0, |all, (event, _)| all | event.to_raw());
        watched.monitor(&address, events.into())?;
        let socket = context.socket(zmq::PAIR)?;
        socket.set_linger(0)?;
        socket.connect(&address)?;
        Ok(Self { socket })
    }

    /// What has happened since this was asked, one after the other.
    pub fn next(&self) -> Option<Event> {
        while let Ok(parts) = parts::receive(&self.socket) {
            let Some(&[low, high]) = parts.first().and_then(|part| part.get(..2)) else { continue };
            let raw = u16::from_ne_bytes([low, high]);
            if let Some((_, event)) = EVENTS.iter().find(|(event, _)| event.to_raw() == raw) {
                return Some(*event);
            }
        }
        None
    }

    pub fn poll_item(&self) -> zmq::PollItem<'_> {
        self.socket.as_poll_item(zmq::POLLIN)
    }
}
