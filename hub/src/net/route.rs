//! Where a reply goes, and how its reader speaks.

use crate::dialect::native::envelope::Envelope;
use crate::engine::message::{Tag, User};
use crate::engine::quota::Claim;
use crate::net::socket::{Peer, Socket};

/// How the asker speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Native { id: u64 },
    Dwork,
}

pub struct Route {
    /// Index of the socket that the request came by.
    pub socket: usize,
    pub peer: Peer,
    /// Who asked, by its key.
    pub user: Option<User>,
    /// The same, unless all is the owner's: whose requests are counted.
    pub guest: Option<User>,
    pub dialect: Dialect,
    /// Which request it is, if it says so.
    pub tag: Option<Box<Tag>>,
    /// What it has taken of what its key may, until it is answered or dropped.
    pub claim: Option<Claim>,
}

impl Route {
    /// False if the peer is gone or does not read: the reply is dropped, nobody is kept waiting.
    pub fn send(&self, sockets: &[Socket], frame: &[u8]) -> Result<bool, zmq::Error> {
        let router = &sockets[self.socket].router;
        let send = || {
            router.send(&self.peer.identity, zmq::SNDMORE)?;
            if self.peer.is_req {
                router.send(&[], zmq::SNDMORE)?;
            }
            router.send(frame, 0)
        };
        match send() {
            Ok(()) => Ok(true),
            Err(zmq::Error::EHOSTUNREACH | zmq::Error::EAGAIN) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether its connection still is.
    pub fn is_there(&self, sockets: &mut [Socket]) -> bool {
        sockets[self.socket].router.has_peer(&self.peer.identity)
    }

    /// The same request, sent again over the same connection.
    pub fn is_repeat_of(&self, other: &Self) -> bool {
        let all = |it: &Self| (it.socket, it.dialect);
        all(self) == all(other) && self.peer == other.peer
    }

    /// A native reply, under the id of its request.
    pub fn send_body(&self, sockets: &[Socket], body: &mut Envelope) -> Result<bool, zmq::Error> {
        let id = match self.dialect {
            Dialect::Native { id } => id,
            Dialect::Dwork => 0,
        };
        self.send(sockets, body.under(id))
    }
}
