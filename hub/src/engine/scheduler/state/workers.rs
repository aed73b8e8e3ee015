//! Who has been heard of.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use hashbrown::{HashMap, HashSet};

use super::slot::NONE;
use super::worker_quota::{Full, WorkerQuotas};
use crate::engine::message::{Caller, ClientId, Millis, Name, Order, Turn, UNKNOWN, Who, WorkerId};
use crate::engine::scheduler::state::worker::{LOST_BYTES_MAX, Worker, lost_bytes};

/// A worker that holds nothing and has been silent for this long is forgotten.
const FORGET_WORKER_MS: u64 = 3_600_000;

/// Sooner if it never held anything; not one of the owner's.
const FORGET_IDLE_MS: u64 = 60_000;

/// So is the last steal of a client: a repeat does not come later.
const FORGET_CLIENT_MS: u64 = 120_000;

/// How often to look for what can be forgotten.
const SWEEP_MS: u64 = 30_000;

/// Lost attempts that are kept for a worker until it can be told.
const LOST_MAX: usize = 65_536;

/// Later than any turn.
const UNCOMMITTED: Turn = Turn::MAX;

#[derive(Clone, Copy, Debug)]
struct Client {
    number: u64,
    last_seen: Millis,
}

/// A worker with an id is that id, whatever its name; without, it is its name. Each within its key.
#[derive(Default)]
pub struct Workers {
    by_id: HashMap<WorkerId, Worker>,
    /// In the order in which they were first heard of.
    ids: BTreeSet<WorkerId>,
    /// With their keys, of which the owner's comes first.
    by_client: BTreeMap<(ClientId, Name), WorkerId>,
    by_name: BTreeMap<(Name, Name), WorkerId>,
    clients: HashMap<Caller, Client>,
    quotas: WorkerQuotas,
    /// Whose rows are written with the next commit.
    uncommitted: Vec<WorkerId>,
    /// The tables have what was written up to this turn: who is not in memory is found there, and nobody
    /// is stored twice.
    folded: Turn,
    last_id: WorkerId,
    /// Those up to this one are the store's for ever.
    last_stored: WorkerId,
    next_sweep: Millis,
}

impl Workers {
    pub fn find(&self, who: &Who) -> Option<WorkerId> {
        match &who.id {
            Some(client) => self.by_client.get(&(*client, who.key.clone())).copied(),
            None => self.by_name.get(&(who.name.clone(), who.key.clone())).copied(),
        }
    }

    /// Whom the owner means: a worker of its own, or the only one of another key that is called so.
    pub fn find_for(&self, who: &Who) -> Option<WorkerId> {
        let found = self.find(who);
        if found.is_some() || !who.is_owner() {
            return found;
        }
        let called: Vec<WorkerId> = match &who.id {
            Some(client) => first_two(&self.by_client, client),
            None => first_two(&self.by_name, &who.name),
        };
        (called.len() == 1).then(|| called[0])
    }

    /// A worker that is called so and whose key nobody knows, if there is no other.
    pub fn find_unknown(&self, who: &Who) -> Option<WorkerId> {
        let unknown = Name::new_static(UNKNOWN);
        if !self.quotas.has_workers(&unknown) || self.find(who).is_some() {
            return None;
        }
        self.find(&Who { key: unknown, ..who.clone() })
    }

    /// It is that key's from now on.
    pub fn set_key(&mut self, id: WorkerId, key: &Name) {
        let Some(mut worker) = self.take(id) else {
            return;
        };
        worker.who.key = key.clone();
        worker.row = UNCOMMITTED;
        self.uncommitted.push(id);
        self.put(id, worker);
    }

    /// Notes that the worker lives, and whether it says for the first time where it runs.
    pub fn see(&mut self, now: Millis, who: &Who) -> Option<(WorkerId, bool)> {
        let id = self.find(who)?;
        let worker = self.by_id.get_mut(&id)?;
        worker.last_seen = now;
        worker.left = false;
        let is_news = worker.who.host.is_empty() && !who.host.is_empty();
        if is_news {
            worker.who.host = who.host.clone();
        }
        Some((id, is_news))
    }

    /// One that was not heard of before, unless there are too many of its key that hold something or wait.
    /// `is_parked` tells whose steals wait: these are not forgotten.
    pub fn add(
        &mut self,
        now: Millis,
        who: &Who,
        is_parked: impl Fn(WorkerId) -> bool,
    ) -> Result<WorkerId, Full> {
        let key = &who.key;
        if self.quotas.is_crowded(key) {
            self.forget_half(|id, it| it.who.key == *key && !it.stored && !is_parked(id));
            self.quotas.looked(key);
        }
        if self.quotas.may_look(now, key) {
            let folded = self.folded;
            let is_over = |it: &Worker| {
                let has_news = it.order != Order::None || !it.lost.is_empty();
                it.leases.is_empty() && !has_news && it.row <= folded
            };
            self.forget_half(|id, it| it.who.key == *key && is_over(it) && !is_parked(id));
        }
        self.quotas.check_workers(key)?;
        let id = self.next_id();
        self.insert(now, id, who.clone(), false);
        Ok(id)
    }

