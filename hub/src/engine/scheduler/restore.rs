//! Starting on a file: what was waiting, ready and running is so again.
//!
//! Whether a task waits follows from its dependencies, whether it runs from its lease. Nothing
//! here is new, so there are no changes to store.

use hashbrown::HashSet;

use super::Scheduler;
use crate::engine::message::*;
use crate::engine::scheduler::state::lease::Lease;
use crate::engine::scheduler::state::origin::Origin;
use crate::engine::scheduler::state::slot::Slot;
use crate::engine::scheduler::state::task::Newest;

impl Scheduler {
    /// Counts of finished tasks, and the last ids that were given out.
    pub fn restore_totals(
        &mut self,
        finished: &[(State, u64)],
        last_task: TaskId,
        last_worker: WorkerId,
    ) {
        for &(state, count) in finished {
            self.counts.set(state, count);
        }
        self.last_task = last_task;
        self.workers.reserve(last_worker);
    }

    /// So many are finished in this way, and not as many as it `was` said.
    pub fn correct_total(&mut self, state: State, was: u64, is: u64) {
        self.counts.set(state, (self.counts.of(state) + is).saturating_sub(was));
    }

    /// So many were open and cannot be read: nobody can run them, and nothing can be stored of them.
    pub fn add_lost(&mut self, count: u64) {
        self.lost += count;
        self.counts.set(State::Failed, self.counts.of(State::Failed) + count);
    }

    pub fn restore_worker(&mut self, now: Millis, id: WorkerId, who: Who) {
        self.workers.restore(now, id, who);
    }

    /// All open tasks by ascending id, each with the ids of what it needs. `look_up` answers for the ids of tasks
    /// that are not open. Leases start afresh, with a full term.
    pub fn restore_tasks<E>(
        &mut self,
        now: Millis,
        tasks: impl Iterator<Item = Result<(StoredTask, Vec<TaskId>), E>>,
        leases: Vec<StoredLease>,
        mut look_up: impl FnMut(TaskId) -> Result<Need, E>,
    ) -> Result<(), E> {
        // What runs had all it needs, also if a person has had some of that run again since.
        let running: HashSet<TaskId> = leases.iter().map(|lease| lease.task).collect();
        let mut open = Open::default();
        let mut later: Vec<(TaskId, Slot)> = Vec::new();
        for stored in tasks {
            let (stored, needs) = stored?;
            let slot = self.insert(stored.id, stored.name.clone(), State::Waiting);
            self.fill(slot, &stored);
            self.set_held(slot, stored.held);
            let task = self.tasks.get_mut(slot);
            if let Some((worker, ended)) = stored.last {
                (task.holder, task.newest) = match ended {
                    Ended::Reclaimed => (worker, Newest::Reclaimed),
                    Ended::Failed if stored.failures > 0 => (worker, Newest::Failed),
                    // Done, cancelled, or failed for good: a person has had it run again since.
                    _ => (worker, Newest::Void),
                };
            }
            open.push(stored.id, slot);
            if running.contains(&stored.id) {
                continue;
            }
            for need in needs {
                match open.find(need) {
                    Some(pred) => self.add_edge(pred, slot),
                    None => later.push((need, slot)),
                }
            }
        }
        // Those that come after what needs them, and finished ones, which are looked up once each,
        // however many need them.
        later.sort();
        for needed in later.chunk_by(|(one, _), (other, _)| one == other) {
            let id = needed[0].0;
            let slots = needed.iter().map(|&(_, slot)| slot);
            if let Some(pred) = open.find(id) {
                slots.for_each(|slot| self.add_edge(pred, slot));
                continue;
            }
            let need = look_up(id)?;
            for slot in slots {
                if need.state.is_dead() {
                    // The hub stopped between a failure and the last of its skips.
                    self.doomed.push_back((slot, self.tasks.get(slot).id, need.blame));
                    self.tasks.get_mut(slot).pending += 1;
                }
                if need.state == State::Missing {
                    self.wait_for(slot, &need);
                }
            }
        }
        for lease in leases {
            if let Some(slot) = open.find(lease.task) {
                self.restore_lease(now, slot, &lease);
            }
        }
        self.pass_on_urgency(usize::MAX);
        for (_, slot) in open.tasks {
            let task = self.tasks.get(slot);
            if task.state == State::Waiting && task.pending == 0 {
                let origin = if task.attempt > 0 { Origin::GivenBack } else { Origin::New };
                self.make_ready(slot, origin);
            }
        }
        self.skip_doomed(usize::MAX);
        self.pass_on_urgency(usize::MAX);
        Ok(())
    }

    fn restore_lease(&mut self, now: Millis, slot: Slot, stored: &StoredLease) {
        self.set_state(slot, State::Ready);
        self.set_state(slot, State::Running);
        let task = self.tasks.get_mut(slot);
        task.attempt = stored.attempt;
        task.holder = stored.worker;
        task.newest = Newest::Held;
        if let Some(client) = stored.client {
            let worker = self.workers.get(stored.worker);
            let key = worker.map(|worker| worker.who.key.clone()).unwrap_or_default();
            self.workers.note_number(now, &(key, client), stored.number);
        }
        let has_id = self.workers.get(stored.worker).is_some_and(|it| it.who.id.is_some());
        let is_alone = has_id && self.tried_as(slot, Origin::GivenBack) == Origin::Alone;
        self.hold(
            slot,
            Lease {
                task: slot,
                worker: stored.worker,
                at: 0,
                client: stored.client,
                number: stored.number,
                term_ms: stored.term_ms,
                // A new term is a full one: how long the attempt has run does not matter.
                expires: now + stored.term_ms,
                began: now as i64 - stored.age_ms as i64,
                started: false,
                has_slot: false,
                order: 0,
                is_suspect: false,
                is_alone,
            },
        );
    }
}

/// The open tasks by ascending id.
#[derive(Default)]
struct Open {
    tasks: Vec<(TaskId, Slot)>,
}

impl Open {
    fn push(&mut self, id: TaskId, slot: Slot) {
        debug_assert!(self.tasks.last().is_none_or(|&(last, _)| last < id));
        self.tasks.push((id, slot));
    }

    fn find(&self, id: TaskId) -> Option<Slot> {
        let found = self.tasks.binary_search_by_key(&id, |&(id, _)| id).ok()?;
        Some(self.tasks[found].1)
    }
}
