//! A key is taken back: its workers are dismissed at once.
//!
//! An outcome of theirs can never arrive, for each message is checked; so what they held is given
//! back as if they had released it, and no reclaim is counted.

use std::collections::BTreeSet;

use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;

impl Scheduler {
    pub(crate) fn revoked(&mut self, keys: &[Name]) {
        // The owner's keys are several, and all are called the same.
        let is_one = |who: &Who| !who.is_owner() && keys.contains(&who.key);
        for id in self.workers_that(is_one) {
            self.dismiss(id);
        }
    }

    /// The keys, other than the owner's, of workers that hold something.
    pub fn keys(&self) -> BTreeSet<Name> {
        let workers = self.workers.iter().map(|(_, worker)| worker);
        let keys = workers.filter(|it| !it.leases.is_empty()).map(|it| &it.who.key);
        keys.filter(|key| !key.is_empty() && *key != UNKNOWN).cloned().collect()
    }

    /// Workers of a key that was called otherwise.
    pub(crate) fn marked(&mut self, now: Millis, old: &Name, key: &Name) {
        for id in self.workers_that(|who| who.key == *old) {
            self.set_key(now, id, key);
        }
    }

    /// Of a worker that nobody knows the key of, the first who is called so has it, and all that it holds.
    pub(crate) fn take_over(&mut self, now: Millis, who: &Who) {
        // Others may have been called so, too, and what they handed in would be believed.
        if who.is_owner() && who.id.is_none() {
            return;
        }
        if let Some(id) = self.workers.find_unknown(who) {
            self.set_key(now, id, &who.key);
        }
    }

    fn set_key(&mut self, now: Millis, id: WorkerId, key: &Name) {
        let holder = self.workers.get(id).filter(|it| it.who.id.is_some() && !it.leases.is_empty());
        if let Some(old) = holder.map(|it| &it.who.key) {
            self.holders.remove(old);
            self.holders.add(key);
        }
        self.workers.set_key(id, key);
        self.note_standing(id);
        let leases = self.workers.get(id).map_or(&[][..], |worker| &worker.leases);
        let leases = leases.iter().map(|&lease| self.leases.get(lease));
        let steals: Vec<_> = leases.filter_map(|it| Some((it.client?, it.number))).collect();
        for (client, number) in steals {
            self.workers.note_number(now, &(key.clone(), client), number);
        }
        self.changes.push(Change::Key { id, key: key.clone() });
    }

    /// In their order, so that the same happens each time.
    fn workers_that(&self, fit: impl Fn(&Who) -> bool) -> Vec<WorkerId> {
        let workers = self.workers.after(0).filter(|(_, worker)| fit(&worker.who));
        workers.map(|(id, _)| id).collect()
    }
}
