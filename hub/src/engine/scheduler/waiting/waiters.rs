//! Workers whose parked steals want tasks: who may have the next one, and who may be sent away, without
//! looking at all of them.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;

use super::holders::Holders;
use crate::engine::message::{Millis, Name, WorkerId};

/// What keeps a worker from being given something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing: it is known by its name alone, and needs no connection; or all that it holds waits for others.
    Free,
    /// Nothing, as it holds some already: but for a task that is tried alone.
    Busy,
    /// It holds a task that is tried alone, and gets no other; or it makes room for one.
    Kept,
    /// It needs a place of its key. When others need its connection, it may be told from that time on.
    Placeless { key: Name, away_at: Millis },
}

#[derive(Debug)]
struct Waiter {
    /// Its steals, by the order of their arrival.
    steals: BTreeSet<u64>,
    standing: Standing,
}

/// By their first steals.
type Queue = BTreeSet<(u64, WorkerId)>;

#[derive(Debug, Default)]
pub struct Waiters {
    workers: HashMap<WorkerId, Waiter>,
    free: Queue,
    busy: Queue,
    /// Without a place, of each key; the owner's is the empty one.
    keys: BTreeMap<Name, Queue>,
    /// The first of each key but the owner's.
    guests: BTreeSet<(u64, Name)>,
    away: BTreeSet<(Millis, WorkerId)>,
}

impl Waiters {
    pub fn placeless(&self) -> usize {
        self.away.len()
    }

    pub fn has(&self, worker: WorkerId) -> bool {
        self.workers.contains_key(&worker)
    }

    pub fn add(&mut self, steal: u64, worker: WorkerId, standing: Standing) {
        let mut waiter = self.take(worker).unwrap_or(Waiter { steals: BTreeSet::new(), standing });
        waiter.steals.insert(steal);
        self.put(worker, waiter);
    }

    pub fn remove(&mut self, steal: u64, worker: WorkerId) {
        if let Some(mut waiter) = self.take(worker) {
            waiter.steals.remove(&steal);
            self.put(worker, waiter);
        }
    }

    pub fn set_standing(&mut self, worker: WorkerId, standing: Standing) {
        if let Some(waiter) = self.take(worker) {
            self.put(worker, Waiter { standing, ..waiter });
        }
    }

    /// The first steal of all that may be given something. As long as guests have places left, no more
    /// than one key has all of its own: passing it over costs nothing.
    pub fn next(&self, holders: &Holders) -> Option<u64> {
        pick([self.next_idle(holders), first(&self.busy)])
    }

    /// The same, of those that hold nothing.
    pub fn next_idle(&self, holders: &Holders) -> Option<u64> {
        let free = first(&self.free);
        let owner = self.keys.get("").filter(|_| holders.has_place()).and_then(first);
        let has_place = |(_, key): &&(u64, Name)| holders.has_place_for(key);
        let mut guests = self.guests.iter().filter(has_place).map(|(steal, _)| *steal);
        let guest = holders.has_place_for_guests().then(|| guests.next()).flatten();
        pick([free, owner, guest])
    }

    /// The first worker that holds something and may have more.
    pub fn first_busy(&self) -> Option<WorkerId> {
        self.busy.first().map(|&(_, worker)| worker)
    }

    /// The first steal of a worker that may be told to leave its connection to others.
    pub fn in_the_way(&self, now: Millis) -> Option<u64> {
        let &(at, worker) = self.away.first()?;
        self.workers.get(&worker).filter(|_| at <= now)?.steals.first().copied()
    }

    fn take(&mut self, worker: WorkerId) -> Option<Waiter> {
        let waiter = self.workers.remove(&worker)?;
        let entry = (*waiter.steals.first()?, worker);
        match &waiter.standing {
            Standing::Free => _ = self.free.remove(&entry),
            Standing::Busy => _ = self.busy.remove(&entry),
            Standing::Kept => {}
            Standing::Placeless { key, away_at } => {
                self.away.remove(&(*away_at, worker));
                self.change(key, |queue| queue.remove(&entry));
            }
        }
        Some(waiter)
    }

    fn put(&mut self, worker: WorkerId, waiter: Waiter) {
        let Some(&first) = waiter.steals.first() else { return };
        match &waiter.standing {
            Standing::Free => _ = self.free.insert((first, worker)),
            Standing::Busy => _ = self.busy.insert((first, worker)),
            Standing::Kept => {}
            Standing::Placeless { key, away_at } => {
                self.away.insert((*away_at, worker));
                self.change(key, |queue| queue.insert((first, worker)));
            }
        }
        self.workers.insert(worker, waiter);
    }

