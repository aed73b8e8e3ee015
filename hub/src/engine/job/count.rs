//! Count: how many tasks of a selection are in which state.

use super::walk::Walk;
use super::{SLICE, Step};
use crate::engine::archive::Archive;
use crate::engine::message::*;
use crate::engine::scheduler::{Counts, Scheduler};
use crate::engine::view;

pub struct CountJob {
    walk: Walk,
    counts: Counts,
    held: u64,
    begun: u64,
    unknown: Vec<Name>,
}

impl CountJob {
    pub fn new(selection: Selection) -> Self {
        Self {
            walk: Walk::new(selection, 0, false),
            counts: Counts::default(),
            held: 0,
            begun: 0,
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
            self.begun = scheduler.begun();
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
                    self.begun += u64::from(scheduler.has_begun(&row.name));
                    self.held += u64::from(row.held && state.is_unfinished());
                }
                Err(name) => self.unknown.push(name),
            }
        }
        Ok(if slice.all { self.done() } else { Step::Again })
    }

    fn done(&mut self) -> Step {
        Step::Done(Box::new(Answer::Counted {
            counts: self.counts,
            held: self.held,
            begun: self.begun,
            unknown: std::mem::take(&mut self.unknown),
        }))
    }
}
