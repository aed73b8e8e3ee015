//! A key is taken back: its workers are dismissed at once.
//!
//! An outcome of theirs can never arrive, for each message is checked; so what they held is given
//! back as if they had released it, and no reclaim is counted.

use super::Scheduler;
use super::message::*;

impl Scheduler {
    pub(super) fn revoked(&mut self, keys: &[Name]) {
        // The owner's keys are several, and all are called the same.
        let is_one = |who: &Who| !who.is_owner() && keys.contains(&who.key);
        // In their order, so that the same happens each time.
        let workers = self.workers.after(0).filter(|(_, worker)| is_one(&worker.who));
        let workers: Vec<WorkerId> = workers.map(|(id, _)| id).collect();
        for id in workers {
            self.dismiss(id);
        }
    }

    /// The keys, other than the owner's, of workers that hold something.
    pub fn keys(&self) -> std::collections::BTreeSet<&Name> {
        let workers = self.workers.iter().map(|(_, worker)| worker);
        let keys = workers.filter(|it| !it.leases.is_empty()).map(|it| &it.who.key);
        keys.filter(|key| !key.is_empty()).collect()
    }
}
