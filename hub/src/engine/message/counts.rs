//! How many tasks are in which state.

use super::State;

/// Tasks by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    counts: [u64; 9],
}

impl From<[u64; 9]> for Counts {
    fn from(counts: [u64; 9]) -> Self {
        Self { counts }
    }
}

impl Counts {
    /// By the numbers of the states.
    pub fn numbers(&self) -> [u64; 9] {
        self.counts
    }

    pub fn of(&self, state: State) -> u64 {
        self.counts[state as usize]
    }

    pub fn set(&mut self, state: State, count: u64) {
        self.counts[state as usize] = count;
    }

    /// Tasks that somebody added.
    pub fn total(&self) -> u64 {
        self.counts[State::Waiting as usize..].iter().sum()
    }

    pub fn unfinished(&self) -> u64 {
        self.of(State::Waiting) + self.of(State::Ready) + self.of(State::Running)
    }

    pub fn not_done(&self) -> u64 {
        self.of(State::Failed) + self.of(State::Skipped) + self.of(State::Cancelled)
    }

    pub(crate) fn up(&mut self, state: State) {
        self.counts[state as usize] += 1;
    }

    pub(crate) fn down(&mut self, state: State) {
        self.counts[state as usize] -= 1;
    }
}
