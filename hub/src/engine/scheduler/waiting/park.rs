//! Requests that wait in the hub: steals that found nothing, and waits for the end.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use hashbrown::HashMap;

use super::holders::Holders;
use super::waiters::{Standing, Waiters};
use crate::engine::message::{Caller, Millis, Steal, Ticket, WorkerId};

#[derive(Clone, Debug)]
pub struct ParkedSteal {
    pub ticket: Ticket,
    pub worker: WorkerId,
    /// Whose steal it is, if it says so.
    pub caller: Option<Caller>,
    pub steal: Steal,
    pub until: Millis,
}

/// Parked steals in the order of their arrival, and parked waits.
#[derive(Default)]
pub struct Parking {
    steals: BTreeMap<u64, ParkedSteal>,
    /// Those that want tasks; the others only listen.
    hungry: Waiters,
    /// Of the hungry: those that do not outlive the graph.
    leaving: BTreeSet<u64>,
    by_caller: HashMap<Caller, u64>,
    by_worker: HashMap<WorkerId, BTreeSet<u64>>,
    deadlines: BTreeSet<(Millis, u64)>,
    waits: BTreeMap<(Millis, u64), Ticket>,
    sequence: u64,
}

impl Parking {
    pub fn len(&self) -> usize {
        self.steals.len() + self.waits.len()
    }

    /// `standing` is its worker's.
    pub fn park(&mut self, parked: ParkedSteal, standing: Standing) {
        self.sequence += 1;
        let key = self.sequence;
        self.deadlines.insert((parked.until, key));
        self.by_worker.entry(parked.worker).or_default().insert(key);
        if let Some(caller) = &parked.caller {
            self.by_caller.insert(caller.clone(), key);
        }
        if parked.steal.n > 0 {
            self.hungry.add(key, parked.worker, standing);
            if !parked.steal.stay {
                self.leaving.insert(key);
            }
        }
        self.steals.insert(key, parked);
    }

    /// The steal of this client that is parked, if any: a newer one takes its place.
    pub fn take_caller(&mut self, caller: &Caller) -> Option<ParkedSteal> {
        self.by_caller.get(caller).copied().and_then(|key| self.take(key))
    }

    /// The number of this client's parked steal.
    pub fn number(&self, caller: &Caller) -> Option<u64> {
        self.by_caller
            .get(caller)
            .and_then(|key| self.steals.get(key))
            .map(|parked| parked.steal.number)
    }

    pub fn is_hungry(&self, worker: WorkerId) -> bool {
        self.hungry.has(worker)
    }

    pub fn set_standing(&mut self, worker: WorkerId, standing: Standing) {
        self.hungry.set_standing(worker, standing);
    }

    /// How many workers want tasks and have no place.
    pub fn placeless(&self) -> usize {
        self.hungry.placeless()
    }

    /// The first steal that wants tasks, of the workers that may have some.
    pub fn take_hungry(&mut self, holders: &Holders) -> Option<ParkedSteal> {
        self.hungry.next(holders).and_then(|key| self.take(key))
    }

    /// The same, of those that may be given a task that is tried alone.
    pub fn take_idle(&mut self, holders: &Holders) -> Option<ParkedSteal> {
        self.hungry.next_idle(holders).and_then(|key| self.take(key))
    }

    /// The first worker whose steal wants tasks and that holds some already.
    pub fn first_busy(&self) -> Option<WorkerId> {
        self.hungry.first_busy()
    }

    /// A steal of a worker that is to leave its connection to others.
    pub fn take_in_the_way(&mut self, now: Millis) -> Option<ParkedSteal> {
        self.hungry.in_the_way(now).and_then(|key| self.take(key))
    }

    /// A steal through which this worker can be told something.
    pub fn take_worker(&mut self, worker: WorkerId) -> Option<ParkedSteal> {
        let key = self.by_worker.get(&worker)?.first().copied()?;
        self.take(key)
    }

    pub fn has_worker(&self, worker: WorkerId) -> bool {
        self.by_worker.contains_key(&worker)
    }

    /// A steal that need not wait any longer when nothing is going to be ready.
    pub fn take_leaving(&mut self) -> Option<ParkedSteal> {
        self.leaving.first().copied().and_then(|key| self.take(key))
    }

    /// A steal whose time is over.
    pub fn take_due(&mut self, now: Millis) -> Option<ParkedSteal> {
        let &(until, key) = self.deadlines.first()?;
        (until <= now).then(|| self.take(key)).flatten()
    }

    fn take(&mut self, key: u64) -> Option<ParkedSteal> {
        let parked = self.steals.remove(&key)?;
        self.hungry.remove(key, parked.worker);
        self.leaving.remove(&key);
        self.deadlines.remove(&(parked.until, key));
        if let Some(caller) = &parked.caller {
            self.by_caller.remove(caller);
        }
        if let Some(keys) = self.by_worker.get_mut(&parked.worker) {
            keys.remove(&key);
            if keys.is_empty() {
                self.by_worker.remove(&parked.worker);
            }
        }
        Some(parked)
    }

    pub fn wait(&mut self, ticket: Ticket, until: Millis) {
        self.sequence += 1;
        self.waits.insert((until, self.sequence), ticket);
    }

    /// A wait that has its answer: all of them when the graph is at rest, else those whose time is over.
    pub fn take_wait(&mut self, now: Millis, at_rest: bool) -> Option<Ticket> {
        let (&(until, _), _) = self.waits.first_key_value()?;
        (at_rest || until <= now)
            .then(|| self.waits.pop_first().map(|(_, ticket)| ticket))
            .flatten()
    }

    pub fn forget_steals(&mut self, tickets: &HashSet<Ticket>) -> Vec<ParkedSteal> {
        let found = self.steals.iter().filter(|(_, parked)| tickets.contains(&parked.ticket));
        let keys: Vec<u64> = found.map(|(&key, _)| key).collect();
        keys.into_iter().filter_map(|key| self.take(key)).collect()
    }

    pub fn forget_waits(&mut self, tickets: &HashSet<Ticket>) -> Vec<Ticket> {
        let mut forgotten = Vec::new();
        self.waits.retain(|_, ticket| {
            let forget = tickets.contains(ticket);
            forgotten.extend(forget.then_some(*ticket));
            !forget
        });
        forgotten
    }

    pub fn deadline(&self) -> Option<Millis> {
        let steal = self.deadlines.first().map(|&(until, _)| until);
        let wait = self.waits.first_key_value().map(|(&(until, _), _)| until);
        steal.into_iter().chain(wait).min()
    }
}
