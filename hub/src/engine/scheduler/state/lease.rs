//! Who holds what, and until when.
//!
//! Deadlines sit in a heap and are looked at when they come up: a renewal only moves the lease's
//! own time, so a heartbeat of a thousand leases costs a thousand assignments.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::slab::Slab;
use super::slot::Slot;
use crate::engine::message::{ClientId, Millis, WorkerId};

#[derive(Clone, Debug)]
pub struct Lease {
    pub task: Slot,
    pub worker: WorkerId,
    /// Position in the worker's list.
    pub at: u32,
    pub client: Option<ClientId>,
    pub number: u64,
    pub term_ms: u64,
    pub expires: Millis,
    /// When the attempt began; before time 0 if an earlier hub gave it out.
    pub began: i64,
    /// A heartbeat said that its process runs.
    pub started: bool,
    /// Its worker has a slot for it, so it may have been started, whatever was heard of it since.
    pub has_slot: bool,
    /// Its place in the order in which leases were given out; 0: an earlier hub gave it out, and which of those
    /// run heartbeats tell.
    pub order: u64,
    /// The attempt before this one was taken from a worker that was lost.
    pub is_suspect: bool,
    /// Its worker, which has an id, gets nothing else as long as it holds this.
    pub is_alone: bool,
}

#[derive(Default)]
pub struct Leases {
    leases: Slab<Option<Lease>>,
    deadlines: BinaryHeap<Reverse<(Millis, u32)>>,
    given: u64,
}

impl Leases {
    pub fn insert(&mut self, lease: Lease) -> u32 {
        let expires = lease.expires;
        let index = self.leases.insert(Some(lease));
        self.deadlines.push(Reverse((expires, index)));
        index
    }

    /// Of a lease that is given out now.
    pub fn next_order(&mut self) -> u64 {
        self.given += 1;
        self.given
    }

    pub fn remove(&mut self, index: u32) -> Option<Lease> {
        self.leases.get(index)?.as_ref()?;
        let lease = self.leases.remove(index);
        self.forget_old_deadlines();
        lease
    }

    /// Panics if there is none: indices come from the scheduler's own tables.
    pub fn get(&self, index: u32) -> &Lease {
        self.leases[index].as_ref().expect("a lease in use")
    }

    /// If there is one.
    pub fn find(&self, index: u32) -> Option<&Lease> {
        self.leases.get(index)?.as_ref()
    }

    pub fn get_mut(&mut self, index: u32) -> &mut Lease {
        self.leases[index].as_mut().expect("a lease in use")
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &Lease)> {
        self.leases.iter_from(0).filter_map(|(i, lease)| Some((i, lease.as_ref()?)))
    }

    /// A lease whose time is over at `now`. It stays until it is removed or renewed.
    pub fn expired(&mut self, now: Millis) -> Option<u32> {
        while let Some(&Reverse((deadline, index))) = self.deadlines.peek() {
            if deadline > now {
                return None;
            }
            self.deadlines.pop();
            let Some(Some(lease)) = self.leases.get(index) else {
                continue;
            };
            if lease.expires <= now {
                return Some(index);
            }
            self.deadlines.push(Reverse((lease.expires, index)));
        }
        None
    }

    /// When `expired` should be asked again: no later than the first expiry, perhaps sooner.
    pub fn deadline(&self) -> Option<Millis> {
        self.deadlines.peek().map(|&Reverse((deadline, _))| deadline)
    }

    /// The hub could not listen for a while: nobody is to blame for having been silent then.
    pub fn extend_all(&mut self, gap: u64) {
        for lease in self.leases.iter_mut().flatten() {
            lease.expires += gap;
        }
    }

    /// Removed leases leave their deadline behind; with terms of an hour and a thousand tasks a
    /// second these would add up.
    fn forget_old_deadlines(&mut self) {
        if self.deadlines.len() < 1024 || self.deadlines.len() < 4 * self.leases.len() {
            return;
        }
        self.deadlines =
            self.iter().map(|(index, lease)| Reverse((lease.expires, index))).collect();
    }
}
