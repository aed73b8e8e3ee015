//! The ready tasks in the order in which they are given out.
//!
//! Larger priority first. Within one: tasks given back; tasks made ready by a completion, newest
//! first (chains finish early, as in dwork); new tasks, oldest first. The key is ordered, so that
//! queues or classes of resources can become its first part.

use std::collections::BTreeMap;

use super::task::Slot;

/// Why a task is ready, which decides its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    GivenBack,
    Enabled,
    #[default]
    New,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReadyKey {
    /// Larger priorities sort first.
    lower: i64,
    origin: Origin,
    order: u64,
}

#[derive(Default)]
pub struct ReadySet {
    keys: BTreeMap<ReadyKey, Slot>,
    sequence: u64,
}

impl ReadySet {
    pub fn insert(&mut self, slot: Slot, priority: i32, origin: Origin) -> ReadyKey {
        self.sequence += 1;
        let order = match origin {
            Origin::Enabled => u64::MAX - self.sequence,
            Origin::GivenBack | Origin::New => self.sequence,
        };
        let key = ReadyKey { lower: -i64::from(priority), origin, order };
        self.keys.insert(key, slot);
        key
    }

    pub fn remove(&mut self, key: ReadyKey) {
        self.keys.remove(&key);
    }

    pub fn first(&self) -> Option<Slot> {
        self.keys.first_key_value().map(|(_, &slot)| slot)
    }

    pub fn pop(&mut self) -> Option<Slot> {
        self.keys.pop_first().map(|(_, slot)| slot)
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}
