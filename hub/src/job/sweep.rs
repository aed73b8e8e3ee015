//! Cancel, and Adjust, of all tasks of a selection.

use dhub_proto::wire::{self, reply};

use super::walk::Walk;
use super::{Refusals, SLICE, Step};
use crate::archive::Archive;
use crate::convert::{Deed, Selection};
use crate::scheduler::message::*;
use crate::scheduler::{Scheduler, State};
use crate::view;

pub struct SweepJob {
    walk: Walk,
    deed: Deed,
    all: bool,
    pub(super) touched: u64,
    pub(super) refused: Refusals,
}

impl SweepJob {
    pub fn new(mut selection: Selection, deed: Deed) -> Self {
        if selection.states.is_empty() {
            selection.states = vec![State::Waiting, State::Ready, State::Running];
        }
        let walk = Walk::new(selection, 0, false);
        Self { walk, deed, all: false, touched: 0, refused: Refusals::default() }
    }

    pub fn step<A: Archive>(
        &mut self,
        ticket: Ticket,
        scheduler: &Scheduler,
        store: &A,
    ) -> Result<Step, A::Error> {
        if self.all {
            return Ok(self.end());
        }
        let slice = self.walk.slice(scheduler, store, SLICE)?;
        self.all = slice.all;
        let mut names: Vec<Name> = Vec::new();
        for found in slice.found {
            match found.task {
                Ok(row) if view::state(scheduler, &row).is_unfinished() => {
                    names.push(row.name.into())
                }
                Ok(_) => {}
                Err(name) => self.refused.add(wire::Refused {
                    name: name.into(),
                    attempt: 0,
                    code: wire::ErrorCode::ErrorNotFound.into(),
                    message: "there is no such task".into(),
                }),
            }
        }
        Ok(match (names.is_empty(), self.deed) {
            (true, _) => Step::Again,
            (false, Deed::Cancel) => Step::Apply(Command::Cancel { ticket, names }),
            (false, Deed::Adjust(to)) => Step::Apply(Command::Adjust { ticket, names, to }),
        })
    }

    fn end(&mut self) -> Step {
        let refused_total = self.refused.total;
        let refused = std::mem::take(&mut self.refused.first);
        Step::Done(Box::new(match self.deed {
            Deed::Cancel => reply::Body::Cancelled(wire::Cancelled {
                cancelled: self.touched,
                refused,
                refused_total,
            }),
            Deed::Adjust(_) => reply::Body::Adjusted(wire::Adjusted {
                adjusted: self.touched,
                refused,
                refused_total,
            }),
        }))
    }
}
