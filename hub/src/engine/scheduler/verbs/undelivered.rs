//! Leases that reached nobody are taken back.

use std::collections::HashSet;

use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;

impl Scheduler {
    /// The replies with these leases did not reach anybody. A copy of the request that is still to
    /// come counts as new, or its client would be told that there is nothing.
    pub(crate) fn undelivered(&mut self, leases: &[(Name, u32)]) {
        let mut steals = HashSet::new();
        for (name, attempt) in leases {
            if let Some(slot) = self.tasks.find(name)
                && self.tasks.get(slot).state == State::Running
                && self.tasks.get(slot).attempt == *attempt
            {
                let lease = self.leases.get(self.tasks.get(slot).lease);
                steals.extend(lease.client.map(|client| (lease.worker, client, lease.number)));
                self.put_back(slot);
            }
        }
        for (worker, client, number) in steals {
            let of_it = |&&index: &&u32| {
                let lease = self.leases.get(index);
                lease.client == Some(client) && lease.number == number
            };
            if let Some(worker) = self.workers.get(worker)
                && worker.leases.iter().find(of_it).is_none()
            {
                let caller = (worker.who.key.clone(), client);
                self.workers.forget_number(&caller, number);
            }
        }
    }
}
