//! Cancel: what is not finished ends here, and what waits for it is skipped.

use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;

impl Scheduler {
    pub(crate) fn cancel(&mut self, ticket: Ticket, names: Vec<Name>, past: &Past) {
        let mut cancelled = 0;
        let mut refused = Vec::new();
        for name in names {
            let state = match self.tasks.find(&name) {
                Some(slot) => self.tasks.get(slot).state,
                None => past.get(&name).map_or(State::Missing, |past| past.state),
            };
            match state {
                State::Waiting | State::Ready | State::Running => {
                    self.cancel_one(&name);
                    cancelled += 1;
                    continue;
                }
                State::Cancelled => continue,
                _ => {}
            }
            let (code, message) = state.refusal();
            refused.push(Refused { name, attempt: 0, code, message: message.into() });
        }
        self.answer(ticket, Answer::Cancelled { cancelled, refused: refused.into() });
    }

    fn cancel_one(&mut self, name: &str) {
        let Some(slot) = self.tasks.find(name) else {
            return;
        };
        let task = self.tasks.get(slot);
        let (id, name, attempt, holder) = (task.id, task.name.clone(), task.attempt, task.holder);
        if task.state == State::Running {
            self.end_attempt(slot, Ended::Cancelled, Report::default());
            self.finish(slot, State::Cancelled, id);
            self.tell_lost(holder, name, attempt);
        } else {
            self.finish(slot, State::Cancelled, id);
        }
    }
}
