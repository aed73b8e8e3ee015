//! Room for a task that is tried alone: while it is the first of all, one worker that holds something and asks for
//! more gets nothing until it is empty. It is one at a time, never the only one that could be given tasks, and
//! always somebody: as long as nobody makes room, nobody who could is given anything.

use std::collections::BTreeSet;

use dhub::scheduler::message::{TaskId, WorkerId};

use super::line::Line;
use super::{Check, name_of};
use crate::store::Rows;

/// Those that asked, got less than they wanted, and have been given nothing since.
#[derive(Default)]
pub struct Room {
    refused: BTreeSet<WorkerId>,
}

impl Room {
    /// Of a command, before what it gives out is written: who was not given what it wanted, or waits for it.
    pub fn note(&mut self, refused: impl IntoIterator<Item = WorkerId>) {
        self.refused.extend(refused);
    }

    /// Before the lease is written.
    pub fn may_be_given(
        &mut self,
        line: &Line,
        rows: &Rows,
        task: TaskId,
        worker: WorkerId,
    ) -> Check {
        self.refused.remove(&worker);
        let makes_room = |it: &WorkerId| line.could_make_room(rows, *it);
        match makes_room(&worker)
            && line.last_try_is_first(rows) == Some(true)
            && !self.refused.iter().any(makes_room)
        {
            true => Err(format!(
                "'{}' is given to worker {worker}, and nobody makes room for what is tried alone",
                name_of(rows, task)
            )),
            false => Ok(()),
        }
    }

    /// The end of a command.
    pub fn settle(&mut self, line: &Line, rows: &Rows, may_have: impl Fn(WorkerId) -> bool) {
        if line.last_try_is_first(rows) == Some(false) {
            self.refused.clear();
        }
        self.refused.retain(|&it| line.could_make_room(rows, it) && may_have(it));
    }
}
