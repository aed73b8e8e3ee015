//! The answer to a Wait for some tasks: those that are finished, with their last attempts.

use dhub_proto::limits::PAGE_BYTES_MAX;
use dhub_proto::wire::{self, reply};

use crate::dialect::native;
use crate::engine::archive::Archive;
use crate::engine::message::Name;
use crate::engine::scheduler::Scheduler;
use crate::report::view;

/// Tasks a slice; each may come with its output.
const SLICE: usize = 100;

pub struct EndedJob {
    names: std::vec::IntoIter<Name>,
    output: bool,
    ended: Vec<wire::EndedTask>,
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
    ) -> Result<Option<reply::Body>, A::Error> {
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
            let (attempt, task) = (attempt.map(view::attempt), Some(view::task(scheduler, row)));
            self.ended.push(wire::EndedTask { task, attempt });
        }
        Ok(None)
    }

    /// Nothing has to be read.
    pub fn is_empty(&self) -> bool {
        self.names.as_slice().is_empty()
    }

    pub fn done(&mut self, scheduler: &Scheduler) -> reply::Body {
        reply::Body::Waited(wire::Waited {
            phase: native::phase(scheduler.phase()).into(),
            counts: Some(view::counts(scheduler.counts(), scheduler.held())),
            done_per_s: 0.0,
            ended: std::mem::take(&mut self.ended),
            unknown: self.unknown.drain(..).map(String::from).collect(),
        })
    }
}
