//! Adjust: a person holds tasks, lets them go, or changes their priority.
//!
//! A task that is held waits, whatever it has to wait for besides. One that runs goes on; it is
//! held when it comes back.

use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;
use crate::engine::scheduler::state::slot::Slot;

impl Scheduler {
    pub(crate) fn adjust(&mut self, ticket: Ticket, names: Vec<Name>, to: Adjustment, past: &Past) {
        let mut adjusted = 0;
        let mut refused = Vec::new();
        for name in names {
            let slot = self.tasks.find(&name);
            let state = match slot {
                Some(slot) => self.tasks.get(slot).state,
                None => past.get(&name).map_or(State::Missing, |past| past.state),
            };
            match slot.filter(|_| state.is_unfinished()) {
                Some(slot) => {
                    self.adjust_one(slot, to);
                    adjusted += 1;
                }
                None => {
                    let (code, message) = state.refusal();
                    refused.push(Refused { name, attempt: 0, code, message: message.into() });
                }
            }
        }
        self.answer(ticket, Answer::Adjusted { adjusted, refused: refused.into() });
    }

    fn adjust_one(&mut self, slot: Slot, to: Adjustment) {
        let task = self.tasks.get(slot);
        let (held, priority) = match to {
            Adjustment::Held(held) => (held, task.priority),
            Adjustment::Priority(priority) => (task.held, priority),
        };
        if (held, priority) == (task.held, task.priority) {
            return;
        }
        let (id, is_ready, origin) = (task.id, task.state == State::Ready, task.origin);
        // Its place depends on both.
        if is_ready {
            self.ready.remove(&mut self.tasks, slot);
            self.set_state(slot, State::Waiting);
        }
        self.set_held(slot, held);
        if priority != self.tasks.get(slot).priority {
            self.set_priority(slot, priority);
        }
        self.changes.push(Change::Adjusted { task: id, held, priority });
        let task = self.tasks.get(slot);
        let waits_for_nothing =
            task.state == State::Waiting && task.pending == 0 && self.backoff.until(slot).is_none();
        if waits_for_nothing {
            self.make_ready(slot, origin);
        }
    }

    pub(crate) fn set_held(&mut self, slot: Slot, held: bool) {
        let task = self.tasks.get_mut(slot);
        self.held = self.held - u64::from(task.held) + u64::from(held);
        task.held = held;
    }
}
