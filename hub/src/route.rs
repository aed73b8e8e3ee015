//! Where a reply goes, and how its reader speaks.

use dhub_proto::Message;
use dhub_proto::wire::{self, reply};

use crate::socket::Socket;

/// How the asker speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Native { id: u64 },
    Dwork,
}

#[derive(Clone, Debug)]
pub struct Route {
    /// Index of the socket that the request came by.
    pub socket: usize,
    /// Identity of the peer, and the empty part of a REQ if there was one.
    pub envelope: Vec<Vec<u8>>,
    pub dialect: Dialect,
}

impl Route {
    /// False if the peer is gone or does not read: the reply is dropped, nobody is kept waiting.
    pub fn send(&self, sockets: &[Socket], frame: &[u8]) -> Result<bool, zmq::Error> {
        let router = &sockets[self.socket].router;
        let last = (frame, zmq::DONTWAIT);
        let parts = self.envelope.iter().map(|part| (&part[..], zmq::DONTWAIT | zmq::SNDMORE));
        for (part, flags) in parts.chain([last]) {
            match router.send(part, flags) {
                Ok(()) => {}
                Err(zmq::Error::EHOSTUNREACH | zmq::Error::EAGAIN | zmq::Error::EINTR) => {
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// A native reply, under the id of its request.
    pub fn send_body(&self, sockets: &[Socket], body: reply::Body) -> Result<bool, zmq::Error> {
        let id = match self.dialect {
            Dialect::Native { id } => id,
            Dialect::Dwork => 0,
        };
        self.send(sockets, &wire::Reply { id, body: Some(body) }.encode_to_vec())
    }
}
