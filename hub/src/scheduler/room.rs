//! Room for workers. Each needs a connection, and a process has only so many: no more workers hold tasks than
//! there is room for, so that each of them gets in again after a restart, and those that hold nothing are
//! sent away for a while when others wait at the door.

use super::Scheduler;
use super::message::*;
use super::park::ParkedSteal;
use super::worker::Workers;

/// It has a connection, as those without an id have not, and holds nothing.
fn is_idle(workers: &Workers, id: WorkerId) -> bool {
    workers.get(id).is_some_and(|it| it.who.id.is_some() && it.leases.is_empty())
}

fn is_in_the_way(workers: &Workers, id: WorkerId, now: Millis) -> bool {
    let sent_away = workers.get(id).and_then(|it| it.sent_away);
    is_idle(workers, id) && sent_away.is_none_or(|at| now >= at + AWAY_MS)
}

impl Scheduler {
    /// How many workers with connections may hold tasks at the same time.
    pub fn set_room(&mut self, workers: usize) {
        self.holders_max = workers;
    }

    /// Whether others wait at the door.
    pub fn set_crowded(&mut self, is_crowded: bool) {
        self.is_crowded = is_crowded;
    }

    pub(super) fn may_hold(&self, id: WorkerId) -> bool {
        self.holders < self.holders_max || !is_idle(&self.workers, id)
    }

    /// Is it to come back later? Who asks again before is not told again at once: it may not know the word.
    pub(super) fn is_in_the_way(&self, id: WorkerId) -> bool {
        self.is_crowded && is_in_the_way(&self.workers, id, self.last_turn.unwrap_or(0))
    }

    /// The first parked steal that may be given something.
    pub(super) fn next_hungry(&mut self) -> Option<ParkedSteal> {
        let (workers, is_full) = (&self.workers, self.holders >= self.holders_max);
        self.parking.take_hungry(|id| !(is_full && is_idle(workers, id)))
    }

    pub(super) fn send_away(&mut self) {
        if !self.is_crowded {
            return;
        }
        let (workers, now) = (&self.workers, self.last_turn.unwrap_or(0));
        let is_one = |it: &ParkedSteal| it.steal.n > 0 && is_in_the_way(workers, it.worker, now);
        for parked in self.parking.take_if(is_one) {
            let stolen = self.stolen(parked.worker, Vec::new());
            self.answer(parked.ticket, Answer::Stolen(stolen));
        }
    }
}
