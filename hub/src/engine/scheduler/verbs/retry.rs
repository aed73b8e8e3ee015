//! A person's retry: finished tasks, read from the store, become unfinished ones again.

use std::collections::HashMap;

use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;
use crate::engine::scheduler::state::origin::Origin;
use crate::engine::scheduler::state::slot::{NONE, Slot};

impl Scheduler {
    /// Brings back those whose dependencies can still be done; the others get a new one to blame.
    pub(crate) fn revive(&mut self, ticket: Ticket, tasks: Vec<Revived>) {
        // What is about to be skipped must not be skipped for a failure that is being retried.
        self.skip_doomed(usize::MAX);
        let (mut retried, mut unskipped) = (0, 0);
        let mut refused = Vec::new();
        // The store does not know yet what this request changes.
        let mut blamed: HashMap<TaskId, TaskId> = HashMap::new();
        for Revived { task, state, dependent } in tasks {
            if self.tasks.find(&task.name).is_some() {
                continue;
            }
            match task.needs.iter().find_map(|need| Some((need, self.dead(need)?))) {
                None => {
                    self.reopen(task, state);
                    *(if dependent { &mut unskipped } else { &mut retried }) += 1;
                }
                Some((need, (_, blame))) if state == State::Skipped => {
                    let blame = blamed.get(&need.id).copied().unwrap_or(blame);
                    blamed.insert(task.id, blame);
                    self.changes.push(Change::Blamed { task: task.id, blame });
                }
                Some((need, (dead, _))) => refused.push(Refused {
                    message: why_not(&need.name, dead).into(),
                    name: task.name,
                    attempt: 0,
                    code: Code::State,
                }),
            }
        }
        self.answer(ticket, Answer::Revived { retried, unskipped, refused: refused.into() });
    }

    pub(crate) fn hasten(&mut self, ticket: Ticket, names: &[Name]) {
        let mut retried = 0;
        for name in names {
            if let Some(slot) = self.tasks.find(name)
                && self.backoff.remove(slot)
            {
                self.make_ready(slot, Origin::GivenBack);
                retried += 1;
            }
        }
        self.answer(
            ticket,
            Answer::Revived { retried, unskipped: 0, refused: Refusals::default() },
        );
    }

    /// What became of a dependency that can not be done, and the one to blame. Memory knows better than the store.
    fn dead(&self, need: &Need) -> Option<(State, TaskId)> {
        let (state, blame) = match self.tasks.find(&need.name) {
            Some(slot) => {
                let blame = self.blame(slot);
                (self.tasks.get(slot).state, blame)
            }
            None => (need.state, need.blame),
        };
        state.is_dead().then_some((state, blame))
    }

    fn reopen(&mut self, stored: StoredTask, from: State) {
        self.counts.down(from);
        let slot = self.insert(stored.id, stored.name.clone(), State::Waiting);
        self.changes.push(Change::Reopened { task: stored.id });
        self.fill(slot, &stored);
        let task = self.tasks.get_mut(slot);
        // The two counters start again; the attempts go on, they fence.
        (task.failures, task.reclaims) = (0, 0);
        for need in &stored.needs {
            self.wait_for(slot, need);
        }
        if self.tasks.get(slot).pending == 0 {
            self.make_ready(slot, Origin::New);
        }
    }

    /// Takes over what the store has of a task, but for its dependencies.
    pub(crate) fn fill(&mut self, slot: Slot, stored: &StoredTask) {
        let task = self.tasks.get_mut(slot);
        task.definition = stored.definition;
        task.priority = stored.priority;
        task.effective = task.effective.max(stored.priority);
        task.retries = stored.retries;
        task.failures = stored.failures;
        task.reclaims = stored.reclaims;
        task.attempt = stored.attempt;
        task.details_bytes = stored.details_bytes;
        task.holder = NONE;
    }

    /// An edge to a stored dependency that is unfinished or missing; none to a done one.
    pub(crate) fn wait_for(&mut self, slot: Slot, need: &Need) {
        if let Some(pred) = self.tasks.find(&need.name) {
            if !self.tasks.get(pred).state.is_finished() {
                self.add_edge(pred, slot);
            }
        } else if need.state == State::Missing {
            let pred = self.insert(need.id, need.name.clone(), State::Missing);
            self.add_edge(pred, slot);
        }
    }
}

/// What it needs comes first, and how.
fn why_not(need: &str, state: State) -> String {
    let what = match state {
        State::Cancelled => "was cancelled",
        State::Skipped => "was skipped",
        _ => "has failed",
    };
    let name = dhub_proto::shell::name(need);
    format!("it needs '{need}', which {what}; first: dquery retry {name}")
}
