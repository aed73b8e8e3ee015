//! Count: how many tasks of a selection are in which state.

use dhub_proto::wire::{self, reply};

use super::walk::Walk;
use super::{SLICE, Step};
use crate::dialect::native::Selection;
use crate::engine::archive::Archive;
use crate::engine::scheduler::{Counts, Scheduler, State};
use crate::report::view;

pub struct CountJob {
    walk: Walk,
    counts: Counts,
    held: u64,
    unknown: Vec<String>,
}

impl CountJob {
    pub fn new(selection: Selection) -> Self {
        Self {
            walk: Walk::new(selection, 0, false),
            counts: Counts::default(),
            held: 0,
            unknown: Vec::new(),
        }
    }

    pub fn step<A: Archive>(&mut self, scheduler: &Scheduler, store: &A) -> Result<Step, A::Error> {
        let selection = self.walk.selection();
        if selection.is_empty() {
            self.counts = *scheduler.counts();
            // They are no tasks.
            self.counts.set(State::Missing, 0);
            self.held = scheduler.held();
            return Ok(self.done());
        }
        if selection.is_only_finished() {
            let states = &selection.states;
            states.iter().for_each(|&state| self.counts.set(state, scheduler.counts().of(state)));
            return Ok(self.done());
        }
        let slice = self.walk.slice(scheduler, store, SLICE)?;
        for found in slice.found {
            match found.task {
                Ok(row) => {
                    let state = view::state(scheduler, &row);
                    self.counts.set(state, self.counts.of(state) + 1);
                    self.held += u64::from(row.held && state.is_unfinished());
                }
                Err(name) => self.unknown.push(name.into()),
            }
        }
        Ok(if slice.all { self.done() } else { Step::Again })
    }

    fn done(&mut self) -> Step {
        Step::Done(Box::new(reply::Body::Counted(wire::Counted {
            counts: Some(view::counts(&self.counts, self.held)),
            unknown: std::mem::take(&mut self.unknown),
        })))
    }
}
