//! Which rows a selection chooses, once their names are known to fit or need not.

use wildmatch::WildMatch;

use crate::convert::Selection;
use crate::scheduler::message::Name;
use crate::scheduler::{Scheduler, State};
use crate::store::{TaskRow, unix_ms};
use crate::view;

pub struct Filter {
    pub selection: Selection,
    names: hashbrown::HashSet<Name>,
    patterns: Vec<WildMatch>,
    workers: Vec<WildMatch>,
    /// The names that nobody added too.
    missing: bool,
    /// Of all patterns of names, and of workers.
    pattern_bytes: (usize, usize),
}

impl Filter {
    pub fn new(selection: Selection, missing: bool) -> Self {
        let compile = |patterns: &[Name]| patterns.iter().map(|it| WildMatch::new(it)).collect();
        let bytes = |patterns: &[Name]| patterns.iter().map(|it| it.len()).sum();
        Self {
            pattern_bytes: (bytes(&selection.patterns), bytes(&selection.workers)),
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

    pub fn fits(&self, scheduler: &Scheduler, row: &TaskRow) -> bool {
        let Selection { states, since_unix_ms, exit_codes, held, .. } = &self.selection;
        let state = view::state(scheduler, row);
        let by_state = match states.is_empty() {
            true => self.missing || state != State::Missing,
            false => states.contains(&state),
        };
        by_state
            && self.name_fits(&row.name)
            && (self.workers.is_empty() || self.workers.iter().any(|it| it.matches(&row.worker)))
            && (*since_unix_ms == 0 || last_event_ms(state, row) >= *since_unix_ms)
            && (exit_codes.is_empty()
                || (has_ended(state, row) && exit_codes.contains(&row.exit_code)))
            && (!held || row.held)
    }

    /// What `fits` may take, at most.
    pub fn steps(&self, row: &TaskRow) -> usize {
        let (names, workers) = self.pattern_bytes;
        row.name.len() * names + row.worker.len() * workers
    }

    fn name_fits(&self, name: &str) -> bool {
        self.patterns.is_empty()
            || self.names.contains(name)
            || self.patterns.iter().any(|pattern| pattern.matches(name))
    }
}

/// Its last attempt has; a running one has no end.
fn has_ended(state: State, row: &TaskRow) -> bool {
    row.ended_ms > 0 && state != State::Running
}

/// When it was added, started or ended.
fn last_event_ms(state: State, row: &TaskRow) -> u64 {
    let started = match state {
        State::Running => (unix_ms() as u64).saturating_sub(row.run_ms),
        _ => 0,
    };
    row.created_ms.max(row.ended_ms).max(started)
}
