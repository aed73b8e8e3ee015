//! The tasks that memory holds: those not finished, and those whose end the tables do
//! not have yet.
//!
//! A slot is an index that stays the same while the task is in memory.

use super::names::Names;
use super::origin::Origin;
use super::slab::Slab;
use super::slot::{NONE, Slot};
use crate::engine::message::{Name, State, TaskId, WorkerId};

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
    pub state: State,
    pub newest: Newest,
    /// Why it is ready.
    pub origin: Origin,
    /// It is not given out until a person says so.
    pub held: bool,
    /// Neighbours on the list of the ready tasks like it, or of the missing ones.
    pub previous: Slot,
    pub next: Slot,
    pub priority: i32,
    /// The largest of its own priority and those of all that need it.
    pub effective: i32,
    pub retries: u32,
    pub failures: u32,
    pub reclaims: u32,
    /// Size of what the store has for a worker besides the name; 0 if there is nothing.
    pub details_bytes: u32,
    pub attempt: u32,
    /// Who held the newest attempt; NONE if nobody.
    pub holder: WorkerId,
    /// The lease of a running task; of one that is to leave memory, which parting that is; NONE
    /// otherwise.
    pub lease: u32,
    /// Dependencies that are not done. Of a missing task: the tasks that wait for it.
    pub pending: u32,
    /// First edge to a task that waits for this one.
    pub first_succ: u32,
    /// First edge to a task that this one waits for.
    pub first_pred: u32,
}

/// There may be millions: what is added here is added to each.
const _: () = assert!(size_of::<Option<Task>>() <= 104);

impl Task {
    pub fn new(id: TaskId, name: Name, state: State) -> Self {
        Self {
            id,
            name,
            definition: 0,
            state,
            newest: Newest::Void,
            origin: Origin::New,
            held: false,
            previous: NONE,
            next: NONE,
            priority: 0,
            effective: i32::MIN,
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
    slots: Slab<Option<Task>>,
    names: Names,
}

impl Tasks {
    pub fn insert(&mut self, task: Task) -> Slot {
        let name = task.name.clone();
        let slot = self.slots.insert(Some(task));
        self.names.insert(&name, slot);
        slot
    }

    /// The slot must be in use.
    pub fn remove(&mut self, slot: Slot) {
        if let Some(task) = self.slots.remove(slot) {
            self.names.remove(&task.name, slot);
        }
    }

    pub fn find(&self, name: &str) -> Option<Slot> {
        self.names.find(name, |slot| self.get(slot).name == name)
    }

    /// Many at once: the processor fetches what it needs to find one while it looks for others.
    pub fn find_all<'a>(&self, names: impl Iterator<Item = &'a Name>) -> Vec<Option<Slot>> {
        names.map(|name| self.find(name)).collect()
    }

    /// Panics if the slot is empty: slots come from the scheduler's own tables.
    pub fn get(&self, slot: Slot) -> &Task {
        self.slots[slot].as_ref().expect("a slot in use")
    }

    /// The task with this id, if it still has the slot.
    pub fn get_if(&self, slot: Slot, id: TaskId) -> Option<&Task> {
        self.slots.get(slot)?.as_ref().filter(|task| task.id == id)
    }

    /// If the slot is in use.
    pub fn get_some(&self, slot: Slot) -> Option<&Task> {
        self.slots.get(slot)?.as_ref()
    }

    pub fn get_mut(&mut self, slot: Slot) -> &mut Task {
        self.slots[slot].as_mut().expect("a slot in use")
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Slots from `from` on, in no order that means anything; for reading in slices.
    pub fn iter_from(&self, from: Slot) -> impl Iterator<Item = (Slot, &Task)> {
        self.slots.iter_from(from).filter_map(|(slot, task)| Some((slot, task.as_ref()?)))
    }
}
