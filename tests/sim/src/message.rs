//! What travels between the hub and everybody else: requests and answers, not yet bytes.

use std::rc::Rc;

use dhub::engine::message::*;

/// A process that talks to the hub.
pub type PeerId = usize;

/// A request on its way to the hub.
#[derive(Clone, Debug)]
pub struct Frame {
    pub from: PeerId,
    /// Which socket of the peer: it opens a new one after each time-out.
    pub conn: u32,
    /// 0: a report, which has no reply.
    pub id: u64,
    pub ask: Rc<Ask>,
}

impl Frame {
    /// Of a request that is sent again with what the client calls it, over whatever connection.
    pub fn tag(&self) -> Option<Tag> {
        let is_one = self.id > 0 && matches!(*self.ask, Ask::Sweep { .. } | Ask::Retry { .. });
        let mut token = Token::default();
        token[..4].copy_from_slice(&(self.from as u32).to_le_bytes());
        // Its life: sockets of another one are others.
        token[4..8].copy_from_slice(&(self.conn >> 16).to_le_bytes());
        token[8..].copy_from_slice(&self.id.to_le_bytes());
        is_one.then(|| Tag { key: Name::default(), token, sum: 0 })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Its ticket is put in when it arrives.
    Request(Request),
    /// Of states, or of patterns.
    Sweep {
        selection: Selection,
        deed: Deed,
    },
    Retry {
        selection: Selection,
        done: bool,
    },
    /// Workers by name or pattern.
    Steer {
        workers: Vec<Name>,
        order: Order,
    },
}

impl Ask {
    /// The steal that this is, and whose.
    pub fn steal(&self) -> Option<(&Who, &Steal)> {
        match self {
            Ask::Request(Request { who, body: Body::Steal(steal), .. }) => Some((who, steal)),
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Reply {
    pub to: PeerId,
    pub conn: u32,
    pub id: u64,
    pub body: ReplyBody,
}

#[derive(Clone, Debug)]
pub enum ReplyBody {
    Answer(Rc<Answer>),
    /// A long request is through.
    JobDone,
}
