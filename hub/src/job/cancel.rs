//! Cancel of all tasks in some states.

use std::collections::HashSet;

use dhub_proto::wire::{self, reply};

use super::{Refusals, SLICE, Step};
use crate::convert::Selection;
use crate::scheduler::message::*;
use crate::scheduler::{Scheduler, Slot, State};

pub struct CancelJob {
    selection: Selection,
    names: HashSet<Name>,
    at: Slot,
    pub(super) cancelled: u64,
    pub(super) refused: Refusals,
}

impl CancelJob {
    pub fn new(selection: Selection) -> Self {
        let names = selection.names.iter().cloned().collect();
        Self { selection, names, at: 0, cancelled: 0, refused: Refusals::default() }
    }

    pub fn step(&mut self, ticket: Ticket, scheduler: &Scheduler) -> Step {
        let mut names = Vec::new();
        let mut more = false;
        for (looked_at, (slot, task)) in scheduler.tasks_from(self.at).enumerate() {
            if names.len() == SLICE || looked_at == 10 * SLICE {
                more = true;
                break;
            }
            self.at = slot + 1;
            let unfinished = matches!(task.state, State::Waiting | State::Ready | State::Running);
            if unfinished
                && self.selection.states.contains(&task.state)
                && (self.names.is_empty() || self.names.contains(&task.name))
            {
                names.push(task.name.clone());
            }
        }
        match (names.is_empty(), more) {
            (false, _) => Step::Apply(Command::Cancel { ticket, names }),
            (true, true) => Step::Again,
            (true, false) => Step::Done(Box::new(reply::Body::Cancelled(wire::Cancelled {
                cancelled: self.cancelled,
                refused_total: self.refused.total,
                refused: std::mem::take(&mut self.refused.first),
            }))),
        }
    }
}
