//! A model of the store: what a disk would hold, and what the hub has not committed yet.

mod archive;
mod rows;

use std::collections::VecDeque;

use dhub::scheduler::message::*;
use dhub::scheduler::{Scheduler, State};
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
    }

    /// What a worker needs besides the name, and whether the tables have it.
    pub fn details(&self, id: TaskId) -> Result<(Details, bool), String> {
        if let Some(details) = self.details.get(id) {
            return Ok((details.clone(), false));
        }
        let row = self.tables.get(id).ok_or_else(|| format!("the tables lack task {id}"))?;
        Ok((row.details.as_deref().cloned().unwrap_or_default(), true))
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
