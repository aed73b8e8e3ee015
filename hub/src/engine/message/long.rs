//! Requests that may touch millions of tasks.

use std::path::PathBuf;

use super::{Adjustment, Name, Order, State, TaskId};

/// What may touch millions of tasks. Equal ones are the same request, sent again.
#[derive(Clone, Debug, PartialEq)]
pub enum Long {
    List(List),
    Export(Export),
    Sweep { selection: Selection, deed: Deed },
    Count(Selection),
    Retry { selection: Selection, done: bool },
    Steer { workers: Vec<Name>, order: Order },
    Backup { to: PathBuf },
}

impl Long {
    /// What is looked at, and nothing changed.
    pub fn is_reading(&self) -> bool {
        matches!(self, Long::List(_) | Long::Export(_) | Long::Count(_))
    }

    /// Of its texts, about as they lie in memory.
    pub fn bytes(&self) -> usize {
        let texts = |texts: &[Name]| texts.iter().map(|it| size_of::<Name>() + it.len()).sum();
        match self {
            Long::List(List { selection, .. })
            | Long::Export(Export { list: List { selection, .. }, .. })
            | Long::Sweep { selection, .. }
            | Long::Count(selection)
            | Long::Retry { selection, .. } => {
                let Selection { names, patterns, workers, .. } = selection;
                [names, patterns, workers].into_iter().map(|it| -> usize { texts(it) }).sum()
            }
            Long::Steer { workers, .. } => texts(workers),
            Long::Backup { .. } => 0,
        }
    }
}

/// What is done to each task of a selection that is not finished.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Deed {
    Cancel,
    Adjust(Adjustment),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    pub names: Vec<Name>,
    pub patterns: Vec<Name>,
    pub states: Vec<State>,
    /// Patterns.
    pub workers: Vec<Name>,
    pub since_unix_ms: u64,
    pub exit_codes: Vec<i32>,
    pub held: bool,
}

impl Selection {
    /// Those of these names, whatever else is true of them.
    pub fn is_only_names(&self) -> bool {
        let Self { names, patterns, states, workers, since_unix_ms, exit_codes, held } = self;
        let others = patterns.len() + states.len() + workers.len() + exit_codes.len();
        !names.is_empty() && others == 0 && *since_unix_ms == 0 && !held
    }

    /// Gone through in the order of the names, not in that of the tasks.
    pub fn is_by_name(&self) -> bool {
        !self.names.is_empty() && self.patterns.is_empty()
    }

    /// All tasks in some of the states that have totals of their own, of which none is held.
    pub fn is_only_finished(&self) -> bool {
        let states = self.states.clone();
        let finished = states.iter().all(|state| state.is_finished());
        finished && *self == Self { states, ..Self::default() }
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct List {
    pub selection: Selection,
    pub limit: usize,
    pub after: TaskId,
    /// The page that ends there, if it is not 0.
    pub before: TaskId,
}

/// A list with all there is to know of each task; the first attempts of the task after `list.after`
/// may have been told.
#[derive(Clone, Debug, PartialEq)]
pub struct Export {
    pub list: List,
    pub after_attempt: u32,
    pub brief: bool,
}
