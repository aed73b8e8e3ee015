//! Failed tasks that wait for their next try, each until its time.
//!
//! One that is here waits, and needs nothing that is not done. The times are not stored: after a
//! restart of the hub all are ready at once.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use super::slot::Slot;
use crate::engine::message::Millis;

/// Twice as long after each failure, up to this.
pub const DELAY_MS_MAX: u64 = 300_000;

#[derive(Default)]
pub struct Backoff {
    until: HashMap<Slot, Millis>,
    due: BTreeSet<(Millis, Slot)>,
}

/// How long a task waits after so many failures.
pub fn delay_ms(first_ms: u64, failures: u32) -> u64 {
    let doubled = failures.saturating_sub(1).min(32);
    first_ms.saturating_mul(1 << doubled).min(DELAY_MS_MAX)
}

impl Backoff {
    pub fn insert(&mut self, slot: Slot, until: Millis) {
        self.remove(slot);
        self.until.insert(slot, until);
        self.due.insert((until, slot));
    }

    /// True if it was here.
    pub fn remove(&mut self, slot: Slot) -> bool {
        match self.until.remove(&slot) {
            Some(until) => self.due.remove(&(until, slot)),
            None => false,
        }
    }

    pub fn until(&self, slot: Slot) -> Option<Millis> {
        self.until.get(&slot).copied()
    }

    /// One whose time has come; it is not here any more.
    pub fn take_due(&mut self, now: Millis) -> Option<Slot> {
        let &(until, slot) = self.due.first()?;
        (until <= now && self.remove(slot)).then_some(slot)
    }

    pub fn deadline(&self) -> Option<Millis> {
        self.due.first().map(|&(until, _)| until)
    }

    pub fn len(&self) -> usize {
        self.due.len()
    }

    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_five_minutes() {
        assert_eq!(
            [1, 2, 3, 9].map(|failures| delay_ms(1_000, failures)),
            [1_000, 2_000, 4_000, 256_000]
        );
        assert_eq!([10, 70, u32::MAX].map(|failures| delay_ms(1_000, failures)), [DELAY_MS_MAX; 3]);
        assert_eq!(delay_ms(0, 5), 0);
        assert_eq!(delay_ms(u64::MAX, 2), DELAY_MS_MAX);
    }

    #[test]
    fn each_comes_at_its_time_unless_it_is_taken_out() {
        let mut backoff = Backoff::default();
        backoff.insert(1, 30);
        backoff.insert(2, 10);
        backoff.insert(3, 20);
        assert!(backoff.remove(3) && !backoff.remove(3));
        assert_eq!((backoff.deadline(), backoff.take_due(9)), (Some(10), None));
        assert_eq!((backoff.take_due(10), backoff.take_due(29)), (Some(2), None));
        backoff.insert(1, 40);
        assert_eq!((backoff.take_due(30), backoff.until(1)), (None, Some(40)));
        assert_eq!((backoff.take_due(40), backoff.is_empty()), (Some(1), true));
    }
}