    /// A worker that the store knows.
    pub fn restore(&mut self, now: Millis, id: WorkerId, who: Who) {
        self.reserve(id);
        self.insert(now, id, who, true);
    }

    fn insert(&mut self, now: Millis, id: WorkerId, who: Who, stored: bool) {
        let worker = Worker {
            who,
            leases: Vec::new(),
            last_seen: now,
            done: 0,
            failed: 0,
            lost: BTreeSet::new(),
            stored,
            row: 0,
            left: false,
            order: Order::None,
            told: Order::None,
            sent_away: None,
            slots: 0,
            late: BTreeSet::new(),
            waiting: 0,
            alone: BTreeSet::new(),
            spared_below: 0,
        };
        self.put(id, worker);
    }

    fn put(&mut self, id: WorkerId, mut worker: Worker) {
        let who = &mut worker.who;
        who.key = self.quotas.add_worker(&who.key, worker.stored);
        match who.id {
            Some(client) => self.by_client.insert((client, who.key.clone()), id),
            None => self.by_name.insert((who.name.clone(), who.key.clone()), id),
        };
        self.quotas.add_lost(&who.key, worker.lost.iter().map(lost_bytes).sum());
        self.ids.insert(id);
        self.by_id.insert(id, worker);
    }

    /// When they come to their end, those that the store never had are used again.
    fn next_id(&mut self) -> WorkerId {
        loop {
            self.last_id =
                if self.last_id + 1 < NONE { self.last_id } else { self.last_stored } + 1;
            if !self.by_id.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }

    /// Ids up to this one are taken.
    pub fn reserve(&mut self, last_id: WorkerId) {
        self.last_id = self.last_id.max(last_id);
        self.last_stored = self.last_stored.max(last_id);
    }

    /// It is given something for the first time: from now on the store has it. None: it had it before.
    pub fn store(&mut self, id: WorkerId) -> Option<&Who> {
        let worker = self.by_id.get_mut(&id).filter(|worker| !worker.stored)?;
        worker.stored = true;
        worker.row = UNCOMMITTED;
        self.uncommitted.push(id);
        self.last_stored = self.last_stored.max(id);
        self.quotas.not_idle(&worker.who.key);
        Some(&worker.who)
    }

    pub fn committed(&mut self, turn: Turn) {
        for id in std::mem::take(&mut self.uncommitted) {
            if let Some(worker) = self.by_id.get_mut(&id) {
                worker.row = turn;
            }
        }
    }

    pub fn folded(&mut self, turn: Turn) {
        self.folded = turn;
    }

    pub fn get(&self, id: WorkerId) -> Option<&Worker> {
        self.by_id.get(&id)
    }

    pub fn get_mut(&mut self, id: WorkerId) -> Option<&mut Worker> {
        self.by_id.get_mut(&id)
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (WorkerId, &Worker)> {
        self.by_id.iter().map(|(&id, worker)| (id, worker))
    }

    /// Those after an id, in the order in which they were first heard of.
    pub fn after(&self, id: WorkerId) -> impl Iterator<Item = (WorkerId, &Worker)> {
        let ids = self.ids.range((Bound::Excluded(id), Bound::Unbounded));
        ids.filter_map(|&id| Some((id, self.by_id.get(&id)?)))
    }

    // --- what they have lost -----------------------------------------------------------------

    /// To be told when there is an opportunity; false: there is no room for it.
    pub fn add_lost(&mut self, id: WorkerId, lost: (Name, u32)) -> bool {
        let Some(worker) = self.by_id.get_mut(&id) else {
            return false;
        };
        let bytes = lost_bytes(&lost);
        let key = &worker.who.key;
        // Without an id there is nobody to tell.
        if worker.who.id.is_none()
            || worker.lost.len() >= LOST_MAX
            || !self.quotas.may_lose(key, bytes)
        {
            return false;
        }
        if worker.lost.insert(lost) {
            self.quotas.add_lost(key, bytes);
        }
        true
    }

    /// What a worker is told now of what it has lost.
    pub fn take_lost(&mut self, id: WorkerId) -> Vec<(Name, u32)> {
        let mut told = Vec::new();
        let Some(worker) = self.by_id.get_mut(&id) else {
            return told;
        };
        let mut bytes = 0;
        while bytes < LOST_BYTES_MAX
            && let Some(lost) = worker.lost.pop_first()
        {
            bytes += lost_bytes(&lost);
            told.push(lost);
        }
        self.quotas.remove_lost(&worker.who.key, bytes);
        told
    }

    fn forget_lost(&mut self, id: WorkerId) {
        if let Some(worker) = self.by_id.get_mut(&id) {
            let lost = std::mem::take(&mut worker.lost);
            self.quotas.remove_lost(&worker.who.key, lost.iter().map(lost_bytes).sum());
        }
    }

    /// It has said that it leaves, or may not come back: there is nothing to tell it.
    pub fn leave(&mut self, id: WorkerId) {
        self.forget_lost(id);
        if let Some(worker) = self.by_id.get_mut(&id) {
            worker.left = true;
            (worker.order, worker.told) = (Order::None, Order::None);
        }
    }

    // --- the steals of clients ---------------------------------------------------------------

    /// The newest steal of a client.
    pub fn newest_number(&self, caller: &Caller) -> Option<u64> {
        self.clients.get(caller).map(|client| client.number)
    }

    /// May this client steal, or are there too many of its key?
    pub fn check_client(&self, caller: &Caller) -> Result<(), Full> {
        match self.clients.contains_key(caller) {
            true => Ok(()),
            false => self.quotas.check_clients(&caller.0),
        }
    }

    pub fn note_number(&mut self, now: Millis, caller: &Caller, number: u64) {
        if let Some(client) = self.clients.get_mut(caller) {
            client.number = client.number.max(number);
            client.last_seen = now;
            return;
        }
        let key = self.quotas.add_client(&caller.0);
        self.clients.insert((key, caller.1), Client { number, last_seen: now });
    }

    /// A steal that came to nothing: it may come again.
    pub fn forget_number(&mut self, caller: &Caller, number: u64) {
        if let Some(client) = self.clients.get_mut(caller)
            && client.number == number
        {
            client.number = number.saturating_sub(1);
        }
    }

    // --- what is forgotten -------------------------------------------------------------------

    /// Keeps memory from growing with every shell that ever stole a task.
    pub fn sweep(
        &mut self,
        now: Millis,
        needed: impl FnOnce(&Self) -> HashSet<Caller>,
        is_parked: impl Fn(WorkerId) -> bool,
    ) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP_MS;
        let needed = needed(self);
        let quotas = &mut self.quotas;
        self.clients.retain(|caller, client| {
            let keep = now < client.last_seen + FORGET_CLIENT_MS || needed.contains(caller);
            if !keep {
                quotas.remove_client(&caller.0);
            }
            keep
        });
        let folded = self.folded;
        let is_over = |&(&id, worker): &(&WorkerId, &Worker)| {
            let passing = !worker.stored && !worker.who.is_owner() && !is_parked(id);
            let patience = if passing { FORGET_IDLE_MS } else { FORGET_WORKER_MS };
            worker.leases.is_empty() && worker.row <= folded && now >= worker.last_seen + patience
        };
        let over: Vec<WorkerId> = self.by_id.iter().filter(is_over).map(|(&id, _)| id).collect();
        over.into_iter().for_each(|id| drop(self.take(id)));
        self.quotas.sweep();
    }

    /// The hub itself slept, for longer than some may be silent: those that live are heard of first.
    pub fn woke(&mut self, now: Millis, slept_ms: u64) {
        if slept_ms >= FORGET_IDLE_MS {
            self.next_sweep = now + FORGET_IDLE_MS;
        }
    }

    /// Of these the half that has left, or has been silent for longest.
    fn forget_half(&mut self, is_one: impl Fn(WorkerId, &Worker) -> bool) {
        let those = self.iter().filter(|(id, worker)| is_one(*id, worker));
        let mut those: Vec<_> = those.map(|(id, it)| (!it.left, it.last_seen, id)).collect();
        those.sort_unstable();
        those.truncate(those.len().div_ceil(2));
        those.into_iter().for_each(|(_, _, id)| drop(self.take(id)));
    }

    fn take(&mut self, id: WorkerId) -> Option<Worker> {
        let worker = self.by_id.remove(&id)?;
        self.ids.remove(&id);
        let Who { name, id, key, .. } = &worker.who;
        self.quotas.remove_worker(key, worker.stored);
        self.quotas.remove_lost(key, worker.lost.iter().map(lost_bytes).sum());
        match id {
            Some(client) => self.by_client.remove(&(*client, key.clone())),
            None => self.by_name.remove(&(name.clone(), key.clone())),
        };
        Some(worker)
    }
}

/// Those that are called so, with whatever key.
fn first_two<K: Ord + Clone>(called: &BTreeMap<(K, Name), WorkerId>, by: &K) -> Vec<WorkerId> {
    let from = called.range((by.clone(), Name::default())..);
    from.take_while(|((it, _), _)| it == by).take(2).map(|(_, &id)| id).collect()
}
