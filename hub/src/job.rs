//! Requests that may touch millions of tasks, carried out in slices between the others.
//!
//! Each slice reads at most a few hundred rows and hands the scheduler one command. A job that is
//! cut off by a stop was never answered; asking again goes on where it ended.

use std::collections::{HashMap, HashSet, VecDeque};

use dhub_proto::wire::{self, reply};

use crate::archive::Archive;
use crate::convert::{self, List, Long, Selection};
use crate::scheduler::message::*;
use crate::scheduler::{Scheduler, Slot, State};
use crate::store::{Copying, Page, Store, TaskRow};
use crate::view;

/// Rows or tasks a slice; a few milliseconds.
const SLICE: usize = 1000;

/// What a slice led to.
pub enum Step {
    /// More to do.
    Again,
    /// More to do, once something outside has ended.
    Later,
    /// The scheduler has to carry this out; its answer goes to `answered`.
    Apply(Command),
    /// The reply; it may leave once everything applied so far is committed.
    Done(reply::Body),
}

pub enum Job {
    List(ListJob),
    Cancel(CancelJob),
    Retry(RetryJob),
    Backup(Copying),
}

impl Job {
    /// Fails, with the reply, if it cannot even begin.
    pub fn new(asked: &Long, store: &Store) -> Result<Self, wire::Error> {
        Ok(match asked {
            Long::List(list) => Job::List(ListJob::new(list.clone())),
            Long::CancelByState(selection) => Job::Cancel(CancelJob::new(selection.clone())),
            Long::Retry { selection, done } => Job::Retry(RetryJob::new(selection.clone(), *done)),
            Long::Backup { to } => Job::Backup(store.copy_to(to).map_err(|error| {
                convert::error(wire::ErrorCode::ErrorInvalid, error.to_string())
            })?),
        })
    }

    pub fn step<A: Archive>(
        &mut self,
        ticket: Ticket,
        scheduler: &Scheduler,
        store: &A,
    ) -> Result<Step, A::Error> {
        match self {
            Job::List(job) => job.step(scheduler, store),
            Job::Cancel(job) => Ok(job.step(ticket, scheduler)),
            Job::Retry(job) => job.step(ticket, scheduler, store),
            Job::Backup(copying) => Ok(match copying.step() {
                Ok(Some(bytes)) => Step::Done(reply::Body::BackedUp(wire::BackedUp { bytes })),
                Ok(None) if copying.is_syncing() => Step::Later,
                Ok(None) => Step::Again,
                Err(error) => Step::Done(reply::Body::Error(convert::error(
                    wire::ErrorCode::ErrorDisk,
                    error.to_string(),
                ))),
            }),
        }
    }

    /// What came of the last command.
    pub fn answered(&mut self, answer: Answer) {
        match (self, answer) {
            (Job::Cancel(job), Answer::Cancelled { cancelled, refused }) => {
                job.cancelled += cancelled;
                job.refused.extend(refused.into_iter().map(convert::refused));
            }
            (Job::Retry(job), Answer::Revived { retried, unskipped, refused }) => {
                job.retried += retried;
                job.unskipped += unskipped;
                job.refused.extend(refused.into_iter().map(convert::refused));
            }
            _ => {}
        }
    }
}

// --- list ------------------------------------------------------------------------------------

pub struct ListJob {
    list: List,
    at: usize,
    after: TaskId,
    tasks: Vec<wire::TaskInfo>,
    unknown: Vec<String>,
}

impl ListJob {
    pub fn new(list: List) -> Self {
        let after = list.after;
        Self { list, at: 0, after, tasks: Vec::new(), unknown: Vec::new() }
    }

    fn step<A: Archive>(&mut self, scheduler: &Scheduler, store: &A) -> Result<Step, A::Error> {
        if self.list.selection.names.is_empty() {
            self.step_page(scheduler, store)
        } else {
            self.step_names(scheduler, store)
        }
    }

