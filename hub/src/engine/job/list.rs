//! List: a page of tasks, or those of given names.

use dhub_proto::limits::PAGE_BYTES_MAX;

use super::walk::{Found, Walk};
use super::{SLICE, Step};
use crate::engine::archive::Archive;
use crate::engine::message::TaskView;
use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;

pub struct ListJob {
    walk: Walk,
    /// From the last to the first.
    back: bool,
    limit: usize,
    /// To look at in a slice: no more than the page has, where all of them are on it.
    rows: usize,
    tasks: Vec<TaskView>,
    /// Of all that is on the page.
    bytes: usize,
    unknown: Vec<Name>,
}

impl ListJob {
    pub fn new(list: List) -> Self {
        let (back, limit) = (list.before > 0, list.limit);
        let rows = if list.selection.is_empty() { limit.min(SLICE) } else { SLICE };
        let walk = match back {
            false => Walk::new(list.selection, list.after, false),
            true => Walk::back(list.selection, list.before),
        };
        let (tasks, unknown) = (Vec::new(), Vec::new());
        Self { walk, back, limit, rows, tasks, bytes: 0, unknown }
    }

    pub fn step<A: Archive>(&mut self, scheduler: &Scheduler, store: &A) -> Result<Step, A::Error> {
        let slice = self.walk.slice(scheduler, store, self.rows)?;
        let mut left = slice.found.len();
        for Found { after, task } in slice.found {
            left -= 1;
            match task {
                Ok(row) => {
                    self.bytes += row.bytes();
                    self.tasks.push(TaskView::new(scheduler, row));
                }
                Err(name) => self.unknown.push(name),
            }
            let is_last = left == 0 && slice.all;
            if !is_last && (self.tasks.len() >= self.limit || self.bytes >= PAGE_BYTES_MAX) {
                return Ok(self.done(after));
            }
        }
        Ok(if slice.all { self.done(0) } else { Step::Again })
    }

    fn done(&mut self, next: u64) -> Step {
        if self.back {
            self.tasks.reverse();
        }
        Step::Done(Box::new(Answer::Listed {
            tasks: std::mem::take(&mut self.tasks),
            next,
            unknown: std::mem::take(&mut self.unknown),
        }))
    }
}
