//! The tasks that memory holds: those not finished, and those whose end the tables do
//! not have yet.
//!
//! A slot is an index that stays the same while the task is in memory. Names are found through a
//! table of slots, so that each name is stored once.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use serde::{Deserialize, Serialize};

use super::message::{Name, TaskId, WorkerId};
use super::ready::ReadyKey;

/// Index into the tasks in memory.
pub type Slot = u32;
pub const NONE: u32 = u32::MAX;

/// The one enum of states; `may_become` is the one table of moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum State {
    /// Named as a dependency, added by nobody.
    Missing = 1,
    Waiting = 2,
    Ready = 3,
    Running = 4,
    Done = 5,
    Failed = 6,
    Skipped = 7,
    Cancelled = 8,
}

impl State {
    pub fn is_finished(self) -> bool {
        self as u8 >= State::Done as u8
    }

    /// Finished, and what depends on it can never run.
    pub fn is_dead(self) -> bool {
        self as u8 > State::Done as u8
    }

    /// The legal moves, as docs/architecture.md draws them.
    pub fn may_become(self, next: State) -> bool {
        use State::*;
        match self {
            Missing => matches!(next, Waiting),
            Waiting => matches!(next, Ready | Skipped | Cancelled),
            Ready => matches!(next, Waiting | Running | Done | Failed | Skipped | Cancelled),
            Running => matches!(next, Ready | Done | Failed | Cancelled),
            // A retry makes a new entry of it, in memory.
            Done | Failed | Skipped | Cancelled => false,
        }
    }
}

/// What became of the newest attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newest {
    /// Never stolen, given back unstarted, or of no account since a person's retry.
    Void,
    /// A worker holds it.
    Held,
    /// Taken back; its outcome still counts.
    Reclaimed,
    /// Failed, with retries left.
    Failed,
}

#[derive(Debug)]
pub struct Task {
    pub id: TaskId,
    pub name: Name,
    pub definition: u64,
    /// Its place in the ready set.
    pub ready: ReadyKey,
    pub state: State,
    pub newest: Newest,
    pub priority: i32,
    pub retries: u32,
    pub failures: u32,
    pub reclaims: u32,
    /// Size of what the store has for a worker besides the name; 0 if there is nothing.
    pub details_bytes: u32,
    pub attempt: u32,
    /// Who held the newest attempt; NONE if nobody.
    pub holder: WorkerId,
    /// The lease of a running task; NONE otherwise.
    pub lease: u32,
    /// Dependencies that are not done. Of a missing task: the tasks that wait for it.
    pub pending: u32,
    /// First edge to a task that waits for this one.
    pub first_succ: u32,
    /// First edge to a task that this one waits for.
    pub first_pred: u32,
}

impl Task {
    pub fn new(id: TaskId, name: Name, state: State) -> Self {
        Self {
            id,
            name,
            definition: 0,
            ready: ReadyKey::default(),
            state,
            newest: Newest::Void,
            priority: 0,
            retries: 0,
            failures: 0,
            reclaims: 0,
            details_bytes: 0,
            attempt: 0,
            holder: NONE,
            lease: NONE,
            pending: 0,
            first_succ: NONE,
            first_pred: NONE,
        }
    }
}

/// The tasks in memory, by slot and by name.
#[derive(Default)]
pub struct Tasks {
    slots: Vec<Option<Task>>,
    free: Vec<Slot>,
    names: HashTable<Slot>,
    hasher: DefaultHashBuilder,
}

impl Tasks {
    pub fn insert(&mut self, task: Task) -> Slot {
        let hash = self.hasher.hash_one(&*task.name);
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(task);
                slot
            }
            None => {
                self.slots.push(Some(task));
                (self.slots.len() - 1) as Slot
            }
        };
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.names.insert_unique(hash, slot, |&other| hash_of(slots, hasher, other));
        slot
    }

    pub fn remove(&mut self, slot: Slot) -> Option<Task> {
        let task = self.slots.get_mut(slot as usize)?.take()?;
        let hash = self.hasher.hash_one(&*task.name);
        if let Ok(entry) = self.names.find_entry(hash, |&other| other == slot) {
            entry.remove();
        }
        self.free.push(slot);
        Some(task)
    }

    pub fn find(&self, name: &str) -> Option<Slot> {
        let hash = self.hasher.hash_one(name);
        self.names
            .find(hash, |&slot| {
                self.slots[slot as usize].as_ref().is_some_and(|task| &*task.name == name)
            })
            .copied()
    }

    /// Panics if the slot is empty: slots come from the scheduler's own tables.
    pub fn get(&self, slot: Slot) -> &Task {
        self.slots[slot as usize].as_ref().expect("a slot in use")
    }

    /// The task with this id, if it still has the slot.
    pub fn get_if(&self, slot: Slot, id: TaskId) -> Option<&Task> {
        self.slots.get(slot as usize)?.as_ref().filter(|task| task.id == id)
    }

    pub fn get_mut(&mut self, slot: Slot) -> &mut Task {
        self.slots[slot as usize].as_mut().expect("a slot in use")
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Slots from `from` on, in no order that means anything; for reading in slices.
    pub fn iter_from(&self, from: Slot) -> impl Iterator<Item = (Slot, &Task)> {
        let from = (from as usize).min(self.slots.len());
        self.slots[from..]
            .iter()
            .enumerate()
            .filter_map(move |(i, task)| task.as_ref().map(|task| ((from + i) as Slot, task)))
    }
}

fn hash_of(slots: &[Option<Task>], hasher: &DefaultHashBuilder, slot: Slot) -> u64 {
    slots[slot as usize].as_ref().map_or(0, |task| hasher.hash_one(&*task.name))
}
