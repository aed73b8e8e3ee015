//! Count: how many tasks of a selection are in which state.

use dhub_proto::wire::{self, reply};

use super::walk::Walk;
use super::{SLICE, Step};
use crate::archive::Archive;
use crate::convert::Selection;
use crate::scheduler::{Counts, Scheduler};
use crate::view;

pub struct CountJob {
    selection: Selection,
    walk: Walk,
    counts: Counts,
    held: u64,
    unknown: Vec<String>,
}

impl CountJob {
    pub fn new(selection: Selection) -> Self {
        let walk = Walk::new(selection.clone(), 0, false);
        Self { selection, walk, counts: Counts::default(), held: 0, unknown: Vec::new() }
    }

    pub fn step<A: Archive>(&mut self, scheduler: &Scheduler, store: &A) -> Result<Step, A::Error> {
        let by_states = Selection { states: self.selection.states.clone(), ..Selection::default() };
        if self.selection == by_states {
            return Ok(self.known(scheduler));
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

    /// The totals are there already.
    fn known(&mut self, scheduler: &Scheduler) -> Step {
        self.counts = *scheduler.counts();
        self.held = scheduler.held();
        let states = &self.selection.states;
        if !states.is_empty() {
            let mut chosen = Counts::default();
            states.iter().for_each(|&state| chosen.set(state, self.counts.of(state)));
            self.counts = chosen;
        }
        self.done()
    }

    fn done(&mut self) -> Step {
        Step::Done(Box::new(reply::Body::Counted(wire::Counted {
            counts: Some(view::counts(&self.counts, self.held)),
            unknown: std::mem::take(&mut self.unknown),
        })))
    }
}
