//! Leases that reached nobody, to be taken back at once instead of when they expire.
//!
//! A steal may arrive in several copies, over several connections, some of them dead. What one copy
//! was given is given back only if no other copy brought it to its client; and only the copy that
//! got it first is asked, since an earlier turn may have sent what a repeat is answered with.

use std::collections::HashSet;

use crate::engine::message::{Answer, Name, Stolen};

pub type Attempt = (Name, u32);

#[derive(Default)]
pub struct Delivery {
    failed: Vec<Attempt>,
    /// Told to a client by a repeat.
    told: HashSet<Attempt>,
}

/// What an answer hands out, if anything.
pub fn handed(answer: &Answer) -> Option<&Stolen> {
    match answer {
        Answer::Stolen(stolen) | Answer::Completed { stolen: Some(stolen), .. } => {
            (!stolen.leases.is_empty()).then_some(stolen)
        }
        _ => None,
    }
}

pub fn attempts(stolen: &Stolen) -> impl Iterator<Item = Attempt> {
    stolen.leases.iter().map(|lease| (lease.name.clone(), lease.attempt))
}

impl Delivery {
    /// The answer was sent, or its asker is gone.
    pub fn note(&mut self, handed: &Stolen, sent: bool) {
        match (handed.fresh, sent) {
            (true, false) => self.failed.extend(attempts(handed)),
            (false, true) => self.told.extend(attempts(handed)),
            (true, true) | (false, false) => {}
        }
    }

    /// After the last answer of a turn: what nobody has heard of.
    pub fn undelivered(&mut self) -> Vec<Attempt> {
        if self.failed.is_empty() {
            self.told.clear();
            return Vec::new();
        }
        let told = std::mem::take(&mut self.told);
        let mut failed = std::mem::take(&mut self.failed);
        failed.retain(|attempt| !told.contains(attempt));
        failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::message::{Leased, Order, Phase};

    fn handed(fresh: bool, names: &[&str]) -> Stolen {
        let lease = |&name: &&str| Leased {
            id: 1,
            name: name.into(),
            attempt: 1,
            term_ms: 1,
            has_details: false,
            is_suspect: false,
        };
        let leases = names.iter().map(lease).collect();
        Stolen {
            leases,
            fresh,
            phase: Phase::Active,
            not_done: 0,
            lost: Vec::new(),
            order: Order::None,
            away: false,
        }
    }

    #[test]
    fn what_failed_is_taken_back() {
        let mut delivery = Delivery::default();
        delivery.note(&handed(true, &["a", "b"]), false);
        delivery.note(&handed(true, &["c"]), true);
        assert_eq!(delivery.undelivered(), [("a".into(), 1), ("b".into(), 1)]);
        assert_eq!(delivery.undelivered(), []);
    }

    #[test]
    fn a_repeat_that_failed_takes_nothing_back() {
        let mut delivery = Delivery::default();
        delivery.note(&handed(true, &["a"]), true);
        delivery.note(&handed(false, &["a"]), false);
        assert_eq!(delivery.undelivered(), []);
    }

    #[test]
    fn a_repeat_that_arrived_keeps_what_failed() {
        let mut delivery = Delivery::default();
        delivery.note(&handed(true, &["a", "b"]), false);
        delivery.note(&handed(false, &["a"]), true);
        assert_eq!(delivery.undelivered(), [("b".into(), 1)]);
    }
}
