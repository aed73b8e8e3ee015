//! Tasks that were killed together with their pool.
//!
//! A batch system that ends a job sends SIGTERM to all of its processes, tasks included. They have
//! not failed: somebody else can run them. So one that died of a SIGTERM that did not come from
//! here is reported only when it is clear that the pool was not meant as well.

use std::time::{Duration, Instant};

use dhub_proto::wire::{Outcome, Result as Verdict};

/// How much later than its tasks a pool may hear of it.
const BEFORE: Duration = Duration::from_millis(500);
/// How long after the pool tasks may take to die of it, as long as batch systems give them.
const AFTER: Duration = Duration::from_secs(30);
/// As shells tell a death by SIGTERM.
const EXIT_CODE: i32 = 128 + 15;

#[derive(Debug, Default)]
pub struct Felled {
    /// The pool had a SIGTERM itself.
    signal_at: Option<Instant>,
    /// Until when nothing is said about them.
    waiting: Vec<(Instant, Outcome)>,
}

/// What is clear by now.
#[derive(Debug, PartialEq)]
pub enum Cleared {
    /// It was killed by itself.
    Failed(Outcome),
    /// It was killed with its pool; its name.
    WithPool(String),
}

impl Felled {
    pub fn signalled(&mut self, now: Instant) {
        self.signal_at = Some(now);
    }

    /// Gives the outcome back if there is nothing to wait for.
    pub fn take_in(&mut self, outcome: Outcome, now: Instant) -> Option<Outcome> {
        // One that was stopped from here has a reason.
        let by_sigterm = outcome.result() == Verdict::Failed
            && outcome.exit_code == EXIT_CODE
            && outcome.reason.is_empty();
        if !by_sigterm {
            return Some(outcome);
        }
        self.waiting.push((now + BEFORE, outcome));
        None
    }

    pub fn clear(&mut self, now: Instant) -> Vec<Cleared> {
        let signalled = self.signal_at.is_some_and(|at| now < at + AFTER);
        let clear = |(until, _): &mut (Instant, Outcome)| signalled || *until <= now;
        let cleared = self.waiting.extract_if(.., clear);
        cleared
            .map(|(_, outcome)| match signalled {
                true => Cleared::WithPool(outcome.name),
                false => Cleared::Failed(outcome),
            })
            .collect()
    }

    pub fn next_at(&self) -> Option<Instant> {
        self.waiting.first().map(|(until, _)| *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn killed() -> Outcome {
        let result = Verdict::Failed.into();
        Outcome { name: "a".into(), result, exit_code: 143, ..Outcome::default() }
    }

    #[test]
    fn what_died_shortly_before_the_pool_was_told_died_with_it() {
        let (mut felled, now) = (Felled::default(), Instant::now());
        assert_eq!(felled.take_in(killed(), now), None);
        assert!(felled.clear(now).is_empty());
        assert_eq!(felled.next_at(), Some(now + BEFORE));
        felled.signalled(now + 4 * MS);
        assert_eq!(felled.clear(now + 4 * MS), [Cleared::WithPool("a".into())]);
        assert_eq!(felled.next_at(), None);
        // Those that took their time, too; but not for ever.
        assert_eq!(felled.take_in(killed(), now + AFTER), None);
        assert_eq!(felled.clear(now + AFTER), [Cleared::WithPool("a".into())]);
        assert_eq!(felled.take_in(killed(), now + 2 * AFTER), None);
        assert!(felled.clear(now + 2 * AFTER).is_empty());
        assert_eq!(felled.clear(now + 2 * AFTER + BEFORE), [Cleared::Failed(killed())]);
    }

    #[test]
    fn other_ends_are_told_at_once() {
        let (mut felled, now) = (Felled::default(), Instant::now());
        felled.signalled(now);
        let timed_out = Outcome { reason: "timed out after 1 s".into(), ..killed() };
        let failed = Outcome { exit_code: 1, ..killed() };
        let done = Outcome { result: Verdict::Done.into(), exit_code: 0, ..killed() };
        for outcome in [timed_out, failed, done] {
            assert_eq!(felled.take_in(outcome.clone(), now), Some(outcome));
        }
        assert!(felled.clear(now).is_empty());
    }
}
