//! A model of the store: what a disk would hold, and what the hub has not committed yet.

mod archive;
mod rows;

use std::collections::{BTreeMap, VecDeque};

use dhub::engine::message::*;
use dhub::engine::scheduler::{Scheduler, State};
use dhub::engine::told::Told;
use dhub::store::NewDetails;

pub use rows::{LeaseRow, Moment, Row, Rows};

/// What a turn has changed.
type Batch = (Turn, Vec<(Change, Moment)>);

#[derive(Default)]
pub struct Store {
    /// What survives a crash.
    pub committed: Rows,
    /// What can be read: they lag behind what is committed.
    pub tables: Rows,
    behind: VecDeque<Batch>,
    details: NewDetails,
    /// With the changes of the turn that is under way.
    pub current: Rows,
    pending: Vec<(Change, Moment)>,
    /// To how many tasks each request has done what it asks for: all its copies together, committed or not.
    pub did: BTreeMap<Token, u64>,
    did_committed: BTreeMap<Token, u64>,
}

impl Store {
    pub fn note(&mut self, change: Change, at: Moment) {
        self.current.write(&change, at);
        self.pending.push((change, at));
    }

    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// All of it, or nothing: a crash cuts before or after, never within.
    pub fn commit(&mut self, turn: Turn) {
        let changes = std::mem::take(&mut self.pending);
        for (change, at) in &changes {
            self.committed.write(change, *at);
        }
        self.details.note(turn, changes.iter().map(|(change, _)| change));
        self.behind.push_back((turn, changes));
        self.did_committed.clone_from(&self.did);
    }

    /// What a worker needs besides the name, or None if its row is damaged; and whether the tables have it.
    pub fn details(&self, id: TaskId) -> Result<(Option<Details>, bool), String> {
        if let Some(details) = self.details.get(id) {
            return Ok((Some(details.clone()), false));
        }
        let row = self.tables.get(id).ok_or_else(|| format!("the tables lack task {id}"))?;
        let is_sound = !self.tables.damaged.contains(&id);
        Ok((is_sound.then(|| row.details.as_deref().cloned().unwrap_or_default()), true))
    }

    /// The row of an open task is not what was written any more. False: there is none.
    pub fn damage(&mut self, which: u64) -> bool {
        let open: Vec<_> = self.tables.iter().filter(|row| row.is_open()).map(|it| it.id).collect();
        let Some(&id) = open.get(which as usize % open.len().max(1)) else { return false };
        for rows in [&mut self.committed, &mut self.tables, &mut self.current] {
            rows.damaged.insert(id);
        }
        true
    }

    /// Those that a start finds damaged: open ones with no more than a name. The others are looked at when
    /// they are given out.
    pub fn found_damaged(&self) -> Vec<Name> {
        let rows = &self.committed;
        let damaged = rows.damaged.iter().filter_map(|&id| rows.get(id));
        let is_found = |row: &&Row| row.is_open() && row.details.is_none();
        damaged.filter(is_found).map(|row| row.name.clone()).collect()
    }

    /// What is kept of requests, for a hub that starts.
    pub fn told(&self) -> Told {
        let kept = self.committed.told.iter().map(|(&number, kept)| (number, kept.clone()));
        Told::new(0, kept.collect())
    }

    /// The tables get what was committed up to this turn.
    pub fn fold(&mut self, upto: Turn) {
        while let Some((_, changes)) = self.behind.pop_front_if(|(turn, _)| *turn <= upto) {
            for (change, at) in changes {
                self.tables.write(&change, at);
            }
        }
        self.details.folded(upto);
    }

    /// The hub is gone, and with it what it had not committed. A start folds all that is.
    pub fn crash(&mut self) {
        self.pending.clear();
        self.behind.clear();
        self.details = NewDetails::default();
        self.current = self.committed.clone();
        self.tables = self.committed.clone();
        self.did.clone_from(&self.did_committed);
    }

    /// Fills an empty scheduler, as `dhub::store::Store::restore` does. Leases start afresh.
    pub fn restore(&mut self, now: Millis, wall: i64, scheduler: &mut Scheduler) {
        for lease in self.current.leases.values_mut() {
            lease.expires = now + lease.term_ms;
        }
        self.current.forget_failures();
        let rows = &self.committed;
        let finished = [State::Done, State::Failed, State::Skipped, State::Cancelled];
        let totals: Vec<_> = finished.iter().map(|&state| (state, rows.count(state))).collect();
        let last_worker = rows.workers.keys().last().copied().unwrap_or(0);
        scheduler.restore_totals(&totals, rows.last_task(), last_worker);
        let mut leases = Vec::new();
        for (&task, lease) in &rows.leases {
            if scheduler.worker(lease.worker).is_none() {
                let who = rows.workers[&lease.worker].clone();
                scheduler.restore_worker(now, lease.worker, who);
            }
            leases.push(StoredLease {
                task,
                attempt: lease.attempt,
                worker: lease.worker,
                client: lease.client,
                number: lease.number,
                term_ms: lease.term_ms,
                age_ms: (wall - lease.began_wall).max(0) as u64,
            });
        }
        let open = rows.iter().filter(|row| row.is_open());
        let tasks = open.map(|row| Ok((rows.stored(row, Vec::new()), row.needs.clone())));
        let restored: Result<(), String> =
            scheduler.restore_tasks(now, tasks, leases, |id| Ok(rows.need(id)));
        restored.expect("the model's reads do not fail");
    }
}
