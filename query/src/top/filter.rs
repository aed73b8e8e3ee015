//! Which tasks are on the screen. The hub does the choosing.

use dhub_proto::wire::{Selection, State};

use crate::render::words::{plain, state};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// As it was typed.
    pub text: String,
    pub state: Option<State>,
}

impl Filter {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub fn selection(&self) -> Selection {
        let pattern = match self.text.as_str() {
            "" => None,
            text if text.contains(['*', '?']) => Some(text.to_owned()),
            // Somewhere in the name.
            text => Some(format!("*{text}*")),
        };
        Selection {
            patterns: pattern.into_iter().collect(),
            states: self.state.iter().map(|&state| state as i32).collect(),
            ..Selection::default()
        }
    }

    /// sim failed
    pub fn describe(&self) -> String {
        let text = plain(&self.text);
        let state = self.state.map_or("", state);
        [&*text, state].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

/// The keys that choose a state, after the one that asks for it.
pub const STATES: [(char, State); 7] = [
    ('r', State::Running),
    ('f', State::Failed),
    ('e', State::Ready),
    ('w', State::Waiting),
    ('d', State::Done),
    ('s', State::Skipped),
    ('c', State::Cancelled),
];
