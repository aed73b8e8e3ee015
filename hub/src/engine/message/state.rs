//! The states of a task, and its moves.

use super::Code;

/// The one enum of states; `may_become` is the one table of moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// Named as a dependency, added by nobody.
    Missing = 1,
    #[default]
    Waiting = 2,
    Ready = 3,
    Running = 4,
    Done = 5,
    Failed = 6,
    Skipped = 7,
    Cancelled = 8,
}

impl State {
    const ALL: [Self; 8] = [
        Self::Missing,
        Self::Waiting,
        Self::Ready,
        Self::Running,
        Self::Done,
        Self::Failed,
        Self::Skipped,
        Self::Cancelled,
    ];

    /// As the tables and the wire have it.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as u8 == number)
    }

    pub fn is_finished(self) -> bool {
        self as u8 >= State::Done as u8
    }

    pub fn is_unfinished(self) -> bool {
        matches!(self, State::Waiting | State::Ready | State::Running)
    }

    /// Why nothing can be changed about a task that is not unfinished.
    pub(crate) fn refusal(self) -> (Code, &'static str) {
        match self {
            State::Done => (Code::State, "it is done already"),
            State::Failed => (Code::State, "it has failed already"),
            State::Skipped => (Code::State, "it was skipped"),
            State::Cancelled => (Code::State, "it was cancelled"),
            _ => (Code::NotFound, "there is no such task"),
        }
    }

    /// Finished, and what depends on it can never run.
    pub fn is_dead(self) -> bool {
        self as u8 > State::Done as u8
    }

    /// The legal moves, as docs/architecture.md draws them.
    pub fn may_become(self, next: State) -> bool {
        use State::*;
        match self {
            Missing => matches!(next, Waiting),
            // Done or failed: a late outcome, of one that is held.
            Waiting => matches!(next, Ready | Done | Failed | Skipped | Cancelled),
            Ready => matches!(next, Waiting | Running | Done | Failed | Skipped | Cancelled),
            Running => matches!(next, Waiting | Ready | Done | Failed | Cancelled),
            // A retry makes a new entry of it, in memory.
            Done | Failed | Skipped | Cancelled => false,
        }
    }
}
