//! How many tasks are in which state.

use serde::{Deserialize, Serialize};

use crate::engine::message::State;

/// Tasks by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    counts: [u64; 9],
}

impl Counts {
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
