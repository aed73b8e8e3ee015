//! The answer to a Wait for some tasks: those that are finished, with their last attempts.

use dhub_proto::limits::PAGE_BYTES_MAX;

use crate::engine::archive::Archive;
use crate::engine::message::AttemptRow;
use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;
use crate::engine::view;

/// Tasks a slice; each may come with its output.
const SLICE: usize = 100;

pub struct EndedJob {
    names: std::vec::IntoIter<Name>,
    output: bool,
    ended: Vec<(TaskView, Option<AttemptRow>)>,
    unknown: Vec<Name>,
    bytes: usize,
}

impl EndedJob {
    pub fn new(names: Vec<Name>, unknown: Vec<Name>, output: bool) -> Self {
        Self { names: names.into_iter(), output, ended: Vec::new(), unknown, bytes: 0 }
    }

    /// None: there is more to read.
    pub fn step<A: Archive>(
        &mut self,
        scheduler: &Scheduler,
        store: &A,
    ) -> Result<Option<Answer>, A::Error> {
        for _ in 0..SLICE {
            let Some(name) = self.names.next().filter(|_| self.bytes < PAGE_BYTES_MAX) else {
                return Ok(Some(self.done(scheduler)));
            };
            let row = store.row(&name)?;
            // A retry may have come in between.
            let Some(row) = row.filter(|row| view::state(scheduler, row).is_finished()) else {
                continue;
            };
            let attempt = store.last_attempt(row.id, self.output)?;
            self.bytes += row.bytes() + attempt.as_ref().map_or(0, |attempt| attempt.output.len());
            self.ended.push((TaskView::new(scheduler, row), attempt));
        }
        Ok(None)
    }

    /// Nothing has to be read.
    pub fn is_empty(&self) -> bool {
        self.names.as_slice().is_empty()
    }

    pub fn done(&mut self, scheduler: &Scheduler) -> Answer {
        Answer::EndedTasks {
            phase: scheduler.phase(),
            counts: Box::new(*scheduler.counts()),
            held: scheduler.held(),
            ended: std::mem::take(&mut self.ended),
            unknown: std::mem::take(&mut self.unknown),
        }
    }
}
