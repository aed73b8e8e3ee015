//! The tasks of a selection, in the order in which they were added or named, slice by slice.

use std::collections::VecDeque;

use super::SLICE_BYTES;
use super::filter::{COMPARE_STEPS_MAX, Filter, Pace, Place};
use crate::engine::archive::{Archive, MATCH_PATTERNS_MAX, Page};
use crate::engine::message::TaskRow;
use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;
use crate::engine::view;

pub struct Walk {
    filter: Filter,
    /// An id; of names: how many of them have been looked at.
    after: u64,
    /// Without a selection: the names that nobody added too.
    missing: bool,
    /// From the last to the first: `after` is then an id before which to go on.
    back: bool,
    /// Of patterns: tasks whose names fit, and whether there may be more.
    matching: VecDeque<TaskId>,
    matched_upto: Option<TaskId>,
    /// Read, and not looked at yet; and whether there is nothing after them.
    read: VecDeque<Found>,
    read_all: bool,
    /// How far the first of them has been compared.
    place: Place,
    /// To read for a slice: as many as there is time to compare, so that not much is kept until the next one.
    rows: usize,
}

pub struct Found {
    /// Where to go on after it.
    pub after: u64,
    /// Or the name that no task has.
    pub task: Result<TaskRow, Name>,
}

pub struct Slice {
    pub found: Vec<Found>,
    /// There is nothing after it.
    pub all: bool,
}

impl Walk {
    pub fn new(selection: Selection, after: u64, missing: bool) -> Self {
        let filter = Filter::new(selection, missing);
        let rows = 1 + COMPARE_STEPS_MAX / (1 + filter.steps());
        Self {
            filter,
            after,
            missing,
            back: false,
            matching: VecDeque::new(),
            matched_upto: Some(after),
            read: VecDeque::new(),
            read_all: false,
            place: Place::default(),
            rows,
        }
    }

    pub fn selection(&self) -> &Selection {
        &self.filter.selection
    }

    /// From the last task before that id to the first. Not of names.
    pub fn back(selection: Selection, before: TaskId) -> Self {
        Self { back: true, ..Self::new(selection, before, false) }
    }

    /// Where it has come to.
    pub fn after(&self) -> u64 {
        self.after
    }

    /// Looks at up to `most` tasks.
    pub fn slice<A: Archive>(
        &mut self,
        scheduler: &Scheduler,
        store: &A,
        most: usize,
    ) -> Result<Slice, A::Error> {
        if self.read.is_empty() && !self.read_all {
            let most = self.rows.min(most);
            let selection = &self.filter.selection;
            let by_pattern = (1..=MATCH_PATTERNS_MAX).contains(&selection.patterns.len());
            let read = match selection.is_by_name() {
                true => self.names(scheduler, store, most)?,
                false
                    if by_pattern
                        && selection.names.is_empty()
                        && self.page_or_memory().is_some() =>
                {
                    self.matching(store, most)?
                }
                false => self.pages(scheduler, store, most)?,
            };
            (self.read, self.read_all) = (read.found.into(), read.all);
        }
        let (mut found, mut pace) = (Vec::new(), Pace::default());
        while let Some(next) = self.read.front() {
            let fits = match &next.task {
                Ok(row) => self.filter.fits(scheduler, row, &mut self.place, &mut pace),
                Err(_) => Some(true),
            };
            let Some(fits) = fits else {
                self.rows = (self.rows / 2).max(1);
                return Ok(Slice { found, all: false });
            };
            found.extend(self.read.pop_front().filter(|_| fits));
        }
        self.rows = self.rows.saturating_mul(2);
        Ok(Slice { found, all: self.read_all })
    }

