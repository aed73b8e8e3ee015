//! Release: tasks are given back unstarted, and may have others to wait for.

use std::collections::HashSet;

use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;
use crate::engine::scheduler::state::task::Newest;

impl Scheduler {
    pub(crate) fn release(
        &mut self,
        now: Millis,
        ticket: Ticket,
        who: &Who,
        attempts: &[AttemptRef],
        needs: Vec<Vec<Name>>,
        past: &Past,
    ) {
        let own = self.see(now, who);
        let mut released = 0;
        let mut refused = Vec::new();
        // Names to wait for are a request's own, so a cycle refuses all of it before anything moves.
        let further = attempts.iter().zip(needs).filter(|(_, needs)| !needs.is_empty());
        let further: Vec<(Name, Vec<Name>)> =
            further.map(|(attempt, needs)| (attempt.name.clone(), needs)).collect();
        if let Err(answer) = self.check_further(&further) {
            return self.answer(ticket, answer);
        }
        for attempt in attempts {
            match self.leased_to(who, own, &attempt.name, attempt.attempt) {
                Some(slot) => {
                    self.put_back(slot);
                    released += 1;
                }
                None => {
                    if let Err((code, message)) = self.not_held(who, own, attempt, past) {
                        let (name, attempt) = (attempt.name.clone(), attempt.attempt);
                        refused.push(Refused { name, attempt, code, message: message.into() });
                    }
                }
            }
        }
        let not_held: HashSet<&Name> = refused.iter().map(|refused| &refused.name).collect();
        for (name, needs) in further {
            if !not_held.contains(&name) {
                self.add_further(&name, &needs, past);
            }
        }
        self.answer(ticket, Answer::Released { released, refused });
    }

    /// Why a task that is not held cannot be given back; Ok if it was given back before.
    fn not_held(
        &self,
        who: &Who,
        own: Option<WorkerId>,
        attempt: &AttemptRef,
        past: &Past,
    ) -> Result<(), (Code, &'static str)> {
        let Some(slot) = self.tasks.find(&attempt.name) else {
            return Err(match past.get(&attempt.name) {
                Some(past) if past.state != State::Missing => (Code::Stale, "it is finished"),
                _ => (Code::NotFound, "there is no such task"),
            });
        };
        let task = self.tasks.get(slot);
        let held = self.may_act(who, own, task.holder);
        let newest = attempt.attempt == 0 && held;
        let same = (task.attempt == attempt.attempt || newest) && task.attempt > 0;
        match task.state {
            State::Missing => Err((Code::NotFound, "there is no such task")),
            State::Ready | State::Waiting if same && task.newest == Newest::Void => Ok(()),
            State::Ready | State::Waiting if task.newest == Newest::Reclaimed && held => Ok(()),
            State::Running => Err((Code::Stale, "another worker holds it")),
            State::Ready | State::Waiting => Err((Code::Stale, "no worker holds it")),
            _ => Err((Code::Stale, "it is finished")),
        }
    }
}
