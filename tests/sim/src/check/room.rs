//! Room for a task that is tried alone: while it is the first of all, one worker that holds something and asks for
//! more gets nothing until it is empty. It is one at a time, and
//! somebody: as long as nobody makes room, nobody who could is given anything, but for those who have done so for as
//! long as they have to.

use std::collections::{BTreeMap, BTreeSet};

use dhub::engine::message::{Millis, TaskId, WorkerId};

use super::line::Line;
use super::{Check, name_of};
use crate::store::Rows;

/// So long one makes room at least, if there is a reason to.
const TURN_MS: u64 = 60_000;

#[derive(Default)]
pub struct Room {
    /// Those that asked, got less than they wanted, and have been given nothing since, and since when.
    refused: BTreeMap<WorkerId, Millis>,
    /// Those that were given something after they had made room in vain.
    go_on: BTreeSet<WorkerId>,
}

impl Room {
    /// Of a command, before what it gives out is written: who was not given what it wanted, or waits for it.
    pub fn note(&mut self, now: Millis, refused: impl IntoIterator<Item = WorkerId>) {
        for worker in refused {
            self.refused.entry(worker).or_insert(now);
        }
    }

    /// Before the lease is written.
    pub fn may_be_given(
        &mut self,
        now: Millis,
        line: &Line,
        rows: &Rows,
        task: TaskId,
        worker: WorkerId,
    ) -> Check {
        let since = self.refused.remove(&worker);
        if since.is_some_and(|since| now >= since + TURN_MS) {
            self.go_on.insert(worker);
        }
        let makes_room = |it: &WorkerId| line.could_make_room(rows, *it);
        match makes_room(&worker)
            && line.last_try_is_first(rows) == Some(true)
            && !self.go_on.contains(&worker)
            && !self.refused.keys().any(makes_room)
        {
            true => Err(format!(
                "'{}' is given to worker {worker}, and nobody makes room for what is tried alone",
                name_of(rows, task)
            )),
            false => Ok(()),
        }
    }

    /// The end of a command.
    pub fn settle(
        &mut self,
        now: Millis,
        line: &Line,
        rows: &Rows,
        may_have: impl Fn(WorkerId) -> bool,
    ) {
        // Who has made room for long goes on, whatever came in between.
        let long = self.refused.iter().filter(|(_, since)| now >= **since + TURN_MS);
        self.go_on.extend(long.map(|(&worker, _)| worker));
        if line.last_try_is_first(rows) == Some(false) {
            self.refused.clear();
        }
        self.refused.retain(|&it, _| line.could_make_room(rows, it) && may_have(it));
    }
}
