//! Leases are given out.

use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;
use crate::engine::scheduler::state::lease::Lease;
use crate::engine::scheduler::state::origin::Origin;
use crate::engine::scheduler::state::slot::Slot;
use crate::engine::scheduler::state::task::Newest;
use crate::engine::scheduler::state::worker::Worker;

/// What a lease takes in a reply besides name and command, at most.
const LEASE_BYTES: usize = 128;

impl Scheduler {
    /// Leases up to `n` ready tasks to the worker.
    pub(super) fn grant(&mut self, now: Millis, worker: WorkerId, steal: &Steal) -> Vec<Leased> {
        let mut leased = Vec::new();
        if let Some(to) = self.workers.get_mut(worker) {
            to.slots = steal.slots;
        }
        let may_have = |to: &&Worker| to.order == Order::None;
        let Some(to) = self.workers.get(worker).filter(may_have) else {
            return leased;
        };
        let (has_id, key) = (to.who.id.is_some(), to.who.key.clone());
        // Noted here, also for a parked steal: a pause of the hub may be longer than a client's
        // silence is remembered.
        if let Some(client) = steal.client
            && steal.n > 0
        {
            self.workers.note_number(now, &(key, client), steal.number);
        }
        if !self.may_hold(worker) {
            return leased;
        }
        let term_ms = match steal.lease_ms {
            0 if has_id => self.config.worker_timeout_ms,
            0 => self.config.lease_ms,
            ms => ms,
        };
        let mut bytes = 0;
        while leased.len() < steal.n as usize {
            self.make_room(now, worker);
            let Some(slot) = self.next_for(worker) else { break };
            let task = self.tasks.get(slot);
            bytes += LEASE_BYTES + task.name.len() + task.details_bytes as usize;
            if bytes > self.config.leases_bytes_max && !leased.is_empty() {
                break;
            }
            self.ready.remove(&mut self.tasks, slot);
            self.set_state(slot, State::Running);
            let task = self.tasks.get_mut(slot);
            let is_suspect = task.newest == Newest::Reclaimed;
            let is_alone = has_id && task.origin == Origin::Alone;
            task.attempt += 1;
            task.holder = worker;
            task.newest = Newest::Held;
            let (id, attempt) = (task.id, task.attempt);
            let (client, number) = (steal.client, steal.number);
            let order = self.leases.next_order();
            self.hold(
                slot,
                Lease {
                    task: slot,
                    worker,
                    at: 0,
                    client,
                    number,
                    term_ms,
                    expires: now + term_ms,
                    began: now as i64,
                    started: false,
                    has_slot: false,
                    order,
                    is_suspect,
                    is_alone,
                },
            );
            if let Some(who) = self.workers.store(worker) {
                self.changes.push(Change::Worker { id: worker, who: who.clone() });
            }
            self.changes.push(Change::Leased {
                task: id,
                attempt,
                worker,
                client,
                number,
                term_ms,
            });
            leased.push(self.leased(self.leases.get(self.tasks.get(slot).lease)));
        }
        self.fill_slots(worker);
        leased
    }

    /// Puts the lease on the task and on the worker's list.
    pub(super) fn hold(&mut self, slot: Slot, mut lease: Lease) {
        let (id, is_alone, order) = (lease.worker, lease.is_alone, lease.order);
        lease.at = self.workers.get(id).map_or(0, |worker| worker.leases.len() as u32);
        let index = self.leases.insert(lease);
        self.tasks.get_mut(slot).lease = index;
        if is_alone {
            self.room.is_used();
        }
        if let Some(worker) = self.workers.get_mut(id) {
            if worker.slots > 0 && order > 0 {
                worker.late.insert((order, index));
            }
            if is_alone {
                worker.alone.insert((order, index));
            }
            worker.leases.push(index);
            let (is_first, waiting) = (worker.leases.len() == 1, worker.waiting);
            if is_first && worker.who.id.is_some() {
                self.holders.add(&worker.who.key);
            }
            if is_first || waiting > 0 {
                self.note_standing(id);
            }
        }
    }

    pub(super) fn leased(&self, lease: &Lease) -> Leased {
        let task = self.tasks.get(lease.task);
        Leased {
            id: task.id,
            name: task.name.clone(),
            attempt: task.attempt,
            term_ms: lease.term_ms,
            has_details: task.details_bytes > 0,
            is_suspect: lease.is_suspect,
        }
    }
}
