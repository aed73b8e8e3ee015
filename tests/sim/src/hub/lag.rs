//! How far the tables lag behind what is committed.

use dhub::engine::message::{Millis, Turn};

/// However many turns the tables lag, they do not for longer.
const LAG_MS: u64 = 5 * 60_000;

#[derive(Clone)]
pub struct Lag {
    /// Turns after which there is a fold.
    pub turns: Turn,
    /// Of those, the last ones that it leaves for the next.
    pub left: Turn,
    /// Of the world's time.
    pub folded_at: Millis,
}

impl Lag {
    /// Up to which turn to fold now.
    pub fn due(&mut self, turn: Turn, now: Millis) -> Option<Turn> {
        let is_late = now >= self.folded_at + LAG_MS;
        if !turn.is_multiple_of(self.turns) && !is_late {
            return None;
        }
        self.folded_at = now;
        Some(if is_late { turn } else { turn.saturating_sub(self.left) })
    }
}
