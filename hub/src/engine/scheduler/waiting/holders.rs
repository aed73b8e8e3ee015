//! Places for workers. Each that holds tasks needs connections, and a process has only so many: no more workers
//! hold tasks than there are places, so that each of them gets in again after a restart, and those that hold
//! nothing are sent away for a while when others wait at the door.
//!
//! A worker is an id, and a key may make up as many as it likes over one connection. So no key gets all
//! places, and all together leave some to the owner.

use hashbrown::HashMap;

use super::park::ParkedSteal;
use super::waiters::Standing;
use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;
use crate::engine::scheduler::state::worker::Worker;
use crate::planted::{Bug, planted};

/// Workers with connections, as those without an id have none, that hold tasks.
#[derive(Debug)]
pub struct Holders {
    places: usize,
    all: usize,
    /// Of keys that are not the owner's, together and each.
    guests: usize,
    keys: HashMap<Name, usize>,
}

impl Holders {
    pub fn with(places: usize) -> Self {
        Self { places, all: 0, guests: 0, keys: HashMap::new() }
    }

    pub fn has_place(&self) -> bool {
        self.all < self.places
    }

    /// Keys other than the owner's have three quarters.
    pub fn has_place_for_guests(&self) -> bool {
        self.has_place() && self.guests < (self.places - self.places.div_ceil(4)).max(1)
    }

    /// One of them has half.
    pub fn has_place_for(&self, key: &Name) -> bool {
        match key.is_empty() {
            true => self.has_place(),
            false => {
                let has = self.keys.get(key).copied().unwrap_or(0);
                self.has_place_for_guests() && has < (self.places / 2).max(1)
            }
        }
    }

    pub(crate) fn add(&mut self, key: &Name) {
        self.all += 1;
        if !key.is_empty() {
            self.guests += 1;
            *self.keys.entry(key.clone()).or_default() += 1;
        }
    }

    pub(crate) fn remove(&mut self, key: &Name) {
        self.all -= 1;
        if let Some(has) = self.keys.get_mut(key) {
            self.guests -= 1;
            *has -= 1;
            if *has == 0 {
                self.keys.remove(key);
            }
        }
    }
}

fn is_idle(worker: &Worker) -> bool {
    worker.who.id.is_some() && worker.leases.is_empty()
}

fn away_at(worker: &Worker) -> Millis {
    worker.sent_away.map_or(0, |at| at + AWAY_MS)
}

impl Scheduler {
    /// How many workers with connections may hold tasks at the same time.
    pub fn set_places(&mut self, workers: usize) {
        self.holders.places = workers;
    }

    /// Whether others wait at the door.
    pub fn set_crowded(&mut self, is_crowded: bool) {
        self.is_crowded = is_crowded;
    }

    /// Idle workers that get nothing although tasks are ready: there is no place for them.
    pub fn workers_kept(&self) -> usize {
        if self.ready.first().is_none() { 0 } else { self.parking.placeless() }
    }

    pub(crate) fn may_hold(&self, id: WorkerId) -> bool {
        let idle = self.workers.get(id).filter(|it| is_idle(it));
        idle.is_none_or(|it| self.holders.has_place_for(&it.who.key)) || planted(Bug::PlacesIgnored)
    }

    /// Is it to come back later? Who asks again before is not told again at once: it may not know the word.
    pub(crate) fn is_in_the_way(&self, id: WorkerId) -> bool {
        let now = self.last_turn.unwrap_or(0);
        let idle = self.workers.get(id).filter(|it| self.is_crowded && is_idle(it));
        idle.is_some_and(|it| now >= away_at(it))
    }

    /// The first parked steal that may be given something of what is ready. What is tried alone comes first if it is
    /// the first of all: who holds nothing has it before room is made.
    pub(crate) fn next_hungry(&mut self, now: Millis) -> Option<ParkedSteal> {
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

    pub(crate) fn send_away(&mut self) {
        let now = self.last_turn.unwrap_or(0);
        while self.is_crowded
            && let Some(parked) = self.parking.take_in_the_way(now)
        {
            let stolen = self.stolen(parked.worker, Vec::new());
            self.answer(parked.ticket, Answer::Stolen(stolen));
        }
    }

    pub(crate) fn standing(&self, id: WorkerId) -> Standing {
        match self.workers.get(id) {
            Some(it) if is_idle(it) => {
                Standing::Placeless { key: it.who.key.clone(), away_at: away_at(it) }
            }
            Some(it) if it.is_alone || self.makes_room(id) => Standing::Kept,
            Some(it) if it.who.id.is_some() => Standing::Busy,
            _ => Standing::Free,
        }
    }

    /// It holds something by now, or nothing any more; it was sent away, or has another key; it makes room, or not
    /// any more.
    pub(crate) fn note_standing(&mut self, id: WorkerId) {
        if self.parking.is_hungry(id) {
            let standing = self.standing(id);
            self.parking.set_standing(id, standing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(places: usize, keys: &[&str]) -> Vec<usize> {
        let mut holders = Holders::with(places);
        let fill = |key: &&str| {
            let key = Name::new(key);
            let mut has = 0;
            while has < 100 && holders.has_place_for(&key) {
                holders.add(&key);
                has += 1;
            }
            has
        };
        keys.iter().map(fill).collect()
    }

    #[test]
    fn a_key_has_half_all_guests_three_quarters_and_the_owner_the_rest() {
        assert_eq!(filled(16, &["ada", "bob", "eve", ""]), [8, 4, 0, 4]);
        assert_eq!(filled(16, &["", "ada"]), [16, 0]);
        assert_eq!(filled(2, &["ada", "bob", ""]), [1, 0, 1]);
        assert_eq!(filled(usize::MAX, &["ada", ""]), [100, 100]);
    }

    #[test]
    fn what_is_given_back_others_may_have() {
        let mut holders = Holders::with(4);
        let (ada, bob) = (Name::new("ada"), Name::new("bob"));
        [&ada, &ada, &bob].into_iter().for_each(|key| holders.add(key));
        assert!(!holders.has_place_for(&bob) && holders.has_place());
        holders.remove(&ada);
        assert!(holders.has_place_for(&bob) && holders.has_place_for(&ada));
        [&ada, &bob].into_iter().for_each(|key| holders.remove(key));
        assert!(holders.keys.is_empty() && holders.guests == 0 && holders.all == 0);
    }
}
