//! Complete: an outcome counts once, and only from the newest attempt.

use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;
use crate::engine::scheduler::state::backoff::delay_ms;
use crate::engine::scheduler::state::lease::Lease;
use crate::engine::scheduler::state::slot::{NONE, Slot};
use crate::engine::scheduler::state::task::Newest;

type Refusal = (Code, &'static str);

impl Scheduler {
    pub(crate) fn complete(
        &mut self,
        now: Millis,
        ticket: Ticket,
        who: &Who,
        outcomes: Vec<Outcome>,
        want: Option<Steal>,
        past: &Past,
    ) {
        let own = self.see(now, who);
        let mut refused = Vec::new();
        let found = self.tasks.find_all(outcomes.iter().map(|outcome| &outcome.name));
        for (mut outcome, slot) in outcomes.into_iter().zip(found) {
            if let Err((code, message)) = self.record(now, who, own, &mut outcome, slot, past) {
                let Outcome { name, attempt, .. } = outcome;
                refused.push(Refused { name, attempt, code, message: message.into() });
            }
        }
        if let (Some(own), Some(steal)) = (own, &want) {
            self.note_waiting(own, steal);
        }
        // What waits there has slots by now.
        own.into_iter().for_each(|own| self.fill_slots(own));
        let stolen = want.and_then(|steal| {
            if let Some(client) = steal.client {
                self.workers.check_client(&(who.key.clone(), client)).ok()?;
            }
            let worker = self.see_or_add(now, who).ok()?;
            self.note_waiting(worker, &steal);
            let repeated = self.repeated(worker, &steal);
            let fresh = repeated.is_none();
            let leases = repeated.unwrap_or_else(|| self.grant(now, worker, &steal));
            Some(Stolen { fresh, ..self.stolen(worker, leases) })
        });
        self.answer(ticket, Answer::Completed { refused, stolen });
    }

    /// Takes the report of the outcome if it counts.
    fn record(
        &mut self,
        now: Millis,
        who: &Who,
        own: Option<WorkerId>,
        outcome: &mut Outcome,
        slot: Option<Slot>,
        past: &Past,
    ) -> Result<(), Refusal> {
        let Some(slot) = slot else {
            return match past.get(&outcome.name) {
                Some(finished) => self.repeat_of_finished(who, own, outcome, finished),
                None => Err((Code::NotFound, "there is no such task")),
            };
        };
        if self.tasks.get(slot).state.is_finished() {
            return self.repeat_of_finished(who, own, outcome, &self.finished(slot));
        }
        let task = self.tasks.get(slot);
        match (task.state, task.newest) {
            (State::Missing, _) => return Err((Code::NotFound, "there is no such task")),
            _ if outcome.attempt > task.attempt => {
                return Err((Code::NotFound, "that attempt was never given out"));
            }
            _ if outcome.attempt != 0 && outcome.attempt < task.attempt => {
                return Err((Code::Stale, "it was stolen again meanwhile"));
            }
            _ if task.attempt == 0 => return Err((Code::State, "it was never stolen")),
            (_, Newest::Void) => return Err((Code::Stale, "it was given back")),
            _ if !self.may_act(who, own, task.holder) => {
                return Err((Code::Stale, "another worker held it last"));
            }
            (_, Newest::Failed) if outcome.verdict == Verdict::Failed => return Ok(()),
            (_, Newest::Failed) => return Err((Code::Stale, "it has failed already")),
            (State::Running | State::Ready, Newest::Held | Newest::Reclaimed) => {}
            // Held since it was reclaimed; what came of it counts all the same.
            (State::Waiting, Newest::Reclaimed) if task.held && task.pending == 0 => {}
            _ => return Err((Code::Stale, "it waits for others again")),
        }
        let report = std::mem::take(&mut outcome.report);
        match outcome.verdict {
            Verdict::Done => self.done(slot, report),
            Verdict::Failed => self.failed(now, slot, outcome.is_final, report),
        }
        Ok(())
    }

    /// The same outcome again is fine; any other comes too late.
    fn repeat_of_finished(
        &self,
        who: &Who,
        own: Option<WorkerId>,
        outcome: &Outcome,
        past: &PastTask,
    ) -> Result<(), Refusal> {
        let state = match outcome.verdict {
            Verdict::Done => State::Done,
            Verdict::Failed => State::Failed,
        };
        let is_it = |holder| self.may_act(who, own, holder);
        match past.state {
            State::Missing => Err((Code::NotFound, "there is no such task")),
            _ if outcome.attempt > past.attempt => {
                Err((Code::NotFound, "that attempt was never given out"))
            }
            _ if outcome.attempt != 0 && outcome.attempt < past.attempt => {
                Err((Code::Stale, "it was stolen again meanwhile"))
            }
            _ if past.state == state && past.holder.is_some_and(is_it) => Ok(()),
            State::Done => Err((Code::Stale, "it is done already")),
            State::Failed => Err((Code::Stale, "it has failed already")),
            State::Cancelled => Err((Code::Stale, "it was cancelled")),
            _ => Err((Code::Stale, "it was skipped")),
        }
    }

    /// A finished task in memory, as the store will have it.
    fn finished(&self, slot: Slot) -> PastTask {
        let task = self.tasks.get(slot);
        PastTask {
            id: task.id,
            state: task.state,
            definition: task.definition,
            attempt: task.attempt,
            holder: (task.holder != NONE).then_some(task.holder),
            blame: self.blame(slot),
        }
    }

    fn done(&mut self, slot: Slot, report: Report) {
        self.end_attempt(slot, Ended::Done, report);
        self.finish(slot, State::Done, 0);
    }

    fn failed(&mut self, now: Millis, slot: Slot, is_final: bool, report: Report) {
        self.end_attempt(slot, Ended::Failed, report);
        let task = self.tasks.get_mut(slot);
        task.failures += 1;
        task.reclaims = 0;
        task.newest = Newest::Failed;
        if task.failures > task.retries || is_final {
            let id = task.id;
            return self.finish(slot, State::Failed, id);
        }
        if task.state == State::Running {
            let delay_ms = delay_ms(self.config.retry_delay_ms, task.failures);
            self.end_lease(slot);
            return match delay_ms {
                0 => self.give_back(slot),
                _ => self.put_off(slot, now + delay_ms),
            };
        }
        // Reclaimed before: it is ready already, or held; only its counters change.
        let (id, attempt, failures) = (task.id, task.attempt, task.failures);
        self.changes.push(Change::Back { task: id, attempt, failures, reclaims: 0 });
        self.not_alone(slot);
    }

    pub(crate) fn end_attempt(&mut self, slot: Slot, how: Ended, mut report: Report) {
        report.run_ms = self.ran_ms(slot, report.run_ms);
        let task = self.tasks.get(slot);
        let (id, attempt, worker) = (task.id, task.attempt, task.holder);
        if let Some(worker) = self.workers.get_mut(worker) {
            match how {
                Ended::Done => worker.done += 1,
                Ended::Failed => worker.failed += 1,
                Ended::Reclaimed | Ended::Cancelled => {}
            }
        }
        self.changes.push(Change::Ended { task: id, attempt, worker, how, report });
    }

    /// How long the attempt ran, as its worker says. No longer than the hub knows of it; and that long, if nobody says.
    fn ran_ms(&self, slot: Slot, said: Option<u64>) -> Option<u64> {
        let held = self.leases.find(self.tasks.get(slot).lease).and_then(|it| self.held_ms(it));
        match (said, held) {
            (Some(said), Some(held)) => Some(said.min(held)),
            (said, held) => said.or(held),
        }
    }

    /// Since when it is held by the hub's monotonic clock. Of what an earlier hub gave out only the wall clock tells.
    pub(crate) fn held_ms(&self, lease: &Lease) -> Option<u64> {
        let now = self.last_turn.filter(|_| lease.order > 0)?;
        Some((now as i64 - lease.began).max(0) as u64)
    }

    /// Adds dependencies to a waiting or ready task; a running one keeps running.
    pub(crate) fn add_needs(&mut self, slot: Slot, needs: &[Name], past: &Past) {
        let known: std::collections::HashSet<Slot> = self.edges.preds(&self.tasks, slot).collect();
        let mut added = Vec::new();
        let mut doomed_by = None;
        for need in needs {
            match self.resolve(need, None, past) {
                Resolved::Open(pred) if !known.contains(&pred) => {
                    added.push(self.tasks.get(pred).id);
                    self.add_edge(pred, slot);
                }
                Resolved::Open(_) => {}
                // Nothing to wait for; and sent again and again it would make the row grow.
                Resolved::Done(_) => {}
                Resolved::Dead { id, blame } => {
                    added.push(id);
                    doomed_by = Some(blame);
                }
            }
        }
        let task = self.tasks.get(slot);
        let (id, state, pending) = (task.id, task.state, task.pending);
        if !added.is_empty() {
            self.changes.push(Change::Needs { task: id, needs: added });
        }
        if let Some(blame) = doomed_by {
            self.finish(slot, State::Skipped, blame);
        } else if state == State::Ready && pending > 0 {
            self.ready.remove(&mut self.tasks, slot);
            self.set_state(slot, State::Waiting);
        } else if state == State::Waiting && pending > 0 {
            // It has others to wait for, which takes its own time.
            self.backoff.remove(slot);
        }
    }
}

/// What a name stands for when something depends on it.
pub(crate) enum Resolved {
    Open(Slot),
    Done(TaskId),
    Dead { id: TaskId, blame: TaskId },
}