    fn step_names<A: Archive>(
        &mut self,
        scheduler: &Scheduler,
        store: &A,
    ) -> Result<Step, A::Error> {
        let names = &self.list.selection.names;
        let until = (self.at + SLICE).min(names.len());
        let mut found = Vec::new();
        for name in &names[self.at..until] {
            match store.row(name)? {
                Some(row) if view::state(scheduler, &row) != State::Missing => found.push(row),
                _ => self.unknown.push(name.to_string()),
            }
        }
        self.at = until;
        let all = until == names.len();
        for row in found {
            self.take(scheduler, row);
        }
        Ok(if all { self.done(0) } else { Step::Again })
    }

    fn step_page<A: Archive>(
        &mut self,
        scheduler: &Scheduler,
        store: &A,
    ) -> Result<Step, A::Error> {
        let states = &self.list.selection.states;
        let only = |states: &[State], among: &[State]| {
            !states.is_empty() && states.iter().all(|state| among.contains(state))
        };
        if only(states, &[State::Running, State::Missing]) {
            return self.step_memory(scheduler, store);
        }
        let which = match states.as_slice() {
            [state @ (State::Failed | State::Skipped | State::Cancelled)] => Page::Dead(*state),
            states if only(states, &[State::Waiting, State::Ready, State::Running]) => Page::Open,
            _ => Page::All,
        };
        let rows = store.page(which, self.after, SLICE)?;
        let all = rows.len() < SLICE;
        for row in rows {
            self.after = row.id;
            self.take(scheduler, row);
            if self.tasks.len() == self.list.limit {
                return Ok(self.done(self.after));
            }
        }
        Ok(if all { self.done(0) } else { Step::Again })
    }

    /// The running are few, and memory knows them; so are the missing.
    fn step_memory<A: Archive>(
        &mut self,
        scheduler: &Scheduler,
        store: &A,
    ) -> Result<Step, A::Error> {
        let states = &self.list.selection.states;
        let running = scheduler.running(0).map(|(task, ..)| task.id);
        let missing = scheduler.missing().map(|task| task.id);
        let mut ids: Vec<TaskId> = Vec::new();
        if states.contains(&State::Running) {
            ids.extend(running);
        }
        if states.contains(&State::Missing) {
            ids.extend(missing);
        }
        ids.retain(|&id| id > self.after);
        ids.sort_unstable();
        let slice = SLICE.min(self.list.limit - self.tasks.len());
        let more = ids.len() > slice;
        for &id in ids.iter().take(slice) {
            self.after = id;
            if let Some(row) = store.row_by_id(id)? {
                self.take(scheduler, row);
            }
        }
        Ok(match (more, self.tasks.len() >= self.list.limit) {
            (false, _) => self.done(0),
            (true, true) => self.done(self.after),
            (true, false) => Step::Again,
        })
    }

    fn take(&mut self, scheduler: &Scheduler, row: TaskRow) {
        let states = &self.list.selection.states;
        if states.is_empty() || states.contains(&view::state(scheduler, &row)) {
            self.tasks.push(view::task(scheduler, row));
        }
    }

    fn done(&mut self, next: TaskId) -> Step {
        Step::Done(reply::Body::Listed(wire::Listed {
            tasks: std::mem::take(&mut self.tasks),
            next,
            unknown: std::mem::take(&mut self.unknown),
        }))
    }
}

// --- cancel by state -------------------------------------------------------------------------

pub struct CancelJob {
    selection: Selection,
    names: HashSet<Name>,
    at: Slot,
    cancelled: u64,
    refused: Vec<wire::Refused>,
}

impl CancelJob {
    pub fn new(selection: Selection) -> Self {
        let names = selection.names.iter().cloned().collect();
        Self { selection, names, at: 0, cancelled: 0, refused: Vec::new() }
    }

