//! Which tasks are on the screen. The hub does the choosing.

use dhub_proto::wire::{Selection, State};

use crate::render::words::{plain, state};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// As it was typed.
    pub text: String,
    pub state: Option<State>,
    pub held: bool,
    /// The name of one that runs them, or ran them last.
    pub worker: String,
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
            workers: Some(self.worker.clone())
                .filter(|name| !name.is_empty())
                .into_iter()
                .collect(),
            held: self.held,
            ..Selection::default()
        }
    }

    /// sim failed on node1:4711
    pub fn describe(&self) -> String {
        let mut parts = vec![plain(&self.text).into_owned()];
        parts.extend(self.state.map(|of| state(of).to_owned()));
        parts.extend(self.held.then(|| "held".to_owned()));
        if !self.worker.is_empty() {
            parts.push(format!("on {}", plain(&self.worker)));
        }
        parts.retain(|part| !part.is_empty());
        parts.join(" ")
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
