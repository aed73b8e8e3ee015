//! How often the hub is asked for one thing: at most once a second, and less often the longer the
//! hub takes for it, so that looking never slows a run.

use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_secs(1);
/// What is asked for keeps the hub busy for a twentieth of the time at most.
const REST: u32 = 20;

pub struct Pace {
    period_max: Duration,
    asked: Option<Instant>,
    due: Instant,
    /// What it took the last time.
    took: Duration,
}

impl Pace {
    pub fn new(now: Instant, period_max: Duration) -> Self {
        Self { period_max, asked: None, due: now, took: Duration::ZERO }
    }

    /// It is on its way to the hub.
    pub fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    pub fn asked_at(&self) -> Option<Instant> {
        self.asked
    }

    pub fn is_due(&self, now: Instant) -> bool {
        self.asked.is_none() && now >= self.due
    }

    pub fn ask(&mut self, now: Instant) {
        self.asked = Some(now);
    }

    pub fn heard(&mut self, now: Instant, took: Duration) {
        // What took long once, on a machine that does other things too, says nothing yet.
        let load = took.min(std::mem::replace(&mut self.took, took));
        let period = (load * REST).clamp(PERIOD, self.period_max);
        // From when it was asked: a period is from one request to the next.
        self.due = self.asked.take().unwrap_or(now).max(now.checked_sub(period).unwrap_or(now));
        self.due += period;
    }

    /// Forgets what is under way, and asks at once.
    pub fn now(&mut self, now: Instant) {
        *self = Self::new(now, self.period_max);
    }

    /// When to look at it again, if it is not under way.
    pub fn next(&self) -> Option<Instant> {
        self.asked.is_none().then_some(self.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_is_asked_for_less_often() {
        let begin = Instant::now();
        let after = |ms| begin + Duration::from_millis(ms);
        let mut pace = Pace::new(begin, Duration::from_secs(30));
        assert!(pace.is_due(begin));
        pace.ask(begin);
        assert!(!pace.is_due(after(5_000)), "it is under way");
        pace.heard(after(10), Duration::from_millis(10));
        assert!(!pace.is_due(after(999)) && pace.is_due(after(1_000)));
        pace.ask(after(1_000));
        pace.heard(after(4_000), Duration::from_secs(3));
        assert!(pace.is_due(after(4_000)), "once is no habit");
        pace.ask(after(4_000));
        pace.heard(after(7_000), Duration::from_secs(3));
        assert!(!pace.is_due(after(33_900)) && pace.is_due(after(34_000)));
        pace.now(after(8_000));
        assert!(pace.is_due(after(8_000)));
    }

    #[test]
    fn a_long_silence_is_followed_by_one_question_not_by_many() {
        let begin = Instant::now();
        let mut pace = Pace::new(begin, Duration::from_secs(30));
        pace.ask(begin);
        let late = begin + Duration::from_secs(100);
        pace.heard(late, Duration::from_millis(1));
        pace.ask(late);
        pace.heard(late, Duration::from_millis(1));
        assert!(!pace.is_due(late));
    }
}
