//! The moves of tasks: the only places where a state changes.

use super::Scheduler;
use crate::engine::message::*;
use crate::engine::scheduler::state::lease::Lease;
use crate::engine::scheduler::state::origin::Origin;
use crate::engine::scheduler::state::slot::{NONE, Slot};
use crate::engine::scheduler::state::task::Task;

impl Scheduler {
    pub(super) fn set_state(&mut self, slot: Slot, next: State) {
        let task = self.tasks.get_mut(slot);
        debug_assert!(task.state.may_become(next), "{}: {:?} -> {next:?}", task.name, task.state);
        self.counts.down(task.state);
        self.counts.up(next);
        if std::mem::replace(&mut task.state, next) == State::Missing {
            self.missing.remove(&mut self.tasks, slot);
        }
    }

    /// Unless it is held: then it waits on, for a person.
    pub(super) fn make_ready(&mut self, slot: Slot, origin: Origin) {
        // All it waited for is done, so this only frees the edges.
        while self.edges.take_pred(&mut self.tasks, slot).is_some() {}
        let origin = self.tried_as(slot, origin);
        let task = self.tasks.get_mut(slot);
        task.origin = origin;
        if task.held {
            if task.state != State::Waiting {
                self.set_state(slot, State::Waiting);
            }
            return;
        }
        self.set_state(slot, State::Ready);
        self.ready.insert(&mut self.tasks, slot, origin);
    }

    /// The lease of a running task is over; its worker forgets it.
    pub(super) fn end_lease(&mut self, slot: Slot) -> Option<Lease> {
        let index = std::mem::replace(&mut self.tasks.get_mut(slot).lease, NONE);
        let lease = self.leases.remove(index)?;
        if let Some(worker) = self.workers.get_mut(lease.worker) {
            worker.leases.swap_remove(lease.at as usize);
            if let Some(&moved) = worker.leases.get(lease.at as usize) {
                self.leases.get_mut(moved).at = lease.at;
            }
            worker.late.remove(&(lease.order, index));
            worker.alone.remove(&(lease.order, index));
            let (is_last, waiting) = (worker.leases.is_empty(), worker.waiting);
            if is_last && worker.who.id.is_some() {
                self.holders.remove(&worker.who.key);
            }
            if is_last || waiting > 0 || lease.is_alone {
                self.note_standing(lease.worker);
            }
        }
        Some(lease)
    }

    /// A running task is open again, ahead of others of its priority.
    pub(super) fn give_back(&mut self, slot: Slot) {
        self.make_ready(slot, Origin::GivenBack);
        self.note_back(slot);
    }

    /// A running task that failed is open again, and is tried again later.
    pub(super) fn put_off(&mut self, slot: Slot, until: Millis) {
        self.set_state(slot, State::Waiting);
        self.backoff.insert(slot, until);
        self.note_back(slot);
    }

    fn note_back(&mut self, slot: Slot) {
        let task = self.tasks.get(slot);
        self.changes.push(Change::Back {
            task: task.id,
            attempt: task.attempt,
            failures: task.failures,
            reclaims: task.reclaims,
        });
    }

    /// The task reaches its end; those that wait for it become ready or doomed.
    pub(super) fn finish(&mut self, slot: Slot, state: State, blame: TaskId) {
        let task = self.tasks.get(slot);
        match task.state {
            State::Ready => self.ready.remove(&mut self.tasks, slot),
            State::Waiting => _ = self.backoff.remove(slot),
            State::Running => {
                self.end_lease(slot);
            }
            _ => {}
        }
        self.set_state(slot, state);
        if self.tasks.get(slot).held {
            self.set_held(slot, false);
            let task = self.tasks.get(slot);
            let (held, priority) = (false, task.priority);
            self.changes.push(Change::Adjusted { task: task.id, held, priority });
        }
        self.awaiting.finished(slot);
        let task = self.tasks.get(slot);
        self.changes.push(Change::Finished {
            task: task.id,
            state,
            attempt: task.attempt,
            failures: task.failures,
            reclaims: task.reclaims,
            blame,
        });
        self.leave(slot, state, blame);
    }

    /// A finished task lets go of its neighbours.
    fn leave(&mut self, slot: Slot, state: State, blame: TaskId) {
        let effective = self.tasks.get(slot).effective;
        while let Some(pred) = self.edges.take_pred(&mut self.tasks, slot) {
            self.is_needed_less(pred, effective);
            self.unwanted(pred);
        }
        while let Some(succ) = self.edges.take_succ(&mut self.tasks, slot) {
            let task = self.tasks.get_mut(succ);
            if state.is_dead() {
                self.doomed.push_back((succ, task.id, blame));
                continue;
            }
            task.pending -= 1;
            if task.pending == 0 {
                self.make_ready(succ, Origin::Enabled);
            }
        }
        if state == State::Skipped {
            self.blames.insert(slot, blame);
        }
        self.let_go(slot);
    }

    /// A name that nobody added is kept in memory only while something waits for it.
    fn unwanted(&mut self, pred: Slot) {
        let task = self.tasks.get_mut(pred);
        if task.state != State::Missing {
            return;
        }
        task.pending -= 1;
        if task.pending == 0 {
            self.let_go(pred);
        }
    }

    pub(super) fn skip_doomed(&mut self, most: usize) {
        for _ in 0..most {
            let Some((slot, id, blame)) = self.doomed.pop_front() else {
                return;
            };
            let unfinished = |task: &Task| matches!(task.state, State::Waiting | State::Ready);
            if self.tasks.get_if(slot, id).is_some_and(unfinished) {
                self.finish(slot, State::Skipped, blame);
            }
        }
    }

    /// `succ` waits for `pred`.
    pub(super) fn add_edge(&mut self, pred: Slot, succ: Slot) {
        self.edges.add(&mut self.tasks, pred, succ);
        self.is_needed(pred, succ);
        self.tasks.get_mut(succ).pending += 1;
        let pred = self.tasks.get_mut(pred);
        if pred.state == State::Missing {
            pred.pending += 1;
        }
    }

    /// Because of which dead task a dead one in memory will never run: itself, if it was not skipped.
    pub(super) fn blame(&self, slot: Slot) -> TaskId {
        self.blames.get(&slot).copied().unwrap_or(self.tasks.get(slot).id)
    }
}
