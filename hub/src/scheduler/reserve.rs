//! Who makes room for a task that is tried alone.
//!
//! It needs a worker that holds nothing, and where workers are never without work there is none. So when it is the
//! first of all ready tasks, a worker that asks for more gets nothing until it is empty: it is reserved. That is
//! one at a time; the others go on.
//!
//! What the reserved one holds may wait for tasks that somebody has to be given, so another worker has to be there
//! that gets some. And what it holds may end late, or never: after a while the next one that asks is reserved in
//! its place, for twice as long.
//!
//! Nothing of this is stored.

use super::Scheduler;
use super::message::*;
use super::ready::Origin;
use super::worker::Worker;
use crate::planted::{Bug, planted};

/// The first worker has so long to become empty before another one may take its place.
const PATIENCE_MS: u64 = 300_000;

#[derive(Clone, Copy, Debug)]
pub struct Reserved {
    worker: WorkerId,
    patience_ms: u64,
    until: Millis,
}

impl Scheduler {
    /// The first of all is to be tried alone.
    pub(super) fn last_try_is_first(&self) -> bool {
        let first = self.ready.first_of_all();
        first.is_some_and(|slot| self.tasks.get(slot).origin == Origin::Alone)
    }

    pub(super) fn is_reserved(&self, id: WorkerId) -> bool {
        self.reserved.is_some_and(|it| it.worker == id)
    }

    /// It has an id, as only such a worker is tried alone with; and it gets nothing as long as it holds something.
    fn may_be_reserved(&self, id: WorkerId) -> bool {
        let is_one = |it: &Worker| {
            it.who.id.is_some() && !it.leases.is_empty() && !it.is_alone && it.order == Order::None
        };
        self.last_try_is_first()
            && self.holders.others_go_on()
            && self.workers.get(id).is_some_and(is_one)
    }

    /// This worker asks for more.
    pub(super) fn reserve(&mut self, now: Millis, id: WorkerId) {
        let patience_ms = match self.reserved {
            None => PATIENCE_MS,
            Some(it) if it.worker != id && now >= it.until => it.patience_ms.saturating_mul(2),
            Some(_) => return,
        };
        if self.may_be_reserved(id) {
            let until = now.saturating_add(patience_ms);
            let before = self.reserved.replace(Reserved { worker: id, patience_ms, until });
            before.into_iter().for_each(|it| self.note_standing(it.worker));
            self.note_standing(id);
        }
    }

    /// Nobody is reserved any longer than there is a reason to; and of those that wait somebody is, if there is one.
    pub(super) fn review_reserved(&mut self, now: Millis) {
        if let Some(it) = self.reserved
            && !self.may_be_reserved(it.worker)
            && !planted(Bug::ReservedForNothing)
        {
            self.reserved = None;
            self.note_standing(it.worker);
        }
        if let Some(id) = self.parking.first_busy() {
            self.reserve(now, id);
        }
    }
}
