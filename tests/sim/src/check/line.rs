//! Who is next: the ready tasks in the order in which they have to be given out, worked out from what is
//! stored and from nothing else.
//!
//! Larger priority first; then tasks that were given back; then those that a completion made ready, the newest
//! first; then new ones, the oldest first. Those that one change made ready at once may come in any order.
//! What a task waits for is not known any more once something that it needs is run again after it was done:
//! of such a task only the priority counts.
//!
//! The priority that counts is the largest of a task's own and those of all that need it, unless the hub is told
//! otherwise. What is passed on by a command is passed on at its end, to all at once.
//!
//! The last try of a task that may take its workers down is one alone: with a worker that holds nothing else.

use std::collections::{BTreeMap, BTreeSet};

use dhub::engine::scheduler::Config;

use dhub::engine::message::*;
use dhub::engine::scheduler::State;
use dhub::engine::scheduler::state::backoff::delay_ms;

use super::urgency::Urgency;
use super::{Check, name_of};
use crate::store::{Row, Rows};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Alone,
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
    alone: bool,
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
            Origin::Alone | Origin::GivenBack | Origin::New => self.stamp < other.stamp,
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
    /// Of the running: those that are tried alone.
    alone: BTreeSet<TaskId>,
    /// Taken from lost workers so often that the next time, if not now, they are tried alone.
    worn: BTreeSet<TaskId>,
    urgency: Urgency,
    stamp: u64,
    retry_delay_ms: u64,
    reclaims_max: u32,
}

/// One more loss of its worker, and it fails: it is tried alone.
pub fn is_last_try(row: &Row, reclaims_max: u32) -> bool {
    row.reclaims + 1 >= reclaims_max
}

/// One more loss, and its next try is the last one.
pub fn is_worn(row: &Row, reclaims_max: u32) -> bool {
    row.reclaims + 2 >= reclaims_max
}

fn has_id(rows: &Rows, worker: WorkerId) -> bool {
    rows.workers.get(&worker).is_some_and(|who| who.id.is_some())
}

