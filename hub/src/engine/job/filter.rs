//! Which rows a selection chooses, once their names are known to fit or need not.

use dhub_proto::limits::NAME_BYTES_MAX;
use wildmatch::WildMatch;

use crate::engine::message::TaskRow;
use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;
use crate::engine::view;

/// Steps in which a slice compares texts with patterns: some milliseconds.
pub const COMPARE_STEPS_MAX: usize = 4_000_000;
/// One comparison is no more than that: else it would never be made.
const _: () = assert!((NAME_BYTES_MAX + 1) * (NAME_BYTES_MAX + 1) < COMPARE_STEPS_MAX);
/// Of names, as they mostly are.
const TEXT_BYTES: usize = 32;

pub struct Filter {
    pub selection: Selection,
    names: hashbrown::HashSet<Name>,
    patterns: Vec<WildMatch>,
    workers: Vec<WildMatch>,
    /// The names that nobody added too.
    missing: bool,
    /// Of all patterns.
    pattern_bytes: usize,
}

impl Filter {
    pub fn new(selection: Selection, missing: bool) -> Self {
        let compile = |patterns: &[Name]| patterns.iter().map(|it| WildMatch::new(it)).collect();
        Self {
            pattern_bytes: selection
                .patterns
                .iter()
                .chain(&selection.workers)
                .map(|it| it.len())
                .sum(),
            // Compared one by one only beside patterns.
            names: match selection.patterns.is_empty() {
                true => Default::default(),
                false => selection.names.iter().cloned().collect(),
            },
            patterns: compile(&selection.patterns),
            workers: compile(&selection.workers),
            missing,
            selection,
        }
    }

    /// Whether it is chosen; None: that is enough for a slice, go on with it later, at the same place.
    pub fn fits(
        &self,
        scheduler: &Scheduler,
        row: &TaskRow,
        place: &mut Place,
        pace: &mut Pace,
    ) -> Option<bool> {
        let fits = self.fits_otherwise(scheduler, row)
            && (self.patterns.is_empty()
                || self.names.contains(row.name.as_str())
                || some(&self.patterns, &row.name, &mut place.names, pace)?)
            && (self.workers.is_empty()
                || some(&self.workers, &row.worker, &mut place.workers, pace)?);
        *place = Place::default();
        Some(fits)
    }

    /// By all but texts.
    fn fits_otherwise(&self, scheduler: &Scheduler, row: &TaskRow) -> bool {
        let Selection { states, since_unix_ms, exit_codes, held, .. } = &self.selection;
        let state = view::state(scheduler, row);
        let by_state = match states.is_empty() {
            true => self.missing || state != State::Missing,
            false => states.contains(&state),
        };
        by_state
            && (*since_unix_ms == 0 || last_event_ms(state, row) >= *since_unix_ms)
            && (exit_codes.is_empty()
                || (has_ended(state, row) && exit_codes.contains(&row.exit_code)))
            && (!held || row.held)
    }

    /// What `fits` may take for a row with short texts, at most.
    pub fn steps(&self) -> usize {
        TEXT_BYTES * self.pattern_bytes
    }
}

/// How far the patterns of names, and of workers, have been compared with a row: they do not fit.
#[derive(Default)]
pub struct Place {
    names: usize,
    workers: usize,
}

/// Comparing texts with patterns goes on for so many steps: one of some hundred bytes can take a hundred thousand.
#[derive(Default)]
pub struct Pace(usize);

impl Pace {
    /// Whether there is time for so many steps more.
    fn allows(&mut self, steps: usize) -> bool {
        self.0 += steps;
        self.0 <= COMPARE_STEPS_MAX
    }
}

/// Whether one of the patterns fits, from a place on.
fn some(patterns: &[WildMatch], text: &str, place: &mut usize, pace: &mut Pace) -> Option<bool> {
    while let Some(pattern) = patterns.get(*place) {
        if !pace.allows(1 + text.len() * pattern.pattern_chars().len()) {
            return None;
        }
        if pattern.matches(text) {
            return Some(true);
        }
        *place += 1;
    }
    Some(false)
}

/// Its last attempt has; a running one has no end.
fn has_ended(state: State, row: &TaskRow) -> bool {
    row.ended_ms > 0 && state != State::Running
}

/// When it was added, started or ended.
fn last_event_ms(state: State, row: &TaskRow) -> u64 {
    let started = match state {
        State::Running => row.started_ms,
        _ => 0,
    };
    row.created_ms.max(row.ended_ms).max(started)
}