    fn step(&mut self, ticket: Ticket, scheduler: &Scheduler) -> Step {
        let mut names = Vec::new();
        let mut looked_at = 0;
        let mut more = false;
        for (slot, task) in scheduler.tasks_from(self.at) {
            if names.len() == SLICE || looked_at == 10 * SLICE {
                more = true;
                break;
            }
            self.at = slot + 1;
            looked_at += 1;
            let unfinished = matches!(task.state, State::Waiting | State::Ready | State::Running);
            if unfinished
                && self.selection.states.contains(&task.state)
                && (self.names.is_empty() || self.names.contains(&task.name))
            {
                names.push(task.name.clone());
            }
        }
        match (names.is_empty(), more) {
            (false, _) => Step::Apply(Command::Cancel { ticket, names }),
            (true, true) => Step::Again,
            (true, false) => Step::Done(reply::Body::Cancelled(wire::Cancelled {
                cancelled: self.cancelled,
                refused: std::mem::take(&mut self.refused),
            })),
        }
    }
}

// --- retry -----------------------------------------------------------------------------------

pub struct RetryJob {
    selection: Selection,
    done: bool,
    at: usize,
    after: TaskId,
    /// Chosen by a person, to be brought back.
    chosen: VecDeque<TaskId>,
    /// Brought back: what was skipped because of them follows.
    roots: VecDeque<TaskId>,
    /// Skipped because of the root in turn.
    skipped: Vec<(TaskId, Vec<TaskId>)>,
    skipped_after: TaskId,
    /// The same, each after what it needs.
    ordered: VecDeque<TaskId>,
    /// Named, but skipped: back only if what they were skipped for is.
    named_skipped: Vec<Name>,
    retried: u64,
    unskipped: u64,
    refused: Vec<wire::Refused>,
}

impl RetryJob {
    pub fn new(selection: Selection, done: bool) -> Self {
        Self {
            selection,
            done,
            at: 0,
            after: 0,
            chosen: VecDeque::new(),
            roots: VecDeque::new(),
            skipped: Vec::new(),
            skipped_after: 0,
            ordered: VecDeque::new(),
            named_skipped: Vec::new(),
            retried: 0,
            unskipped: 0,
            refused: Vec::new(),
        }
    }

    fn step<A: Archive>(
        &mut self,
        ticket: Ticket,
        scheduler: &Scheduler,
        store: &A,
    ) -> Result<Step, A::Error> {
        if !self.ordered.is_empty() {
            let ids: Vec<TaskId> = take(&mut self.ordered);
            return self.revive(ticket, store, ids, true);
        }
        if !self.chosen.is_empty() {
            let ids: Vec<TaskId> = take(&mut self.chosen);
            self.roots.extend(&ids);
            return self.revive(ticket, store, ids, false);
        }
        if let Some(&root) = self.roots.front() {
            let rows = store.skipped_for(root, self.skipped_after, SLICE)?;
            if let Some(&(last, _)) = rows.last() {
                self.skipped_after = last;
                self.skipped.extend(rows);
            } else {
                self.roots.pop_front();
                self.skipped_after = 0;
                self.ordered = in_order(std::mem::take(&mut self.skipped));
            }
            return Ok(Step::Again);
        }
        if !self.choose(scheduler, store)? {
            return Ok(Step::Again);
        }
        if let Some(name) = self.named_skipped.pop() {
            if let Some(row) = store.row(&name)?
                && row.finished == Some(State::Skipped)
                && scheduler.find(&name).is_none()
            {
                let blame = row.blame.map(|id| store.name(id)).transpose()?.unwrap_or_default();
                let why = format!("it was skipped because of '{blame}': retry that one");
                self.refuse(&name, wire::ErrorCode::ErrorState, why);
            }
            return Ok(Step::Again);
        }
        Ok(Step::Done(reply::Body::Retried(wire::Retried {
            retried: self.retried,
            unskipped: self.unskipped,
            refused: std::mem::take(&mut self.refused),
        })))
    }

    fn revive<A: Archive>(
        &self,
        ticket: Ticket,
        store: &A,
        ids: Vec<TaskId>,
        dependent: bool,
    ) -> Result<Step, A::Error> {
        let mut tasks = Vec::with_capacity(ids.len());
        for id in ids {
            tasks.extend(store.revived(id, dependent)?);
        }
        Ok(Step::Apply(Command::Revive { ticket, tasks }))
    }