    /// Of those that wait for a place of this key; keeps what is known of the first.
    fn change(&mut self, key: &Name, change: impl FnOnce(&mut Queue) -> bool) {
        let queue = self.keys.entry(key.clone()).or_default();
        let before = first(queue);
        change(queue);
        let after = first(queue);
        if queue.is_empty() {
            self.keys.remove(key);
        }
        if before != after && !key.is_empty() {
            if let Some(before) = before {
                self.guests.remove(&(before, key.clone()));
            }
            self.guests.extend(after.map(|after| (after, key.clone())));
        }
    }
}

fn first(queue: &Queue) -> Option<u64> {
    queue.first().map(|(steal, _)| *steal)
}

fn pick<const N: usize>(steals: [Option<u64>; N]) -> Option<u64> {
    steals.into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEYS: [&str; 4] = ["", "ada", "bob", "eve"];

    #[derive(Clone, Debug)]
    enum Step {
        Park(WorkerId),
        Take(usize),
        Stand(WorkerId, Standing),
        Hold(&'static str),
        GiveBack(usize),
    }

    fn standing() -> impl Strategy<Value = Standing> {
        let key = prop::sample::select(&KEYS[..]);
        let placeless = |(key, away_at)| Standing::Placeless { key: Name::new(key), away_at };
        let others = prop::sample::select(vec![Standing::Free, Standing::Busy, Standing::Kept]);
        prop_oneof![others, (key, 0..5_u64).prop_map(placeless)]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (1..9_u32).prop_map(Step::Park),
            2 => any::<usize>().prop_map(Step::Take),
            2 => (1..9_u32, standing()).prop_map(|(worker, it)| Step::Stand(worker, it)),
            2 => prop::sample::select(&KEYS[..]).prop_map(Step::Hold),
            1 => any::<usize>().prop_map(Step::GiveBack),
        ]
    }

    /// All of them, looked at one after the other.
    #[derive(Default)]
    struct Scan {
        steals: Vec<(u64, WorkerId)>,
        standings: HashMap<WorkerId, Standing>,
    }

    impl Scan {
        fn standing(&self, worker: WorkerId) -> Standing {
            self.standings.get(&worker).cloned().unwrap_or(Standing::Free)
        }

        fn next(&self, holders: &Holders, idle: bool) -> Option<u64> {
            let may_have = |(_, worker): &&(u64, WorkerId)| match self.standing(*worker) {
                Standing::Free => true,
                Standing::Busy => !idle,
                Standing::Kept => false,
                Standing::Placeless { key, .. } => holders.has_place_for(&key),
            };
            self.steals.iter().find(may_have).map(|(steal, _)| *steal)
        }

        /// Those without a place, and since when they may be sent away.
        fn away(&self) -> BTreeMap<WorkerId, Millis> {
            let placeless = |(_, worker): &(u64, WorkerId)| match self.standing(*worker) {
                Standing::Placeless { away_at, .. } => Some((*worker, away_at)),
                _ => None,
            };
            self.steals.iter().filter_map(placeless).collect()
        }
    }

    proptest! {
        #[test]
        fn nobody_is_overlooked(places in 0..9_usize, steps in prop::collection::vec(step(), 1..60)) {
            let (mut waiters, mut scan) = (Waiters::default(), Scan::default());
            let (mut holders, mut held) = (Holders::with(places), Vec::new());
            for (number, step) in (0..).zip(steps) {
                match step {
                    Step::Park(worker) => {
                        waiters.add(number, worker, scan.standing(worker));
                        scan.steals.push((number, worker));
                    }
                    Step::Take(_) if scan.steals.is_empty() => {}
                    Step::Take(at) => {
                        let (steal, worker) = scan.steals.remove(at % scan.steals.len());
                        waiters.remove(steal, worker);
                    }
                    Step::Stand(worker, standing) => {
                        waiters.set_standing(worker, standing.clone());
                        scan.standings.insert(worker, standing);
                    }
                    Step::Hold(key) if holders.has_place_for(&key.into()) => {
                        holders.add(&key.into());
                        held.push(key);
                    }
                    Step::GiveBack(at) if !held.is_empty() => {
                        holders.remove(&held.swap_remove(at % held.len()).into());
                    }
                    Step::Hold(_) | Step::GiveBack(_) => {}
                }
                prop_assert_eq!(waiters.next(&holders), scan.next(&holders, false));
                prop_assert_eq!(waiters.next_idle(&holders), scan.next(&holders, true));
                let away = scan.away();
                prop_assert_eq!(waiters.placeless(), away.len());
                for now in 0..5 {
                    let first = waiters.in_the_way(now);
                    let worker = scan.steals.iter().find(|(steal, _)| Some(*steal) == first);
                    let due = worker.map(|(_, worker)| away[worker]);
                    prop_assert_eq!(due, away.values().min().copied().filter(|at| *at <= now));
                }
            }
        }
    }
}
