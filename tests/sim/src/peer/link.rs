//! A peer's socket, used as ZeroMQ's guide calls the lazy pirate: after a time-out it is closed,
//! and the same request is sent again on a new one.

use std::rc::Rc;

use dhub::engine::message::{Millis, Name, NewTask, Outcome};

use crate::message::Ask;

/// What a peer did, for the world to carry on with.
pub enum Act {
    Send {
        conn: u32,
        id: u64,
        ask: Rc<Ask>,
    },
    Close {
        conn: u32,
    },
    /// A process starts.
    Started {
        name: Name,
        attempt: u32,
    },
    /// The hub acknowledged these.
    Completed(Outcome),
    Created {
        task: NewTask,
        merge: bool,
    },
}

#[derive(Clone, Debug)]
pub struct Pending {
    id: u64,
    pub ask: Rc<Ask>,
    due: Millis,
    /// How long the hub may keep it, besides.
    parked_ms: u64,
}

pub struct Link {
    conn: u32,
    last_id: u64,
    pending: Vec<Pending>,
    patience_ms: u64,
}

impl Link {
    /// Sockets of another life of the same peer are others.
    pub fn new(life: u32, patience_ms: u64) -> Self {
        Self { conn: life << 16, last_id: 0, pending: Vec::new(), patience_ms }
    }

    pub fn ask(&mut self, now: Millis, ask: Ask, parked_ms: u64, acts: &mut Vec<Act>) -> u64 {
        self.last_id += 1;
        let (id, ask) = (self.last_id, Rc::new(ask));
        let due = now + self.patience_ms + parked_ms;
        self.pending.push(Pending { id, ask: ask.clone(), due, parked_ms });
        acts.push(Act::Send { conn: self.conn, id, ask });
        id
    }

    /// A report: nobody answers.
    pub fn report(&self, ask: Ask, acts: &mut Vec<Act>) {
        acts.push(Act::Send { conn: self.conn, id: 0, ask: Rc::new(ask) });
    }

    pub fn retry(&mut self, now: Millis, acts: &mut Vec<Act>) {
        if !self.pending.iter().any(|pending| pending.due <= now) {
            return;
        }
        acts.push(Act::Close { conn: self.conn });
        self.conn += 1;
        for pending in &mut self.pending {
            pending.due = now + self.patience_ms + pending.parked_ms;
            let (id, ask) = (pending.id, pending.ask.clone());
            acts.push(Act::Send { conn: self.conn, id, ask });
        }
    }

    /// The request that this answers; None if it was answered, or the socket is closed.
    pub fn answered(&mut self, conn: u32, id: u64) -> Option<Pending> {
        let at = self.pending.iter().position(|pending| pending.id == id && conn == self.conn)?;
        Some(self.pending.remove(at))
    }

    /// It was replaced: no answer will come.
    pub fn forget(&mut self, id: u64) {
        self.pending.retain(|pending| pending.id != id);
    }

    pub fn is_quiet(&self) -> bool {
        self.pending.is_empty()
    }

    pub fn due(&self) -> Option<Millis> {
        self.pending.iter().map(|pending| pending.due).min()
    }
}
