//! Tasks that may have taken their worker down.
//!
//! A worker starts its leases in the order in which it got them, as many as it has slots. So those that the
//! hub takes for started when a worker is gone are the oldest ones, and the culprit is among them: unless it
//! was started when another had ended whose outcome did not come through. A task that was taken from a lost
//! worker is therefore started only when the hub knows what ended before (`Lease.suspect`).
//!
//! Who shares a worker with the culprit is counted with it. So the last try of a task is one alone: with a
//! worker that runs nothing, and gets nothing else meanwhile. What is not to blame ends there, and no task
//! fails for another. `room.rs` has who makes room for it.
//!
//! A task that has said that it waits for others (a call of Python that has calls of its own) runs nothing: they
//! may have no other worker. So the last try of one of them may be beside it, and is to blame then; and a
//! last try that waits itself has one task at a time beside it.

use super::Scheduler;
use crate::engine::message::{State, Steal, WorkerId};
use crate::engine::scheduler::state::lease::Lease;
use crate::engine::scheduler::state::origin::Origin;
use crate::engine::scheduler::state::slot::Slot;

impl Scheduler {
    /// How a task that is ready is tried, by how often it was taken from a lost worker.
    pub(super) fn tried_as(&self, slot: Slot, origin: Origin) -> Origin {
        let reclaims = self.tasks.get(slot).reclaims;
        match reclaims > 0 && reclaims + 1 >= self.config.reclaims_max {
            true => Origin::Alone,
            false if origin == Origin::Alone => Origin::GivenBack,
            false => origin,
        }
    }

    /// It failed after all, and took nobody down.
    pub(super) fn not_alone(&mut self, slot: Slot) {
        let task = self.tasks.get(slot);
        if task.state == State::Ready && task.origin == Origin::Alone {
            self.ready.remove(&mut self.tasks, slot);
            self.ready.insert(&mut self.tasks, slot, Origin::GivenBack);
        }
    }

    /// What this worker gets next. Several may be called by one name: who has no id cannot be alone.
    pub(super) fn next_for(&self, id: WorkerId) -> Option<Slot> {
        let worker = self.workers.get(id)?;
        let is_kept = self.makes_room(id) && self.last_try_is_first();
        match worker.who.id {
            Some(_) if worker.runs_nothing() => self.ready.first_of_all(),
            Some(_) if worker.is_alone() => None,
            Some(_) if is_kept => None,
            Some(_) => self.ready.first(),
            None => self.ready.first_of_all(),
        }
    }

    /// What a worker says of the tasks that it holds; a late copy of an older steal says nothing.
    pub(super) fn note_waiting(&mut self, id: WorkerId, steal: &Steal) {
        let Some(worker) = self.workers.get(id) else { return };
        let caller = steal.client.map(|client| (worker.who.key.clone(), client));
        let newest = caller.and_then(|caller| self.workers.newest_number(&caller));
        if steal.number != 0 && newest > Some(steal.number) {
            return;
        }
        if let Some(worker) = self.workers.get_mut(id)
            && worker.waiting != steal.waiting
        {
            worker.waiting = steal.waiting;
            self.fill_slots(id);
            self.note_standing(id);
        }
    }

    /// It waited for others when something that is tried alone was given out beside it: not this one is to blame if
    /// the worker is lost. Leases that an earlier hub gave out have no order, and are all counted.
    pub(super) fn is_spared(&self, lease: &Lease) -> bool {
        self.workers.get(lease.worker).is_some_and(|worker| {
            let newest = worker.alone.last().map_or(0, |&(order, _)| order);
            lease.order < newest.max(worker.spared_below)
        })
    }

    /// This lease, which was tried alone, was lost with its worker: what waited beside it is lost for it.
    pub(super) fn spare_older(&mut self, lost: &Lease) {
        if let Some(worker) = self.workers.get_mut(lost.worker) {
            worker.spared_below = worker.spared_below.max(lost.order);
        }
    }

    /// The oldest leases of a worker have its slots, and what waits for others takes none.
    pub(super) fn fill_slots(&mut self, worker: WorkerId) {
        let Some(worker) = self.workers.get_mut(worker) else { return };
        let slots = worker.slots as usize + worker.waiting as usize;
        while worker.leases.len() - worker.late.len() < slots
            && let Some((_, lease)) = worker.late.pop_first()
        {
            self.leases.get_mut(lease).has_slot = true;
        }
    }
}
