//! Retry: finished tasks come back, and with them what was skipped because of them.
//!
//! First the ids are gathered, then put in order, each after what it needs, then brought back in
//! slices. A task in the way of another is thus always tried before it. Then all is looked at
//! once more: skips come in slices too, and some may have come in between.

use std::collections::{HashMap, HashSet, VecDeque};

use super::walk::Walk;
use super::{SLICE, Step};
use crate::engine::archive::Archive;
use crate::engine::message::TaskRow;
use crate::engine::message::*;
use crate::engine::scheduler::{DAMAGED, Scheduler};
use crate::engine::view;

/// A task with what it needs.
type Needing = (TaskId, Vec<TaskId>);

pub struct RetryJob {
    /// The tasks asked for, and whether they are asked for by name.
    walk: Walk,
    by_name: bool,
    done: bool,
    /// It goes on where another one was cut off.
    is_copy: bool,
    /// Chosen by a person; the others come along.
    chosen: HashSet<TaskId>,
    gathered: Vec<Needing>,
    /// Tasks for which others may have been skipped, and how far those have been read.
    roots: VecDeque<TaskId>,
    skipped_after: TaskId,
    followed: Vec<TaskId>,
    is_root: HashSet<TaskId>,
    /// Brought back before this round.
    back: u64,
    /// All of them, each after what it needs; None while they are gathered.
    ordered: Option<VecDeque<TaskId>>,
    /// Named, but skipped: back only if what they were skipped for is.
    named_skipped: Vec<Name>,
    /// Named, and waiting for their next try after a failure.
    put_off: Vec<Name>,
    pub(super) retried: u64,
    pub(super) unskipped: u64,
    pub(super) refused: Refusals,
}

impl RetryJob {
    pub fn new(selection: Selection, done: bool) -> Self {
        let by_name = selection.is_by_name();
        Self {
            walk: Walk::new(selection, 0, false),
            by_name,
            done,
            is_copy: false,
            chosen: HashSet::new(),
            gathered: Vec::new(),
            roots: VecDeque::new(),
            skipped_after: 0,
            followed: Vec::new(),
            is_root: HashSet::new(),
            back: 0,
            ordered: None,
            named_skipped: Vec::new(),
            put_off: Vec::new(),
            retried: 0,
            unskipped: 0,
            refused: Refusals::default(),
        }
    }

    pub fn resume(&mut self, progress: Progress) {
        self.is_copy = true;
        [self.retried, self.unskipped] = progress.counts;
    }

    pub fn step<A: Archive>(&mut self, scheduler: &Scheduler, store: &A) -> Result<Step, A::Error> {
        if let Some(ordered) = &mut self.ordered {
            // What is about to be skipped for a failure must not be so after its retry.
            if scheduler.is_skipping() {
                return Ok(Step::Again);
            }
            if ordered.is_empty() {
                let again = self.begin_round();
                return if again { Ok(Step::Again) } else { self.end(scheduler, store) };
            }
            let mut ordered = std::mem::take(ordered);
            let tasks = self.revive(&mut ordered, store)?;
            self.ordered = Some(ordered);
            return Ok(Step::Apply(Body::Revive { tasks }));
        }
        let all = self.choose(scheduler, store)?;
        if !self.put_off.is_empty() {
            let names = std::mem::take(&mut self.put_off);
            return Ok(Step::Apply(Body::Hasten { names }));
        }
        if all && self.follow(store)? {
            self.ordered = Some(in_order(std::mem::take(&mut self.gathered)));
        }
        Ok(Step::Again)
    }

    /// The next of those that come back.
    fn revive<A: Archive>(
        &mut self,
        ordered: &mut VecDeque<TaskId>,
        store: &A,
    ) -> Result<Vec<Revived>, A::Error> {
        let (mut tasks, mut looked_up) = (Vec::new(), 0);
        while looked_up < SLICE
            && let Some(id) = ordered.pop_front()
        {
            let chosen = self.chosen.contains(&id);
            // It may have come back by another request, and be done, since it was gathered.
            let may_be_done = chosen && self.done;
            let may_run = |found: &Revived| found.state != State::Done || may_be_done;
            let found = store.revived(id, !chosen)?;
            looked_up += 1 + found.as_ref().map_or(0, |found| found.task.needs.len());
            // Finished, and nobody knows what it would run.
            if found.is_none()
                && chosen
                && let Some(row) = store.row_by_id(id)?
                && row.finished.is_some_and(State::is_finished)
            {
                let why = format!(
                    "{DAMAGED}, and nobody knows what to run; add it again under another name"
                );
                self.refuse(&row.name, Code::State, why);
            }
            tasks.extend(found.filter(may_run));
        }
        Ok(tasks)
    }

    /// Looks at the next of the tasks asked for; true when there are no more.
    fn choose<A: Archive>(&mut self, scheduler: &Scheduler, store: &A) -> Result<bool, A::Error> {
        let slice = self.walk.slice(scheduler, store, SLICE)?;
        for found in slice.found {
            let row = match found.task {
                Ok(row) => row,
                Err(name) => {
                    let why = "there is no such task".into();
                    self.refuse(&name, Code::NotFound, why);
                    continue;
                }
            };
            let state = view::state(scheduler, &row);
            let is_put_off = self.by_name && scheduler.retry_in_ms(&row.name).is_some();
            if is_put_off {
                self.put_off.push(row.name.as_str().into());
            }
            match self.by_name {
                true => self.choose_named(store, state, row, is_put_off)?,
                false => self.choose_other(store, state, &row)?,
            }
        }
        Ok(slice.all)
    }

