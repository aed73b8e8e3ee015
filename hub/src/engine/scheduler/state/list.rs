//! A list of tasks that goes through the tasks themselves; a task is on one list at a time.

use super::slot::{NONE, Slot};
use super::task::Tasks;

#[derive(Clone, Copy, Debug)]
pub struct List {
    first: Slot,
    last: Slot,
}

impl Default for List {
    fn default() -> Self {
        Self { first: NONE, last: NONE }
    }
}

impl List {
    pub fn push_front(&mut self, tasks: &mut Tasks, slot: Slot) {
        let first = self.first;
        self.join(tasks, NONE, slot);
        self.join(tasks, slot, first);
    }

    pub fn push_back(&mut self, tasks: &mut Tasks, slot: Slot) {
        self.join(tasks, self.last, slot);
        self.join(tasks, slot, NONE);
    }

    /// It must be on this list.
    pub fn remove(&mut self, tasks: &mut Tasks, slot: Slot) {
        let task = tasks.get(slot);
        self.join(tasks, task.previous, task.next);
    }

    /// One comes right after the other; NONE stands for the end of the list.
    fn join(&mut self, tasks: &mut Tasks, previous: Slot, next: Slot) {
        match previous {
            NONE => self.first = next,
            previous => tasks.get_mut(previous).next = next,
        }
        match next {
            NONE => self.last = previous,
            next => tasks.get_mut(next).previous = previous,
        }
    }

    pub fn first(&self) -> Option<Slot> {
        (self.first != NONE).then_some(self.first)
    }

    pub fn iter(self, tasks: &Tasks) -> impl Iterator<Item = Slot> {
        std::iter::successors(self.first(), |&slot| {
            let next = tasks.get(slot).next;
            (next != NONE).then_some(next)
        })
    }
}
