//! No more workers with connections hold tasks than there are places, and of guests no more than their share.

use std::collections::{BTreeMap, BTreeSet};

use dhub::engine::message::{Change, Name, TaskId, Who, WorkerId};

use super::Check;
use crate::store::Rows;

pub struct Places {
    most: usize,
    /// Leases that the command under way ends.
    ended: BTreeSet<TaskId>,
}

/// Who needs a connection for what it holds, and by which key: one that has no id is known by its name alone.
pub type Holders = BTreeMap<WorkerId, Name>;

impl Places {
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

    /// Those of `more` may have no row yet.
    fn holders(rows: &Rows, more: &Holders) -> Holders {
        let holders = rows.leases.values().map(|lease| lease.worker);
        let connected = |id: WorkerId| {
            rows.workers.get(&id).filter(|who| who.id.is_some()).map(|who| (id, who.key.clone()))
        };
        let more = more.iter().map(|(&id, key)| (id, key.clone()));
        holders.filter_map(connected).chain(more).collect()
    }

    /// None is left for another worker of this key: a key has half of them, all guests three quarters.
    fn are_taken(&self, holders: &Holders, key: &Name) -> bool {
        let of = |is: &dyn Fn(&Name) -> bool| holders.values().filter(|it| is(it)).count();
        let guests_most = (self.most - self.most.div_ceil(4)).max(1);
        let key_most = (self.most / 2).max(1);
        let is_guest = !key.is_empty();
        holders.len() >= self.most
            || is_guest && of(&|it| !it.is_empty()) >= guests_most
            || is_guest && of(&|it| it == key) >= key_most
    }

    /// Before the lease is written.
    pub fn may_be_given(&self, rows: &Rows, worker: WorkerId) -> Check {
        let holders = Self::holders(rows, &Holders::new());
        let who = rows.workers.get(&worker).filter(|who| who.id.is_some());
        match who.is_some_and(|who| self.are_taken(&holders, &who.key))
            && !holders.contains_key(&worker)
        {
            true => Err(format!("worker {worker} is given a task, and there is no place for it")),
            false => Ok(()),
        }
    }

    /// Whether this one waits for others to be through, or may have to while a command is carried out that ends some
    /// leases and gives tasks to `more`.
    pub fn keeps_out(
        &self,
        rows: &Rows,
        more: &Holders,
        who: &Who,
        worker: Option<WorkerId>,
    ) -> bool {
        let stays = |worker: WorkerId| {
            let mut leases = rows.leases.iter();
            leases.any(|(task, lease)| lease.worker == worker && !self.ended.contains(task))
        };
        let are_taken = self.are_taken(&Self::holders(rows, more), &who.key);
        who.id.is_some() && are_taken && !worker.is_some_and(stays)
    }
}
