//! Tasks leave memory when the tables have their end.

use super::Scheduler;
use super::state::slot::{NONE, Slot};
use crate::engine::message::*;

/// Of a task from memory. One that came back in between leaves another time.
pub(super) struct Parting {
    slot: Slot,
    id: TaskId,
    number: u32,
}

impl Scheduler {
    /// All changes so far are committed, as this turn.
    pub fn committed(&mut self, turn: Turn) {
        self.workers.committed(turn);
        if !self.left.is_empty() {
            self.leaving.push_back((turn, std::mem::take(&mut self.left)));
        }
    }

    /// The tables have all changes up to this turn: what memory need not hold is the store's alone now.
    pub fn folded(&mut self, turn: Turn) {
        self.workers.folded(turn);
        while let Some((_, left)) = self.leaving.pop_front_if(|(until, _)| *until <= turn) {
            left.into_iter().for_each(|parting| self.forget(parting));
        }
    }

    /// The task leaves memory once the tables have what was said of it so far.
    pub(crate) fn let_go(&mut self, slot: Slot) {
        self.partings = self.partings.wrapping_add(1) % NONE;
        let task = self.tasks.get_mut(slot);
        task.lease = self.partings;
        self.left.push(Parting { slot, id: task.id, number: task.lease });
    }

    /// Unless somebody waits for that name again, or added it: then only its next parting counts.
    fn forget(&mut self, Parting { slot, id, number }: Parting) {
        let task = self.tasks.get_if(slot, id).filter(|task| task.lease == number);
        match task.map(|task| (task.state, task.pending)) {
            Some((State::Missing, 0)) => {
                // Frees the edges, which nobody is at the other end of.
                self.edges.take_succ(&mut self.tasks, slot);
                self.counts.down(State::Missing);
                self.missing.remove(&mut self.tasks, slot);
                self.tasks.remove(slot);
            }
            Some((state, _)) if state.is_finished() => {
                self.blames.remove(&slot);
                self.tasks.remove(slot);
            }
            _ => {}
        }
    }
}
