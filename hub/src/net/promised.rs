//! Peers that were let in just now, and that libzmq has not counted among the connections yet: of many that come at
//! the same moment no more are let in than there is room for.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Who has not come in by then has broken off.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Default)]
pub struct Promised {
    since: VecDeque<Instant>,
    /// How many libzmq had counted at the last look.
    admitted: u32,
}

impl Promised {
    pub fn add(&mut self, now: Instant) {
        self.since.push_back(now);
    }

    /// How many are still to come, when so many were counted since the start.
    pub fn count(&mut self, admitted: u32, now: Instant) -> i32 {
        let came = admitted.wrapping_sub(self.admitted) as usize;
        self.admitted = admitted;
        self.since.drain(..came.min(self.since.len()));
        let is_over = |since: &Instant| now.saturating_duration_since(*since) >= PATIENCE;
        while self.since.front().is_some_and(is_over) {
            self.since.pop_front();
        }
        i32::try_from(self.since.len()).unwrap_or(i32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_come_in_or_broken_off_is_awaited_no_more() {
        let begin = Instant::now();
        let mut promised = Promised::default();
        assert_eq!(promised.count(u32::MAX, begin), 0);
        for _ in 0..3 {
            promised.add(begin);
        }
        assert_eq!(promised.count(u32::MAX, begin), 3);
        assert_eq!(promised.count(1, begin), 1, "two came");
        promised.add(begin + PATIENCE / 2);
        assert_eq!(promised.count(1, begin + PATIENCE), 1);
        assert_eq!(promised.count(9, begin + PATIENCE), 0);
    }
}
