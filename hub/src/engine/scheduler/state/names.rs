//! Finds tasks by name.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::slot::Slot;

/// A table that grows or shrinks is copied. With one for all, millions of entries at once would stop
/// the hub for a second; with so many, two milliseconds.
const TABLES: usize = 64;
/// A table shrinks when it could hold so many times what it has.
const SHRINK: usize = 8;
/// But not below this.
const CAPACITY_MIN: usize = 56;

/// With its hash, so that neither growing nor looking for another name has to look at the task.
#[derive(Clone, Copy)]
struct Entry {
    hash: u32,
    slot: Slot,
}

pub struct Names {
    tables: Vec<HashTable<Entry>>,
    hasher: DefaultHashBuilder,
}

impl Default for Names {
    fn default() -> Self {
        let tables = (0..TABLES).map(|_| HashTable::new()).collect();
        Self { tables, hasher: DefaultHashBuilder::default() }
    }
}

/// A table takes its places from the low bits of this, and its tags from the high ones.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

impl Names {
    /// Which table, and the hash within it.
    fn hash(&self, name: &str) -> (usize, u32) {
        let hash = self.hasher.hash_one(name);
        ((hash >> 32) as usize % TABLES, hash as u32)
    }

    /// The name must not be there.
    pub fn insert(&mut self, name: &str, slot: Slot) {
        let (table, hash) = self.hash(name);
        let entry = Entry { hash, slot };
        self.tables[table].insert_unique(spread(hash), entry, |entry| spread(entry.hash));
    }

    pub fn remove(&mut self, name: &str, slot: Slot) {
        let (table, hash) = self.hash(name);
        let table = &mut self.tables[table];
        if let Ok(entry) = table.find_entry(spread(hash), |entry| entry.slot == slot) {
            entry.remove();
        }
        if table.capacity() > CAPACITY_MIN.max(table.len() * SHRINK) {
            table.shrink_to(CAPACITY_MIN.max(table.len() * 2), |entry| spread(entry.hash));
        }
    }

    /// The task of which `is_it` is true, among those that may have this name.
    pub fn find(&self, name: &str, is_it: impl Fn(Slot) -> bool) -> Option<Slot> {
        let (table, hash) = self.hash(name);
        let found = self.tables[table]
            .find(spread(hash), |entry| entry.hash == hash && is_it(entry.slot))?;
        Some(found.slot)
    }
}
