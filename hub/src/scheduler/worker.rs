//! Who has been heard of.

use std::collections::{BTreeSet, HashSet};
use std::ops::Bound;

use hashbrown::HashMap;

use super::message::{ClientId, Millis, Name, Order, Who, WorkerId};

/// A worker that holds nothing and has been silent for this long is forgotten.
const FORGET_WORKER_MS: u64 = 3_600_000;
/// So is the last steal of a client: a repeat does not come later.
const FORGET_CLIENT_MS: u64 = 120_000;
/// How often to look for what can be forgotten.
const SWEEP_MS: u64 = 30_000;

#[derive(Debug)]
pub struct Worker {
    pub who: Who,
    pub leases: Vec<u32>,
    pub last_seen: Millis,
    pub done: u64,
    pub failed: u64,
    /// Attempts that it should kill, to be told at the next opportunity.
    pub lost: BTreeSet<(Name, u32)>,
    /// It said Exit.
    pub left: bool,
    /// What it is to do, and what of that it has been told.
    pub order: Order,
    pub told: Order,
}

/// Names of lost attempts told at a time; the rest comes with the next answer.
const LOST_BYTES_MAX: usize = 4 * 1024 * 1024;

impl Worker {
    /// What it is told now of what it has lost.
    pub fn take_lost(&mut self) -> Vec<(Name, u32)> {
        let mut bytes = 0;
        let mut told = Vec::new();
        while bytes < LOST_BYTES_MAX
            && let Some(lost) = self.lost.pop_first()
        {
            bytes += lost.0.len() + 32;
            told.push(lost);
        }
        told
    }

    /// What it is to do; from now on it has been told.
    pub fn take_order(&mut self) -> Order {
        self.told = self.order;
        self.order
    }

    /// A parked steal of it is to be answered at once. One without an id is another process each
    /// time, that has not been told.
    pub fn has_news(&self) -> bool {
        let knows = self.order == self.told && self.who.id.is_some();
        !self.lost.is_empty() || (self.order != Order::None && !knows)
    }
}

/// What is new about a worker that was heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Known,
    /// It says for the first time where it runs.
    Host,
    New,
}

#[derive(Clone, Copy, Debug)]
struct Client {
    number: u64,
    last_seen: Millis,
}

/// A worker with an id is that id, whatever its name; without, it is its name.
#[derive(Default)]
pub struct Workers {
    by_id: HashMap<WorkerId, Worker>,
    /// In the order in which they were first heard of.
    ids: BTreeSet<WorkerId>,
    by_client: HashMap<ClientId, WorkerId>,
    by_name: HashMap<Name, WorkerId>,
    clients: HashMap<ClientId, Client>,
    last_id: WorkerId,
    next_sweep: Millis,
}

impl Workers {
    pub fn find(&self, who: &Who) -> Option<WorkerId> {
        match &who.id {
            Some(client) => self.by_client.get(client).copied(),
            None => self.by_name.get(&who.name).copied(),
        }
    }

    /// Notes that the worker lives, and what is new about it.
    pub fn see(&mut self, now: Millis, who: &Who) -> (WorkerId, Seen) {
        if let Some(id) = self.find(who) {
            if let Some(worker) = self.by_id.get_mut(&id) {
                worker.last_seen = now;
                worker.left = false;
                if worker.who.host.is_empty() && !who.host.is_empty() {
                    worker.who.host = who.host.clone();
                    return (id, Seen::Host);
                }
            }
            return (id, Seen::Known);
        }
        let id = self.last_id + 1;
        self.restore(now, id, who.clone());
        (id, Seen::New)
    }

    /// A worker that the store knows.
    pub fn restore(&mut self, now: Millis, id: WorkerId, who: Who) {
        self.last_id = self.last_id.max(id);
        match who.id {
            Some(client) => self.by_client.insert(client, id),
            None => self.by_name.insert(who.name.clone(), id),
        };
        let worker = Worker {
            who,
            leases: Vec::new(),
            last_seen: now,
            done: 0,
            failed: 0,
            lost: BTreeSet::new(),
            left: false,
            order: Order::None,
            told: Order::None,
        };
        self.ids.insert(id);
        self.by_id.insert(id, worker);
    }

    /// Ids below this one are taken.
    pub fn reserve(&mut self, last_id: WorkerId) {
        self.last_id = self.last_id.max(last_id);
    }

    pub fn get(&self, id: WorkerId) -> Option<&Worker> {
        self.by_id.get(&id)
    }

    pub fn get_mut(&mut self, id: WorkerId) -> Option<&mut Worker> {
        self.by_id.get_mut(&id)
    }

    pub fn iter(&self) -> impl Iterator<Item = (WorkerId, &Worker)> {
        self.by_id.iter().map(|(&id, worker)| (id, worker))
    }

    /// Those after an id, in the order in which they were first heard of.
    pub fn after(&self, id: WorkerId) -> impl Iterator<Item = (WorkerId, &Worker)> {
        let ids = self.ids.range((Bound::Excluded(id), Bound::Unbounded));
        ids.filter_map(|&id| Some((id, self.by_id.get(&id)?)))
    }

    /// The newest steal of a client.
    pub fn newest_number(&self, client: &ClientId) -> Option<u64> {
        self.clients.get(client).map(|client| client.number)
    }

    pub fn note_number(&mut self, now: Millis, client: ClientId, number: u64) {
        let entry = self.clients.entry(client).or_insert(Client { number, last_seen: now });
        entry.number = entry.number.max(number);
        entry.last_seen = now;
    }

    /// A steal that came to nothing: it may come again.
    pub fn forget_number(&mut self, client: &ClientId, number: u64) {
        if let Some(client) = self.clients.get_mut(client)
            && client.number == number
        {
            client.number = number.saturating_sub(1);
        }
    }

    /// Keeps memory from growing with every shell that ever stole a task.
    pub fn sweep(&mut self, now: Millis, needed: impl FnOnce() -> HashSet<ClientId>) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP_MS;
        let needed = needed();
        self.clients
            .retain(|id, client| now < client.last_seen + FORGET_CLIENT_MS || needed.contains(id));
        let (by_client, by_name) = (&mut self.by_client, &mut self.by_name);
        let ids = &mut self.ids;
        self.by_id.retain(|id, worker| {
            let keep = !worker.leases.is_empty() || now < worker.last_seen + FORGET_WORKER_MS;
            if !keep {
                ids.remove(id);
                match &worker.who.id {
                    Some(client) => by_client.remove(client),
                    None => by_name.remove(&worker.who.name),
                };
            }
            keep
        });
    }
}
