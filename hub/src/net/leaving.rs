//! Keys that were taken back: their connections end, all of them, once they have been told why.

use hashbrown::HashMap;

use crate::engine::message::{Millis, User};

/// For a peer to read why it has to go; what it has not read by then it never will.
const LEAVE_MS: Millis = 3_000;

/// When it is time.
#[derive(Default)]
pub struct Leaving(HashMap<User, Millis>);

impl Leaving {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn add(&mut self, user: User, now: Millis) {
        self.0.entry(user).or_insert(now + LEAVE_MS);
    }

    pub fn take_due(&mut self, now: Millis) -> Vec<User> {
        self.0.extract_if(|_, due| *due <= now).map(|(user, _)| user).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_time_however_often_it_is_refused() {
        let mut leaving = Leaving::default();
        leaving.add(1, 0);
        leaving.add(1, LEAVE_MS - 1);
        leaving.add(2, 1);
        assert!(leaving.take_due(LEAVE_MS - 1).is_empty());
        assert_eq!(leaving.take_due(LEAVE_MS), [1]);
        assert!(!leaving.is_empty());
        assert_eq!(leaving.take_due(LEAVE_MS + 1), [2]);
        assert!(leaving.is_empty());
    }
}
