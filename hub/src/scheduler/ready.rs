//! The ready tasks in the order in which they are given out.
//!
//! Larger priority first. Within one: tasks given back; tasks made ready by a completion, newest
//! first (chains finish early, as in dwork); new tasks, oldest first. The class is ordered, so that
//! queues or classes of resources can become its first part.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::list::List;
use super::task::{Slot, Tasks};
use crate::planted::{Bug, planted};

/// Why a task is ready, which decides its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    GivenBack,
    Enabled,
    New,
}

/// Tasks of one class are on one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Class {
    priority: Reverse<i32>,
    origin: Origin,
}

impl Class {
    fn of(tasks: &Tasks, slot: Slot) -> Self {
        let task = tasks.get(slot);
        let priority = if planted(Bug::PriorityIgnored) { 0 } else { task.priority };
        Self { priority: Reverse(priority), origin: task.origin }
    }
}

#[derive(Default)]
pub struct ReadySet {
    /// None is empty.
    classes: BTreeMap<Class, List>,
}

impl ReadySet {
    pub fn insert(&mut self, tasks: &mut Tasks, slot: Slot, origin: Origin) {
        tasks.get_mut(slot).origin = origin;
        let list = self.classes.entry(Class::of(tasks, slot)).or_default();
        match origin {
            Origin::Enabled if planted(Bug::OldestEnabledFirst) => list.push_back(tasks, slot),
            Origin::New if planted(Bug::NewestNewFirst) => list.push_front(tasks, slot),
            Origin::Enabled => list.push_front(tasks, slot),
            Origin::GivenBack | Origin::New => list.push_back(tasks, slot),
        }
    }

    /// It must be in the set.
    pub fn remove(&mut self, tasks: &mut Tasks, slot: Slot) {
        let class = Class::of(tasks, slot);
        if let Some(list) = self.classes.get_mut(&class) {
            list.remove(tasks, slot);
            if list.first().is_none() {
                self.classes.remove(&class);
            }
        }
    }

    pub fn first(&self) -> Option<Slot> {
        self.classes.first_key_value().and_then(|(_, list)| list.first())
    }

    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }
}
