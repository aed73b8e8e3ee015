//! The connections of each key, as they were seen: what is to end when the key is taken back.
//!
//! What a connection is called is chosen by who connects: a name belongs to the key that was seen with it
//! last, for another key can have it only once the connection before is gone.

use hashbrown::{HashMap, HashSet};

use crate::gate::User;
use crate::route::{At, Route};
use crate::scheduler::message::Millis;

/// Kept before those that are gone are looked for.
const KEPT_MIN: usize = 1_000;
/// For a peer to read why it has to go; what it has not read by then it never will.
const LEAVE_MS: Millis = 3_000;

#[derive(Default)]
pub struct Peers {
    of: HashMap<At, User>,
    /// How many there may be before that.
    most: usize,
    /// To be ended, once they have been told why, and when.
    leaving: HashMap<At, Millis>,
}

impl Peers {
    /// A message of a key that is valid. `is_there`: whether that connection is still there.
    pub fn note(&mut self, route: &Route, mut is_there: impl FnMut(&At) -> bool) {
        let Some(user) = route.user else { return };
        let at = route.at();
        if !self.leaving.is_empty() {
            self.leaving.remove(&at);
        }
        if self.of.insert(at, user).is_none() && self.of.len() > self.most.max(KEPT_MIN) {
            self.of.retain(|at, _| is_there(at));
            self.most = 2 * self.of.len();
        }
    }

    pub fn users(&self) -> HashSet<User> {
        self.of.values().copied().collect()
    }

    /// All connections of a key that was taken back.
    pub fn end(&mut self, user: User, now: Millis) {
        let ended: Vec<At> = self.of.extract_if(|_, it| *it == user).map(|(at, _)| at).collect();
        ended.into_iter().for_each(|at| self.end_one(at, now));
    }

    pub fn end_one(&mut self, at: At, now: Millis) {
        self.leaving.entry(at).or_insert(now + LEAVE_MS);
    }

    pub fn take_leaving(&mut self, now: Millis) -> Vec<At> {
        self.leaving.extract_if(|_, due| *due <= now).map(|(at, _)| at).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Dialect;
    use crate::socket::Peer;

    const DUE: Millis = LEAVE_MS;

    fn of(user: User, name: &str) -> Route {
        let peer = Peer { identity: zmq::Message::from(name), is_req: false };
        let (user, dialect) = (Some(user), Dialect::Dwork);
        Route { socket: 0, peer, user, guest: user, dialect, claim: None }
    }

    fn names(leaving: Vec<At>) -> Vec<String> {
        let mut names: Vec<String> =
            leaving.iter().map(|(_, name)| String::from_utf8_lossy(name).into()).collect();
        names.sort();
        names
    }

    #[test]
    fn connections_of_a_key_that_was_taken_back_end_after_a_while() {
        let mut peers = Peers::default();
        for (user, name) in [(1, "a"), (1, "b"), (2, "c")] {
            peers.note(&of(user, name), |_| true);
        }
        peers.end(1, 0);
        assert_eq!(peers.take_leaving(DUE - 1), []);
        assert_eq!(names(peers.take_leaving(DUE)), ["a", "b"]);
    }

    #[test]
    fn a_name_that_somebody_else_has_by_now_is_theirs() {
        let mut peers = Peers::default();
        // Before the key that had it first is taken back, and after that.
        peers.note(&of(1, "before"), |_| true);
        peers.note(&of(1, "after"), |_| true);
        peers.note(&of(2, "before"), |_| true);
        peers.end(1, 0);
        peers.note(&of(2, "after"), |_| true);
        assert_eq!(names(peers.take_leaving(DUE)), Vec::<String>::new());
        peers.end(2, 0);
        assert_eq!(names(peers.take_leaving(DUE)), ["after", "before"]);
    }

    #[test]
    fn of_many_those_that_are_gone_are_forgotten() {
        let mut peers = Peers::default();
        for n in 0..=KEPT_MIN {
            peers.note(&of(1, &n.to_string()), |at| at.1.ends_with(b"7"));
        }
        assert_eq!(peers.of.len(), KEPT_MIN / 10);
    }
}
