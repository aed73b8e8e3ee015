//! A list of tasks that goes through the tasks themselves; a task is on one list at a time.

use super::task::{NONE, Slot, Tasks};

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
        let task = tasks.get_mut(slot);
        (task.previous, task.next) = (NONE, self.first);
        match self.first {
            NONE => self.last = slot,
            first => tasks.get_mut(first).previous = slot,
        }
        self.first = slot;
    }

    pub fn push_back(&mut self, tasks: &mut Tasks, slot: Slot) {
        let task = tasks.get_mut(slot);
        (task.previous, task.next) = (self.last, NONE);
        match self.last {
            NONE => self.first = slot,
            last => tasks.get_mut(last).next = slot,
        }
        self.last = slot;
    }

    /// It must be on this list.
    pub fn remove(&mut self, tasks: &mut Tasks, slot: Slot) {
        let task = tasks.get(slot);
        let (previous, next) = (task.previous, task.next);
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
