//! Who is next: the ready tasks in the order in which they have to be given out, worked out from what is
//! stored and from nothing else.
//!
//! Larger priority first; then tasks that were given back; then those that a completion made ready, the newest
//! first; then new ones, the oldest first. Those that one change made ready at once may come in any order.
//! What a task waits for is not known any more once something that it needs is run again after it was done:
//! of such a task only the priority counts.

use std::collections::{BTreeMap, BTreeSet};

use dhub::scheduler::State;
use dhub::scheduler::backoff::delay_ms;
use dhub::scheduler::message::*;

use super::{Check, name_of};
use crate::store::{Row, Rows};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    GivenBack,
    Enabled,
    New,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    priority: i32,
    origin: Origin,
    /// Larger if it became ready later.
    stamp: u64,
}

impl Place {
    fn is_before(&self, other: &Place) -> bool {
        if self.priority != other.priority {
            return self.priority > other.priority;
        }
        if self.origin != other.origin {
            return self.origin < other.origin;
        }
        match self.origin {
            Origin::Enabled => self.stamp > other.stamp,
            Origin::GivenBack | Origin::New => self.stamp < other.stamp,
        }
    }
}

pub struct Line {
    places: BTreeMap<TaskId, Place>,
    /// Why a task was ready last, or would have been if nobody held it.
    origins: BTreeMap<TaskId, Origin>,
    /// Failed, and until when they wait for their next try.
    later: BTreeMap<TaskId, Millis>,
    running: BTreeSet<TaskId>,
    stamp: u64,
    retry_delay_ms: u64,
}

impl Line {
    /// After a start of the hub: by the order in which they were added.
    pub fn restored(rows: &Rows, retry_delay_ms: u64) -> Self {
        let mut line = Self {
            places: BTreeMap::new(),
            origins: BTreeMap::new(),
            later: BTreeMap::new(),
            running: rows.leases.keys().copied().collect(),
            stamp: 0,
            retry_delay_ms,
        };
        for row in rows.iter() {
            let origin = if row.attempt > 0 { Origin::GivenBack } else { Origin::New };
            line.join(rows, row.id, origin);
        }
        line
    }

    /// These need not wait for their next try.
    pub fn hasten(&mut self, rows: &Rows, names: &[Name]) {
        for id in names.iter().filter_map(|name| rows.find(name)).map(|row| row.id) {
            if self.later.remove(&id).is_some() {
                self.join(rows, id, Origin::GivenBack);
            }
        }
    }

    /// Whose time has come. In a Tick, after what it reclaims and before anything is given out.
    pub fn pass(&mut self, rows: &Rows, now: Millis) {
        let due = self.later.iter().filter(|(_, until)| **until <= now);
        let mut due: Vec<(Millis, TaskId)> = due.map(|(&id, &until)| (until, id)).collect();
        due.sort_unstable();
        for at_once in due.chunk_by(|(one, _), (other, _)| one == other) {
            self.stamp += 1;
            for &(_, id) in at_once {
                self.later.remove(&id);
                self.join_at(rows, id, Origin::GivenBack, self.stamp);
            }
        }
    }

    /// A change that has just been written to these rows.
    pub fn follow(&mut self, rows: &Rows, change: &Change, now: Millis) -> Check {
        match *change {
            Change::Added { id, .. } => self.join(rows, id, Origin::New),
            Change::Needs { task, .. } if rows.get(task).is_some_and(|row| waits(rows, row)) => {
                self.places.remove(&task);
                self.later.remove(&task);
            }
            Change::Leased { task, .. } => return self.is_next(rows, task),
            Change::Back { task, attempt, failures, .. } => {
                self.came_back(rows, task, attempt, failures, now);
            }
            Change::Finished { task, state, .. } => {
                self.leave(task);
                if state == State::Done {
                    self.stamp += 1;
                    self.enable(rows, task);
                }
            }
            Change::Reopened { task } => {
                let needed = |row: &&Row| row.needs.contains(&task);
                rows.iter().filter(needed).filter(|row| !is_sure(rows, row)).for_each(|row| {
                    self.places.remove(&row.id);
                });
                self.join(rows, task, Origin::New);
            }
            Change::Adjusted { task, .. } => {
                let origin = self.origins.get(&task).copied().unwrap_or(Origin::New);
                self.places.remove(&task);
                self.join(rows, task, origin);
            }
            _ => {}
        }
        Ok(())
    }

    /// A lease that is over; or only the counters of a task that came back before.
    fn came_back(&mut self, rows: &Rows, id: TaskId, attempt: u32, failures: u32, now: Millis) {
        if !self.running.remove(&id) {
            return;
        }
        let ended = rows.get(id).and_then(|row| row.ended(attempt)).map(|ended| ended.how);
        let delay_ms = delay_ms(self.retry_delay_ms, failures);
        match ended {
            Some(Ended::Failed) if delay_ms > 0 => _ = self.later.insert(id, now + delay_ms),
            _ => self.join(rows, id, Origin::GivenBack),
        }
    }

    /// Those that waited for this one last.
    fn enable(&mut self, rows: &Rows, done: TaskId) {
        for row in rows.iter().filter(|row| row.is_open() && row.needs.contains(&done)) {
            if !self.places.contains_key(&row.id) && !self.later.contains_key(&row.id) {
                self.join_at(rows, row.id, Origin::Enabled, self.stamp);
            }
        }
    }

    fn leave(&mut self, id: TaskId) {
        self.places.remove(&id);
        self.origins.remove(&id);
        self.later.remove(&id);
        self.running.remove(&id);
    }

    fn join(&mut self, rows: &Rows, id: TaskId, origin: Origin) {
        self.stamp += 1;
        self.join_at(rows, id, origin, self.stamp);
    }

    /// If it waits for nothing.
    fn join_at(&mut self, rows: &Rows, id: TaskId, origin: Origin, stamp: u64) {
        let Some(row) = rows.get(id).filter(|row| row.is_open() && !waits(rows, row)) else {
            return;
        };
        if self.running.contains(&id) || self.later.contains_key(&id) {
            return;
        }
        self.origins.insert(id, origin);
        if !row.held && is_sure(rows, row) {
            self.places.insert(id, Place { priority: row.priority, origin, stamp });
        }
    }

    fn is_next(&mut self, rows: &Rows, id: TaskId) -> Check {
        self.running.insert(id);
        let Some(row) = rows.get(id) else {
            return Ok(());
        };
        let own = self.places.remove(&id);
        let before = |other: &Place| match own {
            Some(own) => other.is_before(&own),
            None => other.priority > row.priority,
        };
        if own.is_none() && is_sure(rows, row) {
            return Err(format!("'{}' is given out, and is not ready", row.name));
        }
        match self.places.iter().find(|(_, other)| before(other)) {
            Some((&first, place)) => Err(format!(
                "'{}' ({own:?}) is given out before '{}' ({place:?})",
                row.name,
                name_of(rows, first)
            )),
            None => Ok(()),
        }
    }
}

fn is_sure(rows: &Rows, row: &Row) -> bool {
    !rows.needs(row).any(|need| need.redone)
}

/// Something that it needs is not done, or is not there yet.
fn waits(rows: &Rows, row: &Row) -> bool {
    row.needs.iter().any(|&need| rows.get(need).is_none_or(|need| need.state != State::Done))
}
