//! Tasks done in each of the last seconds, from the counts that the hub tells.

use std::collections::VecDeque;
use std::time::Instant;

/// More than any window is wide.
const SECONDS_MAX: usize = 1_000;

#[derive(Default)]
pub struct History {
    /// The newest last.
    rates: VecDeque<f64>,
    begin: Option<Instant>,
    /// When a count was last used, and the count.
    last: Option<(Instant, u64)>,
    /// Seconds since `begin` that have their rate.
    filled: u64,
}

impl History {
    /// The seconds since the last count share what was done in them.
    pub fn note(&mut self, now: Instant, done: u64) {
        let begin = *self.begin.get_or_insert(now);
        let Some((last, before)) = self.last else {
            self.last = Some((now, done));
            return;
        };
        let seconds = now.saturating_duration_since(begin).as_secs();
        if seconds == self.filled {
            return;
        }
        // Fewer than before, if done tasks are run again.
        let done_since = done.saturating_sub(before) as f64;
        let rate = done_since / now.saturating_duration_since(last).as_secs_f64();
        for _ in self.filled..seconds.min(self.filled + SECONDS_MAX as u64) {
            self.rates.push_back(rate);
        }
        self.filled = seconds;
        let surplus = self.rates.len().saturating_sub(SECONDS_MAX);
        self.rates.drain(..surplus);
        self.last = Some((now, done));
    }

    /// Of up to so many of the last seconds, the newest first.
    pub fn newest(&self, seconds: usize) -> impl Iterator<Item = f64> {
        self.rates.iter().rev().take(seconds).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn rates(counts: &[(u64, u64)]) -> Vec<f64> {
        let (begin, mut history) = (Instant::now(), History::default());
        for &(ms, done) in counts {
            history.note(begin + Duration::from_millis(ms), done);
        }
        history.newest(100).map(|rate| (rate * 10.0).round() / 10.0).collect()
    }

    #[test]
    fn each_second_has_what_was_done_in_it() {
        assert_eq!(rates(&[(0, 100)]).len(), 0);
        assert_eq!(rates(&[(0, 100), (1_000, 110), (2_000, 115)]), [5.0, 10.0]);
        assert_eq!(rates(&[(0, 0), (500, 8), (1_000, 10)]), [10.0], "half a second is no second");
    }

    #[test]
    fn a_silence_is_shared_by_its_seconds() {
        assert_eq!(rates(&[(0, 0), (1_000, 3), (5_000, 23)]), [5.0, 5.0, 5.0, 5.0, 3.0]);
    }

    #[test]
    fn tasks_that_run_again_are_no_negative_rate() {
        assert_eq!(rates(&[(0, 10), (1_000, 2), (2_000, 4)]), [2.0, 0.0]);
    }
}