    fn names<A: Archive>(
        &mut self,
        scheduler: &Scheduler,
        store: &A,
        most: usize,
    ) -> Result<Slice, A::Error> {
        let names = &self.filter.selection.names;
        let begin = usize::try_from(self.after).unwrap_or(usize::MAX).min(names.len());
        let (mut found, mut bytes) = (Vec::new(), 0);
        for name in &names[begin..] {
            if found.len() == most || bytes > SLICE_BYTES {
                break;
            }
            let row = store.row(name)?;
            let row = row.filter(|row| view::state(scheduler, row) != State::Missing);
            bytes += row.as_ref().map_or(0, TaskRow::bytes);
            self.after = (begin + found.len() + 1) as u64;
            found.push(Found { after: self.after, task: row.ok_or_else(|| name.clone()) });
        }
        let all = begin + found.len() == names.len();
        Ok(Slice { found, all })
    }

    fn pages<A: Archive>(
        &mut self,
        scheduler: &Scheduler,
        store: &A,
        most: usize,
    ) -> Result<Slice, A::Error> {
        let Some(which) = self.page_or_memory() else {
            return self.memory(scheduler, store, most);
        };
        let rows = match self.back {
            false => store.page(which, self.after, most)?,
            true => store.page_before(which, self.after, most)?,
        };
        let all = rows.is_empty();
        Ok(Slice { found: rows.into_iter().map(|row| self.found(row)).collect(), all })
    }

    /// The pages that have all that is chosen; None: memory has.
    fn page_or_memory(&self) -> Option<Page> {
        let states = self.filter.selection.states.as_slice();
        let only = |among: &[State]| {
            !states.is_empty() && states.iter().all(|state| among.contains(state))
        };
        if only(&[State::Running, State::Missing]) {
            return None;
        }
        Some(match states {
            [state @ (State::Failed | State::Skipped | State::Cancelled)] => Page::Dead(*state),
            _ if only(&[State::Waiting, State::Ready, State::Running]) => Page::Open,
            [] if !self.missing => Page::All,
            _ => Page::Any,
        })
    }

    /// First the ids, of many tasks at a time, then the rows.
    fn matching<A: Archive>(&mut self, store: &A, most: usize) -> Result<Slice, A::Error> {
        let mut found = Vec::new();
        if let (true, Some(upto)) = (self.matching.is_empty(), self.matched_upto) {
            let which = self.page_or_memory().unwrap_or(Page::Any);
            let matching =
                store.matching(which, &self.filter.selection.patterns, upto, self.back, most)?;
            (self.matching, self.matched_upto) = (matching.ids.into(), matching.upto);
        }
        let mut bytes = 0;
        while found.len() < most
            && bytes <= SLICE_BYTES
            && let Some(id) = self.matching.pop_front()
        {
            if let Some(row) = store.row_by_id(id)? {
                bytes += row.bytes();
                found.push(self.found(row));
            }
        }
        let all = self.matching.is_empty() && self.matched_upto.is_none();
        Ok(Slice { found, all })
    }

    /// The running are few, and memory knows them; so are the missing.
    fn memory<A: Archive>(
        &mut self,
        scheduler: &Scheduler,
        store: &A,
        most: usize,
    ) -> Result<Slice, A::Error> {
        let states = &self.filter.selection.states;
        let mut ids: Vec<TaskId> = Vec::new();
        if states.contains(&State::Running) {
            ids.extend(scheduler.running(0).map(|(task, ..)| task.id));
        }
        if states.contains(&State::Missing) {
            ids.extend(scheduler.missing().map(|task| task.id));
        }
        match self.back {
            false => {
                ids.retain(|&id| id > self.after);
                ids.sort_unstable();
            }
            true => {
                ids.retain(|&id| id < self.after);
                ids.sort_unstable_by_key(|&id| std::cmp::Reverse(id));
            }
        }
        let all = ids.len() <= most;
        let mut found = Vec::new();
        for &id in ids.iter().take(most) {
            self.after = id;
            if let Some(row) = store.row_by_id(id)? {
                found.push(self.found(row));
            }
        }
        Ok(Slice { found, all })
    }

    fn found(&mut self, row: TaskRow) -> Found {
        self.after = row.id;
        Found { after: row.id, task: Ok(row) }
    }
}
