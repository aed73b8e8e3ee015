//! Leases that reached nobody, to be taken back at once instead of when they expire.
//!
//! A steal may arrive in several copies, over several connections, some of them dead. What one copy
//! was given is given back only if no other copy brought it to its client; and only the copy that
//! got it first is asked, since an earlier turn may have sent what a repeat is answered with.

use std::collections::HashSet;

use crate::planted::{Bug, planted};
use crate::scheduler::message::{Answer, Name, Stolen};

pub type Attempt = (Name, u32);

#[derive(Default)]
pub struct Delivery {
    failed: Vec<Attempt>,
    /// Told to a client by a repeat.
    told: HashSet<Attempt>,
}

/// What an answer hands out.
pub struct Handed {
    fresh: bool,
    attempts: Vec<Attempt>,
}

impl Handed {
    pub fn by(answer: &Answer) -> Option<Self> {
        let (Answer::Stolen(stolen) | Answer::Completed { stolen: Some(stolen), .. }) = answer
        else {
            return None;
        };
        let Stolen { fresh, leases, .. } = stolen;
        let attempts = leases.iter().map(|lease| (lease.name.clone(), lease.attempt)).collect();
        let fresh = *fresh || planted(Bug::RepeatTakesBack);
        (!leases.is_empty()).then_some(Self { fresh, attempts })
    }

    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }
}

impl Delivery {
    /// The answer was sent, or its asker is gone.
    pub fn note(&mut self, handed: Handed, sent: bool) {
        match (handed.fresh, sent) {
            (true, false) => self.failed.extend(handed.attempts),
            (false, true) => self.told.extend(handed.attempts),
            (true, true) | (false, false) => {}
        }
    }

    /// After the last answer of a turn: what nobody has heard of.
    pub fn undelivered(&mut self) -> Vec<Attempt> {
        let told = std::mem::take(&mut self.told);
        let mut failed = std::mem::take(&mut self.failed);
        failed.retain(|attempt| !told.contains(attempt));
        failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed(fresh: bool, names: &[&str]) -> Handed {
        Handed { fresh, attempts: names.iter().map(|&name| (name.into(), 1)).collect() }
    }

    #[test]
    fn what_failed_is_taken_back() {
        let mut delivery = Delivery::default();
        delivery.note(handed(true, &["a", "b"]), false);
        delivery.note(handed(true, &["c"]), true);
        assert_eq!(delivery.undelivered(), [("a".into(), 1), ("b".into(), 1)]);
        assert_eq!(delivery.undelivered(), []);
    }

    #[test]
    fn a_repeat_that_failed_takes_nothing_back() {
        let mut delivery = Delivery::default();
        delivery.note(handed(true, &["a"]), true);
        delivery.note(handed(false, &["a"]), false);
        assert_eq!(delivery.undelivered(), []);
    }

    #[test]
    fn a_repeat_that_arrived_keeps_what_failed() {
        let mut delivery = Delivery::default();
        delivery.note(handed(true, &["a", "b"]), false);
        delivery.note(handed(false, &["a"]), true);
        assert_eq!(delivery.undelivered(), [("b".into(), 1)]);
    }
}
