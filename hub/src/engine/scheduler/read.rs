//! What others may look at.

use super::state::lease::Lease;
use super::state::slot::Slot;
use super::state::task::Task;
use super::state::worker::Worker;
use super::{Config, Counts, Scheduler};
use crate::engine::message::*;

impl Scheduler {
    /// Some that can never run are not skipped yet.
    pub fn is_skipping(&self) -> bool {
        !self.doomed.is_empty()
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// As their rows say it: at the next start those that are lost are found lost again, if they are.
    pub fn stored_counts(&self) -> Counts {
        let mut counts = self.counts;
        counts.set(State::Failed, counts.of(State::Failed) - self.lost);
        counts
    }

    pub fn phase(&self) -> Phase {
        if self.counts.total() == 0 {
            Phase::Empty
        } else if self.counts.of(State::Ready) + self.counts.of(State::Running) > 0
            || !self.doomed.is_empty()
            || !self.backoff.is_empty()
            || self.held > 0
        {
            Phase::Active
        } else if self.counts.of(State::Waiting) > 0 {
            Phase::Stuck
        } else {
            Phase::Finished
        }
    }

    /// Unfinished tasks that a person holds.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Tasks that have failed and wait for their next try.
    pub fn retrying(&self) -> u64 {
        self.backoff.len() as u64
    }

    /// The task of this name in memory.
    pub fn find(&self, name: &str) -> Option<&Task> {
        self.tasks.find(name).map(|slot| self.tasks.get(slot))
    }

    /// How long a task that has failed still waits for its next try; as of the last turn.
    pub fn retry_in_ms(&self, name: &str) -> Option<u64> {
        let until = self.backoff.until(self.tasks.find(name)?)?;
        Some(until.saturating_sub(self.last_turn.unwrap_or(until)))
    }

    pub fn holds(&self, name: &str) -> bool {
        self.tasks.find(name).is_some()
    }

    /// Some of the names that nobody added.
    pub fn missing(&self) -> impl Iterator<Item = &Task> {
        self.missing.iter(&self.tasks).map(|slot| self.tasks.get(slot))
    }

    /// Memory lacks some of the tasks: names have to be looked up.
    pub fn has_past(&self) -> bool {
        self.tasks.len() as u64 != self.last_task
    }

    pub fn worker_id(&self, who: &Who) -> Option<WorkerId> {
        self.workers.find(who)
    }

    /// Tasks in memory from a slot on; for reading in slices.
    pub fn tasks_from(&self, from: Slot) -> impl Iterator<Item = (Slot, &Task)> {
        self.tasks.iter_from(from)
    }

    /// Unfinished tasks that wait for this one, and those that it waits for.
    pub fn neighbours(&self, name: &str) -> (Vec<&Task>, Vec<&Task>) {
        let Some(slot) = self.tasks.find(name) else {
            return Default::default();
        };
        let get = |slot| self.tasks.get(slot);
        (
            self.edges.succs(&self.tasks, slot).map(get).collect(),
            self.edges.preds(&self.tasks, slot).map(get).collect(),
        )
    }

    /// How long a running task has been held; as of the last turn.
    pub fn running_ms(&self, name: &str) -> Option<u64> {
        let task = self.find(name).filter(|task| task.state == State::Running)?;
        let began = self.leases.find(task.lease)?.began;
        Some((self.last_turn? as i64 - began).max(0) as u64)
    }

    /// The running tasks: task, worker, how long it has been held, whether its process runs.
    pub fn running(&self, now: Millis) -> impl Iterator<Item = (&Task, WorkerId, u64, bool)> {
        self.leases.iter().map(move |(_, lease)| {
            let ms = (now as i64 - lease.began).max(0) as u64;
            (self.tasks.get(lease.task), lease.worker, ms, lease.started)
        })
    }

    pub fn workers_known(&self) -> usize {
        self.workers.len()
    }

    pub fn workers(&self) -> impl Iterator<Item = (WorkerId, &Worker)> {
        self.workers.iter()
    }

    /// Those after an id, in the order in which they were first heard of.
    pub fn workers_after(&self, id: WorkerId) -> impl Iterator<Item = (WorkerId, &Worker)> {
        self.workers.after(id)
    }

    /// Some request of this worker waits here.
    pub fn has_parked(&self, id: WorkerId) -> bool {
        self.parking.has_worker(id)
    }

    pub fn worker(&self, id: WorkerId) -> Option<&Worker> {
        self.workers.get(id)
    }

    /// Leases of a worker whose processes run.
    pub fn started(&self, worker: &Worker) -> u64 {
        worker.leases.iter().filter(|&&lease| self.leases.get(lease).started).count() as u64
    }

    /// It runs, and does not wait in its worker for a slot, as far as the hub can know.
    pub fn has_begun(&self, name: &str) -> bool {
        let running = self.find(name).filter(|task| task.state == State::Running);
        running.and_then(|task| self.leases.find(task.lease)).is_some_and(|it| self.began(it))
    }

    /// How many have.
    pub fn begun(&self) -> u64 {
        self.leases.iter().filter(|(_, lease)| self.began(lease)).count() as u64
    }

    fn began(&self, lease: &Lease) -> bool {
        let tells = |worker: &Worker| worker.who.id.is_some() && worker.slots > 0;
        let is_told = self.workers.get(lease.worker).is_some_and(tells);
        lease.started || lease.has_slot || !is_told
    }
}
