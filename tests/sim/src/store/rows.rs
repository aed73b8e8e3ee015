//! The tables, as schema.sql has them, and a little more that only the checks read.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use dhub::engine::message::*;
use dhub::engine::scheduler::State;
use dhub::engine::told::Kept;

#[derive(Clone, Debug)]
pub struct Row {
    pub id: TaskId,
    pub name: Name,
    /// `Waiting` stands for open, as in the store.
    pub state: State,
    pub definition: u64,
    pub priority: i32,
    pub retries: u32,
    pub details: Option<Rc<Details>>,
    pub attempt: u32,
    pub failures: u32,
    pub reclaims: u32,
    pub held: bool,
    pub blame: Option<TaskId>,
    pub needs: Vec<TaskId>,
    pub attempts: Vec<AttemptRow>,
    /// The highest attempt ever given out.
    pub leased: u32,
    /// The last one that was given back, and not because it ended.
    pub given_back: u32,
    /// A person has had it run again after it was done: those that needed it need it no more.
    pub redone: bool,
    /// How often it was finished before.
    pub reopens: u32,
    pub cancels: u32,
    pub adjusts: u32,
    /// Not stored: when it failed, if it waits for its next try.
    pub failed_at: Option<Millis>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttemptRow {
    pub attempt: u32,
    pub worker: WorkerId,
    pub how: Ended,
}

#[derive(Clone, Debug)]
pub struct LeaseRow {
    pub attempt: u32,
    pub worker: WorkerId,
    pub client: Option<ClientId>,
    pub number: u64,
    pub term_ms: u64,
    pub began_wall: i64,
    /// Not stored: when it should be reclaimed, on the clock of this life of the hub.
    pub expires: Millis,
    /// Not stored: the command that gave it out.
    pub step: u64,
}

#[derive(Clone, Default)]
pub struct Rows {
    tasks: Vec<Option<Row>>,
    names: BTreeMap<Name, TaskId>,
    pub leases: BTreeMap<TaskId, LeaseRow>,
    pub workers: BTreeMap<WorkerId, Who>,
    /// Tasks whose rows are not what was written.
    pub damaged: BTreeSet<TaskId>,
    /// Requests that may be sent again, by number.
    pub told: BTreeMap<u64, Kept>,
}

/// What a change cannot know by itself.
#[derive(Clone, Copy)]
pub struct Moment {
    pub now: Millis,
    pub wall: i64,
    pub step: u64,
}

impl Row {
    pub fn is_open(&self) -> bool {
        self.state == State::Waiting
    }

    pub fn ended(&self, attempt: u32) -> Option<&AttemptRow> {
        self.attempts.iter().find(|row| row.attempt == attempt)
    }
}

impl Rows {
    pub fn get(&self, id: TaskId) -> Option<&Row> {
        self.tasks.get(id as usize)?.as_ref()
    }

    pub fn find(&self, name: &str) -> Option<&Row> {
        self.names.get(name).and_then(|&id| self.get(id))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Row> {
        self.tasks.iter().flatten()
    }

    pub fn needs<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = &'a Row> {
        row.needs.iter().filter_map(|&id| self.get(id))
    }

    pub fn last_task(&self) -> TaskId {
        self.tasks.len().saturating_sub(1) as TaskId
    }

    pub fn count(&self, state: State) -> u64 {
        self.iter().filter(|row| row.state == state).count() as u64
    }

    pub fn worker(&self, who: &Who) -> Option<WorkerId> {
        let same = |known: &Who| known.is_called(who) && known.key == who.key;
        self.workers.iter().find(|(_, known)| same(known)).map(|(&id, _)| id)
    }

    /// As the worker itself, or as the owner in its place.
    pub fn may_act(&self, who: &Who, worker: WorkerId) -> bool {
        let is_one = |it: &Who| it.is_called(who) && (it.key == who.key || who.is_owner());
        self.workers.get(&worker).is_some_and(is_one)
    }