    /// Looks at the next of the tasks asked for; true when there are no more.
    fn choose<A: Archive>(&mut self, scheduler: &Scheduler, store: &A) -> Result<bool, A::Error> {
        if !self.selection.names.is_empty() {
            let until = (self.at + SLICE).min(self.selection.names.len());
            for i in self.at..until {
                let name = self.selection.names[i].clone();
                match store.row(&name)? {
                    Some(row) if view::state(scheduler, &row) != State::Missing => {
                        self.choose_named(scheduler, row);
                    }
                    _ => self.refuse(
                        &name,
                        wire::ErrorCode::ErrorNotFound,
                        "there is no such task".into(),
                    ),
                }
            }
            let all = until == self.at;
            self.at = until;
            return Ok(all);
        }
        let which = match self.selection.states.as_slice() {
            [state @ (State::Failed | State::Skipped | State::Cancelled)] => Page::Dead(*state),
            _ => Page::All,
        };
        let rows = store.page(which, self.after, SLICE)?;
        let all = rows.is_empty();
        for row in rows {
            self.after = row.id;
            let wanted = match row.finished {
                Some(State::Done) => self.done,
                // They come back with what they were skipped for, or not at all.
                Some(State::Skipped) => {
                    if self.selection.states.contains(&State::Skipped)
                        && let Some(root) = row.blame
                        && !self.roots.contains(&root)
                    {
                        self.roots.push_back(root);
                    }
                    false
                }
                Some(_) => true,
                None => false,
            };
            if wanted && row.finished.is_some_and(|state| self.selection.states.contains(&state)) {
                self.chosen.push_back(row.id);
            }
        }
        Ok(all)
    }

    fn choose_named(&mut self, scheduler: &Scheduler, row: TaskRow) {
        let state = view::state(scheduler, &row);
        if !self.selection.states.is_empty() && !self.selection.states.contains(&state) {
            return;
        }
        match state {
            State::Failed | State::Cancelled => self.chosen.push_back(row.id),
            State::Done if self.done => self.chosen.push_back(row.id),
            State::Done => {
                let why = "it is done; --done runs it again".into();
                self.refuse(&row.name, wire::ErrorCode::ErrorState, why);
            }
            State::Skipped => self.named_skipped.push(row.name.into()),
            // An earlier retry may have been cut off before it got to those that follow.
            _ => self.roots.push_back(row.id),
        }
    }

    fn refuse(&mut self, name: &str, code: wire::ErrorCode, message: String) {
        let code = code.into();
        self.refused.push(wire::Refused { name: name.into(), attempt: 0, code, message });
    }
}

fn take(queue: &mut VecDeque<TaskId>) -> Vec<TaskId> {
    queue.drain(..queue.len().min(SLICE)).collect()
}

/// Each after those of the others that it needs.
fn in_order(tasks: Vec<(TaskId, Vec<TaskId>)>) -> VecDeque<TaskId> {
    let mut waits: HashMap<TaskId, usize> = tasks.iter().map(|&(id, _)| (id, 0)).collect();
    let mut needed_by: HashMap<TaskId, Vec<TaskId>> = HashMap::new();
    for (id, needs) in &tasks {
        for need in needs {
            if waits.contains_key(need) {
                needed_by.entry(*need).or_default().push(*id);
                *waits.entry(*id).or_default() += 1;
            }
        }
    }
    let mut ordered: VecDeque<TaskId> =
        tasks.iter().map(|&(id, _)| id).filter(|id| waits[id] == 0).collect();
    let mut at = 0;
    while at < ordered.len() {
        for succ in needed_by.remove(&ordered[at]).unwrap_or_default() {
            if let Some(count) = waits.get_mut(&succ) {
                *count -= 1;
                if *count == 0 {
                    ordered.push_back(succ);
                }
            }
        }
        at += 1;
    }
    ordered
}
