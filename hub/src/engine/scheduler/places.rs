//! Who may be given something, who waits on, and who is sent away.

use super::Scheduler;
use super::state::worker::Worker;
use super::waiting::park::ParkedSteal;
use super::waiting::waiters::Standing;
use crate::engine::message::*;

fn is_idle(worker: &Worker) -> bool {
    worker.who.id.is_some() && worker.leases.is_empty()
}

fn away_at(worker: &Worker) -> Millis {
    worker.sent_away.map_or(0, |at| at + AWAY_MS)
}

impl Scheduler {
    /// How many workers with connections may hold tasks at the same time.
    pub fn set_places(&mut self, workers: usize) {
        self.holders.set_places(workers);
    }

    /// Whether others wait at the door.
    pub fn set_crowded(&mut self, is_crowded: bool) {
        self.is_crowded = is_crowded;
    }

    /// Idle workers that get nothing although tasks are ready: there is no place for them.
    pub fn workers_kept(&self) -> usize {
        if self.ready.first().is_none() { 0 } else { self.parking.placeless() }
    }

    pub(super) fn may_hold(&self, id: WorkerId) -> bool {
        let idle = self.workers.get(id).filter(|it| is_idle(it));
        idle.is_none_or(|it| self.holders.has_place_for(&it.who.key))
    }

    /// Is it to come back later? Who asks again before is not told again at once: it may not know the word.
    pub(super) fn is_in_the_way(&self, id: WorkerId) -> bool {
        let now = self.last_turn.unwrap_or(0);
        let idle = self.workers.get(id).filter(|it| self.is_crowded && is_idle(it));
        idle.is_some_and(|it| now >= away_at(it))
    }

    /// The first parked steal that may be given something of what is ready. What is tried alone comes first if it is
    /// the first of all: who holds nothing has it before room is made.
    pub(super) fn next_hungry(&mut self, now: Millis) -> Option<ParkedSteal> {
        if self.last_try_is_first()
            && let Some(parked) = self.parking.take_idle(&self.holders)
        {
            return Some(parked);
        }
        self.review_room(now);
        if self.ready.first().is_some() {
            return self.parking.take_hungry(&self.holders);
        }
        self.ready.first_alone()?;
        self.parking.take_idle(&self.holders)
    }

    pub(super) fn send_away(&mut self) {
        let now = self.last_turn.unwrap_or(0);
        while self.is_crowded
            && let Some(parked) = self.parking.take_in_the_way(now)
        {
            let stolen = self.stolen(parked.worker, Vec::new());
            self.answer(parked.ticket, Answer::Stolen(stolen));
        }
    }

    pub(super) fn standing(&self, id: WorkerId) -> Standing {
        match self.workers.get(id) {
            Some(it) if is_idle(it) => {
                Standing::Placeless { key: it.who.key.clone(), away_at: away_at(it) }
            }
            // It has a place already.
            Some(it) if it.runs_nothing() => Standing::Free,
            Some(it) if it.is_alone() || self.makes_room(id) => Standing::Kept,
            Some(it) if it.who.id.is_some() => Standing::Busy,
            _ => Standing::Free,
        }
    }

    /// It holds something by now, or nothing any more; it was sent away, or has another key; it makes room, or not
    /// any more.
    pub(super) fn note_standing(&mut self, id: WorkerId) {
        if self.parking.is_hungry(id) {
            let standing = self.standing(id);
            self.parking.set_standing(id, standing);
        }
    }
}
