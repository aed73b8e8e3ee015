//! The ready tasks in the order in which they are given out.
//!
//! Larger priority first. Within one: tasks given back; tasks made ready by a completion, newest
//! first (chains finish early, as in dwork); new tasks, oldest first. The class is ordered, so that
//! queues or classes of resources can become its first part. Tasks that are tried alone are on lists of
//! their own: not everybody may have them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::list::List;
use super::origin::Origin;
use super::slot::Slot;
use super::task::Tasks;

/// Tasks of one class are on one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Class {
    priority: Reverse<i32>,
    origin: Origin,
}

impl Class {
    fn of(tasks: &Tasks, slot: Slot) -> Self {
        let task = tasks.get(slot);
        Self { priority: Reverse(task.effective), origin: task.origin }
    }
}

#[derive(Default)]
pub struct ReadySet {
    /// None is empty.
    classes: BTreeMap<Class, List>,
    alone: BTreeMap<Class, List>,
}

impl ReadySet {
    pub fn insert(&mut self, tasks: &mut Tasks, slot: Slot, origin: Origin) {
        tasks.get_mut(slot).origin = origin;
        let list = self.classes(origin).entry(Class::of(tasks, slot)).or_default();
        match origin {
            Origin::Enabled => list.push_front(tasks, slot),
            Origin::Alone | Origin::GivenBack | Origin::New => list.push_back(tasks, slot),
        }
    }

    fn classes(&mut self, origin: Origin) -> &mut BTreeMap<Class, List> {
        if origin == Origin::Alone { &mut self.alone } else { &mut self.classes }
    }

    /// It must be in the set.
    pub fn remove(&mut self, tasks: &mut Tasks, slot: Slot) {
        let class = Class::of(tasks, slot);
        let classes = self.classes(class.origin);
        if let Some(list) = classes.get_mut(&class) {
            list.remove(tasks, slot);
            if list.first().is_none() {
                classes.remove(&class);
            }
        }
    }

    /// Of those that everybody may have.
    pub fn first(&self) -> Option<Slot> {
        first(&self.classes).map(|(_, slot)| slot)
    }

    /// Of those that are tried alone.
    pub fn first_alone(&self) -> Option<Slot> {
        first(&self.alone).map(|(_, slot)| slot)
    }

    /// Of all.
    pub fn first_of_all(&self) -> Option<Slot> {
        [first(&self.classes), first(&self.alone)].into_iter().flatten().min().map(|(_, slot)| slot)
    }
}

fn first(classes: &BTreeMap<Class, List>) -> Option<(Class, Slot)> {
    let (class, list) = classes.first_key_value()?;
    Some((*class, list.first()?))
}