impl Line {
    /// After a start of the hub: by the order in which they were added.
    pub fn restored(rows: &Rows, config: &Config) -> Self {
        let reclaims_max = config.reclaims_max;
        let alone = rows.leases.iter().filter(|(id, lease)| {
            let is_last = |row: &Row| is_last_try(row, reclaims_max);
            rows.get(**id).is_some_and(is_last) && has_id(rows, lease.worker)
        });
        let mut line = Self {
            places: BTreeMap::new(),
            origins: BTreeMap::new(),
            later: BTreeMap::new(),
            running: rows.leases.keys().copied().collect(),
            alone: alone.map(|(&id, _)| id).collect(),
            worn: rows.iter().filter(|it| is_worn(it, reclaims_max)).map(|it| it.id).collect(),
            urgency: Urgency::of(rows, config.inherit_priority),
            stamp: 0,
            retry_delay_ms: config.retry_delay_ms,
            reclaims_max,
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
        self.urgency.note(rows, change);
        match *change {
            Change::Added { id, .. } => self.join(rows, id, Origin::New),
            Change::Needs { task, .. } if rows.get(task).is_some_and(|row| waits(rows, row)) => {
                self.places.remove(&task);
                self.later.remove(&task);
            }
            Change::Leased { task, worker, .. } => {
                self.settle(rows);
                return self.is_next(rows, task, worker);
            }
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
        self.alone.remove(&id);
        match rows.get(id).is_some_and(|row| is_worn(row, self.reclaims_max)) {
            true => self.worn.insert(id),
            false => self.worn.remove(&id),
        };
        if !self.running.remove(&id) {
            // It failed after all, so its last try is not the next one.
            self.stamp += 1;
            if let Some(place) = self.places.get_mut(&id).filter(|place| place.alone) {
                (place.alone, place.origin, place.stamp) = (false, Origin::GivenBack, self.stamp);
            }
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
        self.alone.remove(&id);
        self.worn.remove(&id);
    }

    /// Of some the next try is one alone, or may be at the end of the command under way.
    pub fn are_some_worn(&self) -> bool {
        !self.worn.is_empty()
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
            let alone = is_last_try(row, self.reclaims_max);
            let origin = if alone { Origin::Alone } else { origin };
            let priority = self.urgency.of_task(row);
            self.places.insert(id, Place { priority, origin, stamp, alone });
        }
    }

    /// The end of what a command changes, before anything is given out: those that are as urgent as others now
    /// take their places behind those like them.
    pub fn settle(&mut self, rows: &Rows) {
        if !self.urgency.settle(rows) {
            return;
        }
        self.stamp += 1;
        for (id, place) in &mut self.places {
            let Some(row) = rows.get(*id) else { continue };
            let priority = self.urgency.of_task(row);
            if place.priority != priority {
                (place.priority, place.stamp) = (priority, self.stamp);
            }
        }
    }

    /// How many there are that this worker may have, of so many that are ready.
    pub fn open_to(&self, rows: &Rows, worker: Option<WorkerId>, ready: u64) -> u64 {
        let Some(worker) = worker.filter(|&worker| has_id(rows, worker)) else {
            return ready;
        };
        let mut held = rows.leases.iter().filter(|(_, lease)| lease.worker == worker).peekable();
        if held.peek().is_none() {
            return ready;
        }
        if held.any(|(id, _)| self.alone.contains(id)) {
            return 0;
        }
        let is_ready = |row: &&Row| row.is_open() && !self.running.contains(&row.id);
        let others =
            rows.iter().filter(is_ready).filter(|row| is_last_try(row, self.reclaims_max)).count();
        ready.saturating_sub(others as u64)
    }

    /// Whether the first of all is one that is tried alone; None: it is not known of some where they have their places.
    pub fn last_try_is_first(&self, rows: &Rows) -> Option<bool> {
        let most = |alone: bool| {
            let places = self.places.values().filter(|place| place.alone == alone);
            places.map(|place| place.priority).max()
        };
        let is_ready = |row: &&Row| {
            let is_away = self.running.contains(&row.id) || self.later.contains_key(&row.id);
            row.is_open() && !row.held && !is_away && !waits(rows, row)
        };
        let is_known =
            |row: &Row| self.places.contains_key(&row.id) && self.urgency.is_sure(row.id);
        let mut worn = self.worn.iter().filter_map(|&id| rows.get(id));
        if worn.any(|row| is_last_try(row, self.reclaims_max) && is_ready(&row)) {
            let are_known = rows.iter().filter(is_ready).all(is_known);
            return are_known.then(|| most(true) >= most(false));
        }
        Some(false)
    }

    /// It has an id and holds something, none of it alone.
    pub fn could_make_room(&self, rows: &Rows, worker: WorkerId) -> bool {
        let holders = rows.leases.values().map(|lease| lease.worker);
        let mut holders: BTreeSet<WorkerId> = holders.filter(|&it| has_id(rows, it)).collect();
        for id in &self.alone {
            rows.leases.get(id).map(|lease| holders.remove(&lease.worker));
        }
        holders.contains(&worker)
    }

    fn is_next(&mut self, rows: &Rows, id: TaskId, worker: WorkerId) -> Check {
        self.running.insert(id);
        let mut others = rows
            .leases
            .iter()
            .filter(|(it, lease)| lease.worker == worker && **it != id && has_id(rows, worker));
        let is_busy = others.next().is_some();
        let mut alone = self.alone.iter().filter_map(|it| Some((it, rows.leases.get(it)?)));
        if let Some((it, _)) = alone.find(|(_, lease)| lease.worker == worker) {
            let it = name_of(rows, *it);
            return Err(format!("'{}' is given to who tries '{it}' alone", name_of(rows, id)));
        }
        let Some(row) = rows.get(id) else {
            return Ok(());
        };
        let own = self.places.remove(&id);
        if own.is_some_and(|own| own.alone) && has_id(rows, worker) {
            if is_busy {
                return Err(format!("'{}' is to be tried alone, and is not", row.name));
            }
            self.alone.insert(id);
        }
        let is_ready = own.is_some();
        let own = own.filter(|_| self.urgency.is_sure(id));
        let most = if self.urgency.is_sure(id) { self.urgency.of_task(row) } else { i32::MAX };
        let before = |other: &Place| match own {
            _ if other.alone && is_busy => false,
            Some(own) => other.is_before(&own),
            None => other.priority > most,
        };
        if !is_ready && is_sure(rows, row) {
            return Err(format!("'{}' is given out, and is not ready", row.name));
        }
        let mut places = self.places.iter().filter(|(id, _)| self.urgency.is_sure(**id));
        match places.find(|(_, other)| before(other)) {
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