    fn choose_named<A: Archive>(
        &mut self,
        store: &A,
        state: State,
        row: TaskRow,
        is_put_off: bool,
    ) -> Result<(), A::Error> {
        match state {
            State::Failed | State::Cancelled => self.gather(store, row.id)?,
            State::Done if self.done => self.gather(store, row.id)?,
            State::Done => {
                self.add_root(row.id);
                let why = "it is done; --done runs it again".into();
                self.refuse(&row.name, Code::State, why);
            }
            State::Skipped => {
                self.fetch_left_behind(store, &row)?;
                self.named_skipped.push(row.name.into());
            }
            _ => {
                // An earlier retry may have been cut off before it got to those that follow.
                self.add_root(row.id);
                // A copy of a request finds what that has brought back already.
                if !self.is_copy && !is_put_off {
                    self.refuse(&row.name, Code::State, still(state, row.held));
                }
            }
        }
        Ok(())
    }

    fn choose_other<A: Archive>(
        &mut self,
        store: &A,
        state: State,
        row: &TaskRow,
    ) -> Result<(), A::Error> {
        match state {
            State::Failed | State::Cancelled => self.gather(store, row.id),
            State::Done if self.done => self.gather(store, row.id),
            State::Skipped => self.fetch_left_behind(store, row),
            _ => Ok(()),
        }
    }

    fn gather<A: Archive>(&mut self, store: &A, id: TaskId) -> Result<(), A::Error> {
        if self.chosen.insert(id) {
            self.gathered.push((id, store.needs(id)?));
            self.add_root(id);
        }
        Ok(())
    }

    fn add_root(&mut self, id: TaskId) {
        if self.is_root.insert(id) {
            self.roots.push_back(id);
        }
    }

    /// The skipped come back with what they were skipped for, or not at all; unless that came back
    /// already, by a retry that was cut off before it got to them.
    fn fetch_left_behind<A: Archive>(&mut self, store: &A, row: &TaskRow) -> Result<(), A::Error> {
        if let Some(root) = row.blame
            && !self.is_root.contains(&root)
            && !is_dead(store, root)?
        {
            self.add_root(root);
        }
        Ok(())
    }

    /// Looks at all roots again if the last round brought anything back.
    fn begin_round(&mut self) -> bool {
        let back = self.retried + self.unskipped;
        let again = back > self.back;
        if again {
            (self.back, self.ordered) = (back, None);
            self.roots.extend(self.followed.drain(..));
        }
        again
    }

    /// Gathers what was skipped because of those that come back; true when there is no more.
    fn follow<A: Archive>(&mut self, store: &A) -> Result<bool, A::Error> {
        let mut looked_at = 0;
        while let Some(&root) = self.roots.front() {
            if looked_at >= SLICE {
                return Ok(false);
            }
            let is_over = self.back > 0 && is_dead(store, root)?;
            let rows = match is_over {
                true => Vec::new(),
                false => store.skipped_for(root, self.skipped_after, SLICE)?,
            };
            looked_at += rows.len() + 1;
            match rows.last() {
                Some(&(last, _)) => {
                    self.skipped_after = last;
                    self.gathered.extend(rows);
                }
                None => {
                    self.followed.extend(self.roots.pop_front());
                    self.skipped_after = 0;
                }
            }
        }
        Ok(true)
    }

    /// Says which of the named ones stay skipped, and then how it went.
    fn end<A: Archive>(&mut self, scheduler: &Scheduler, store: &A) -> Result<Step, A::Error> {
        if let Some(name) = self.named_skipped.pop() {
            if let Some(row) = store.row(&name)?
                && view::state(scheduler, &row) == State::Skipped
            {
                let blame = row.blame.map(|id| store.name(id)).transpose()?.unwrap_or_default();
                let why = format!("it was skipped because of '{blame}': retry that one");
                self.refuse(&name, Code::State, why);
            }
            return Ok(Step::Again);
        }
        Ok(Step::Done(Box::new(Answer::Revived {
            retried: self.retried,
            unskipped: self.unskipped,
            refused: std::mem::take(&mut self.refused),
        })))
    }

    fn refuse(&mut self, name: &str, code: Code, message: String) {
        self.refused.add(Refused { name: name.into(), attempt: 0, code, message: message.into() });
    }
}

/// Why one that is not finished is left as it is.
fn still(state: State, is_held: bool) -> String {
    match state {
        State::Running => "it is running; only what has ended is run again",
        State::Ready => "it is ready already, and runs as soon as a worker takes it",
        State::Missing => "nobody has added it yet",
        _ if is_held => "it is held; dquery unhold lets it go",
        _ => "it has not run yet, and waits for what it needs (dquery show)",
    }
    .into()
}

fn is_dead<A: Archive>(store: &A, id: TaskId) -> Result<bool, A::Error> {
    let state = store.row_by_id(id)?.and_then(|row| row.finished);
    Ok(state.is_some_and(State::is_dead))
}

/// Each after those of the others that it needs.
fn in_order(tasks: Vec<Needing>) -> VecDeque<TaskId> {
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
