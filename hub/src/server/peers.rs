//! The connections of each key, as they were seen: what is to end when the key is taken back.

use hashbrown::{HashMap, HashSet};

use crate::gate::User;
use crate::route::{At, Route};
use crate::scheduler::message::Millis;

/// Kept of one key before those that are gone are looked for.
const KEPT_MIN: usize = 1_000;
/// For a peer to read why it has to go; what it has not read by then it never will.
const LEAVE_MS: Millis = 3_000;

#[derive(Default)]
struct Seen {
    at: HashSet<At>,
    /// How many there may be before that.
    most: usize,
}

#[derive(Default)]
pub struct Peers {
    of: HashMap<User, Seen>,
    /// To be ended, once they have been told why, and when.
    leaving: HashMap<At, Millis>,
}

impl Peers {
    /// A message of a key that is valid. `is_there`: whether that connection is still there.
    pub fn note(&mut self, route: &Route, is_there: impl FnMut(&At) -> bool) {
        let Some(user) = route.user else { return };
        let seen = self.of.entry(user).or_default();
        let at = route.at();
        if seen.at.insert(at) && seen.at.len() > seen.most.max(KEPT_MIN) {
            seen.at.retain(is_there);
            seen.most = 2 * seen.at.len();
        }
    }

    pub fn users(&self) -> impl Iterator<Item = User> {
        self.of.keys().copied()
    }

    /// All connections of a key that was taken back.
    pub fn end(&mut self, user: User, now: Millis) {
        let seen = self.of.remove(&user).unwrap_or_default();
        seen.at.into_iter().for_each(|at| self.end_one(at, now));
    }

    pub fn end_one(&mut self, at: At, now: Millis) {
        self.leaving.entry(at).or_insert(now + LEAVE_MS);
    }

    pub fn take_leaving(&mut self, now: Millis) -> Vec<At> {
        self.leaving.extract_if(|_, due| *due <= now).map(|(at, _)| at).collect()
    }
}
