//! Cancel, and Adjust, of all tasks of a selection.

use super::walk::Walk;
use super::{SLICE, Step};
use crate::engine::archive::Archive;
use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;
use crate::engine::view;

pub struct SweepJob {
    walk: Walk,
    deed: Deed,
    all: bool,
    /// The last of the tasks that are looked at, and the last that was before a copy was cut off.
    after: u64,
    passed: u64,
    pub(super) touched: u64,
    pub(super) refused: Refusals,
}

impl SweepJob {
    pub fn new(mut selection: Selection, deed: Deed) -> Self {
        if selection.states.is_empty() {
            selection.states = vec![State::Waiting, State::Ready, State::Running];
        }
        let walk = Walk::new(selection, 0, false);
        let refused = Refusals::default();
        Self { walk, deed, all: false, after: 0, passed: 0, touched: 0, refused }
    }

    /// Names are gone through again, for those that there are no tasks of.
    pub(super) fn resume(&mut self, Progress { after, counts }: Progress) {
        (self.after, self.passed, self.touched) = (after, after, counts[0]);
        let selection = self.walk.selection();
        if !selection.is_by_name() {
            self.walk = Walk::new(selection.clone(), after, false);
        }
    }

    pub(super) fn progress(&self) -> Progress {
        Progress { after: self.after, counts: [self.touched, 0] }
    }

    pub fn step<A: Archive>(&mut self, scheduler: &Scheduler, store: &A) -> Result<Step, A::Error> {
        if self.all {
            return Ok(self.end());
        }
        let slice = self.walk.slice(scheduler, store, SLICE)?;
        self.all = slice.all;
        let mut names: Vec<Name> = Vec::new();
        for found in slice.found {
            let is_new = found.after > self.passed;
            self.after = self.after.max(found.after);
            match found.task {
                Ok(_) if !is_new => {}
                Ok(row) if view::state(scheduler, &row).is_unfinished() => {
                    names.push(row.name.into())
                }
                Ok(_) => {}
                Err(name) => self.refused.add(Refused {
                    name,
                    attempt: 0,
                    code: Code::NotFound,
                    message: "there is no such task".into(),
                }),
            }
        }
        Ok(match (names.is_empty(), self.deed) {
            (true, _) => Step::Again,
            (false, Deed::Cancel) => Step::Apply(Body::Cancel { names }),
            (false, Deed::Adjust(to)) => Step::Apply(Body::Adjust { names, to }),
        })
    }

    fn end(&mut self) -> Step {
        let refused = std::mem::take(&mut self.refused);
        Step::Done(Box::new(match self.deed {
            Deed::Cancel => Answer::Cancelled { cancelled: self.touched, refused },
            Deed::Adjust(_) => Answer::Adjusted { adjusted: self.touched, refused },
        }))
    }
}
