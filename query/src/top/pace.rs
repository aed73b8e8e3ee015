//! How often the hub is asked for one thing: at most once a second, and less often the longer the
//! hub takes for it, so that looking never slows a run.

use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_secs(1);
const PERIOD_MAX: Duration = Duration::from_secs(30);
/// What is asked for keeps the hub busy for a twentieth of the time at most.
const REST: u32 = 20;

pub struct Pace {
    asked: Option<Instant>,
    due: Instant,
}

impl Pace {
    pub fn new(now: Instant) -> Self {
        Self { asked: None, due: now }
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
        let period = (took * REST).clamp(PERIOD, PERIOD_MAX);
        // From when it was asked: a period is from one request to the next.
        self.due = self.asked.take().unwrap_or(now).max(now.checked_sub(period).unwrap_or(now));
        self.due += period;
    }

    /// Forgets what is under way, and asks at once.
    pub fn now(&mut self, now: Instant) {
        *self = Self::new(now);
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
        let mut pace = Pace::new(begin);
        assert!(pace.is_due(begin));
        pace.ask(begin);
        assert!(!pace.is_due(after(5_000)), "it is under way");
        pace.heard(after(10), Duration::from_millis(10));
        assert!(!pace.is_due(after(999)) && pace.is_due(after(1_000)));
        pace.ask(after(1_000));
        pace.heard(after(4_000), Duration::from_secs(3));
        assert!(!pace.is_due(after(30_900)) && pace.is_due(after(31_000)));
        pace.now(after(5_000));
        assert!(pace.is_due(after(5_000)));
    }

    #[test]
    fn a_long_silence_is_followed_by_one_question_not_by_many() {
        let begin = Instant::now();
        let mut pace = Pace::new(begin);
        pace.ask(begin);
        let late = begin + Duration::from_secs(100);
        pace.heard(late, Duration::from_millis(1));
        pace.ask(late);
        pace.heard(late, Duration::from_millis(1));
        assert!(!pace.is_due(late));
    }
}
