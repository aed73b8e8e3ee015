//! No more workers with connections hold tasks than there is room for.

use std::collections::BTreeSet;

use dhub::scheduler::message::{Change, TaskId, Who, WorkerId};

use super::Check;
use crate::store::Rows;

pub struct Room {
    most: usize,
    /// Leases that the command under way ends.
    ended: BTreeSet<TaskId>,
}

impl Room {
    pub fn new(most: usize) -> Self {
        Self { most, ended: BTreeSet::new() }
    }

    /// What a command has changed, which is not written yet.
    pub fn note(&mut self, changes: &[Change]) {
        let ended = changes.iter().filter_map(|change| match change {
            Change::Back { task, .. } | Change::Finished { task, .. } => Some(*task),
            _ => None,
        });
        self.ended = ended.collect();
    }

    /// Those that need a connection for what they hold: one that has no id is known by its name alone.
    fn holders(rows: &Rows) -> BTreeSet<WorkerId> {
        let holders = rows.leases.values().map(|lease| lease.worker);
        holders.filter(|id| rows.workers.get(id).is_some_and(|who| who.id.is_some())).collect()
    }

    /// Before the lease is written.
    pub fn may_be_given(&self, rows: &Rows, worker: WorkerId) -> Check {
        let has_id = rows.workers.get(&worker).is_some_and(|who| who.id.is_some());
        let holders = Self::holders(rows);
        match has_id && holders.len() >= self.most && !holders.contains(&worker) {
            true => Err(format!("worker {worker} is given a task, and there is no room for it")),
            false => Ok(()),
        }
    }

    /// Whether this one waits for others to be through, or may have to while a command is carried out that ends some
    /// leases and gives tasks to `more`.
    pub fn keeps_out(
        &self,
        rows: &Rows,
        more: &BTreeSet<WorkerId>,
        who: &Who,
        worker: Option<WorkerId>,
    ) -> bool {
        let stays = |worker: WorkerId| {
            let mut leases = rows.leases.iter();
            leases.any(|(task, lease)| lease.worker == worker && !self.ended.contains(task))
        };
        let is_full = (&Self::holders(rows) | more).len() >= self.most;
        who.id.is_some() && is_full && !worker.is_some_and(stays)
    }
}