    /// Carries out a change as the store does, with as few questions.
    pub fn write(&mut self, change: &Change, at: Moment) {
        match change {
            Change::Added { id, task, needs, .. } => {
                let row = Row {
                    id: *id,
                    name: task.name.clone(),
                    state: State::Waiting,
                    definition: task.definition,
                    priority: task.priority,
                    retries: task.retries,
                    details: task.details.as_ref().map(|details| Rc::new((**details).clone())),
                    needs: needs.clone(),
                    ..missing(*id, &task.name)
                };
                self.insert(row);
            }
            Change::Missing { id, name } => self.insert(missing(*id, name)),
            Change::Needs { task, needs } => self.change(*task, |row| {
                row.needs.extend(needs);
                row.failed_at = None;
            }),
            Change::Worker { id, who } => {
                self.workers.insert(*id, who.clone());
            }
            Change::Host { id, host } => {
                if let Some(who) = self.workers.get_mut(id) {
                    who.host = host.clone();
                }
            }
            Change::Key { id, key } => {
                if let Some(who) = self.workers.get_mut(id) {
                    who.key = key.clone();
                }
            }
            Change::Leased { task, attempt, worker, client, number, term_ms } => {
                let lease = LeaseRow {
                    attempt: *attempt,
                    worker: *worker,
                    client: *client,
                    number: *number,
                    term_ms: *term_ms,
                    began_wall: at.wall,
                    expires: at.now + term_ms,
                    step: at.step,
                };
                self.leases.insert(*task, lease);
                self.change(*task, |row| {
                    row.leased = row.leased.max(*attempt);
                    row.failed_at = None;
                });
            }
            Change::Back { task, attempt, failures, reclaims } => {
                let held = self.leases.remove(task).is_some();
                self.change(*task, |row| {
                    row.failed_at = (held && *failures > row.failures).then_some(at.now);
                    if held && row.ended(*attempt).is_none() {
                        row.given_back = *attempt;
                    }
                    (row.attempt, row.failures, row.reclaims) = (*attempt, *failures, *reclaims);
                });
            }
            Change::Ended { task, attempt, worker, how, .. } => self.change(*task, |row| {
                row.attempts.retain(|row| row.attempt != *attempt);
                row.attempts.push(AttemptRow { attempt: *attempt, worker: *worker, how: *how });
                // One that nobody made has a number too.
                row.leased = row.leased.max(*attempt);
            }),
            Change::Finished { task, state, attempt, failures, reclaims, blame } => {
                self.leases.remove(task);
                self.change(*task, |row| {
                    row.state = *state;
                    row.failed_at = None;
                    (row.attempt, row.failures, row.reclaims) = (*attempt, *failures, *reclaims);
                    row.blame = (*state == State::Skipped).then_some(*blame);
                    row.cancels += u32::from(*state == State::Cancelled);
                });
            }
            Change::Reopened { task } => self.change(*task, |row| {
                row.redone |= row.state == State::Done;
                row.reopens += 1;
                row.state = State::Waiting;
                (row.failures, row.reclaims, row.blame) = (0, 0, None);
            }),
            Change::Adjusted { task, held, priority } => self.change(*task, |row| {
                (row.held, row.priority) = (*held, *priority);
                row.adjusts += 1;
            }),
            Change::Blamed { task, blame } => self.change(*task, |row| row.blame = Some(*blame)),
            Change::Told { number, tag, progress, reply } => {
                let (tag, progress, reply) = (tag.clone(), *progress, reply.clone());
                self.told.insert(*number, Kept { tag, progress, reply });
            }
            Change::Untold { number } => drop(self.told.remove(number)),
        }
    }

    fn insert(&mut self, row: Row) {
        let at = row.id as usize;
        if self.tasks.len() <= at {
            self.tasks.resize(at + 1, None);
        }
        self.names.insert(row.name.clone(), row.id);
        self.tasks[at] = Some(row);
    }

    /// All that wait for their next try are ready.
    pub fn forget_failures(&mut self) {
        self.tasks.iter_mut().flatten().for_each(|row| row.failed_at = None);
    }

    /// This one need not wait.
    pub fn hasten(&mut self, name: &str) {
        if let Some(id) = self.names.get(name).copied() {
            self.change(id, |row| row.failed_at = None);
        }
    }

    fn change(&mut self, id: TaskId, change: impl FnOnce(&mut Row)) {
        if let Some(Some(row)) = self.tasks.get_mut(id as usize) {
            change(row);
        }
    }
}

fn missing(id: TaskId, name: &Name) -> Row {
    Row {
        id,
        name: name.clone(),
        state: State::Missing,
        definition: 0,
        priority: 0,
        retries: 0,
        details: None,
        attempt: 0,
        held: false,
        failures: 0,
        reclaims: 0,
        blame: None,
        needs: Vec::new(),
        attempts: Vec::new(),
        leased: 0,
        given_back: 0,
        redone: false,
        reopens: 0,
        cancels: 0,
        adjusts: 0,
        failed_at: None,
    }
}
