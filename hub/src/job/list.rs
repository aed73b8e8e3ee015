//! List: a page of tasks, or those of given names.

use dhub_proto::limits::PAGE_BYTES_MAX;
use dhub_proto::wire::{self, reply};

use super::{SLICE, SLICE_BYTES, Step};
use crate::archive::Archive;
use crate::convert::List;
use crate::scheduler::message::TaskId;
use crate::scheduler::{Scheduler, State};
use crate::store::{Page, TaskRow};
use crate::view;

pub struct ListJob {
    list: List,
    at: usize,
    after: TaskId,
    tasks: Vec<wire::TaskInfo>,
    /// Of all that is on the page.
    bytes: usize,
    unknown: Vec<String>,
}

impl ListJob {
    pub fn new(list: List) -> Self {
        let after = list.after;
        // Of names, `after` counts those that were on the pages before.
        let at = usize::try_from(after).unwrap_or(usize::MAX).min(list.selection.names.len());
        Self { list, at, after, tasks: Vec::new(), bytes: 0, unknown: Vec::new() }
    }

    pub fn step<A: Archive>(&mut self, scheduler: &Scheduler, store: &A) -> Result<Step, A::Error> {
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
        let (total, begin, bytes) = (self.list.selection.names.len(), self.at, self.bytes);
        while self.at < total {
            if self.is_full() {
                return Ok(self.done(self.at as u64));
            }
            if self.at - begin == SLICE || self.bytes - bytes > SLICE_BYTES {
                return Ok(Step::Again);
            }
            let name = &self.list.selection.names[self.at];
            match store.row(name)? {
                Some(row) if view::state(scheduler, &row) != State::Missing => {
                    self.take(scheduler, row)
                }
                _ => self.unknown.push(name.to_string()),
            }
            self.at += 1;
        }
        Ok(self.done(0))
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
        let all = rows.is_empty();
        for row in rows {
            self.after = row.id;
            self.take(scheduler, row);
            if self.is_full() {
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
            if self.is_full() {
                return Ok(self.done(self.after));
            }
        }
        Ok(if more { Step::Again } else { self.done(0) })
    }

    fn take(&mut self, scheduler: &Scheduler, row: TaskRow) {
        let states = &self.list.selection.states;
        if states.is_empty() || states.contains(&view::state(scheduler, &row)) {
            self.bytes += row.bytes();
            self.tasks.push(view::task(scheduler, row));
        }
    }

    fn is_full(&self) -> bool {
        self.tasks.len() >= self.list.limit || self.bytes >= PAGE_BYTES_MAX
    }

    fn done(&mut self, next: TaskId) -> Step {
        Step::Done(Box::new(reply::Body::Listed(wire::Listed {
            tasks: std::mem::take(&mut self.tasks),
            next,
            unknown: std::mem::take(&mut self.unknown),
        })))
    }
}
