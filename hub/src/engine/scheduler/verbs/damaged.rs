//! A task whose row is not what was written fails: nobody knows any more what it was to run.

use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;
use crate::engine::scheduler::state::slot::Slot;

pub use dhub_proto::DAMAGED;

impl Scheduler {
    pub(crate) fn damaged(&mut self, names: &[Name]) {
        for name in names {
            if let Some(slot) = self.tasks.find(name) {
                self.damaged_one(slot);
            }
        }
    }

    fn damaged_one(&mut self, slot: Slot) {
        let report = Report { reason: Some(DAMAGED.into()), ..Report::default() };
        let task = self.tasks.get_mut(slot);
        let (id, name) = (task.id, task.name.clone());
        match task.state {
            State::Running => {
                let (attempt, holder) = (task.attempt, task.holder);
                self.end_attempt(slot, Ended::Failed, report);
                self.finish(slot, State::Failed, id);
                self.tell_lost(holder, name, attempt);
            }
            // An attempt that nobody made has the reason.
            State::Ready | State::Waiting => {
                (task.attempt, task.holder) = (task.attempt + 1, NOBODY);
                self.end_attempt(slot, Ended::Failed, report);
                self.finish(slot, State::Failed, id);
            }
            _ => {}
        }
    }
}

/// Workers count from 1.
const NOBODY: WorkerId = 0;
