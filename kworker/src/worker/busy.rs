//! A hub that has no room for what is asked: told once, if it lasts.

use std::time::{Duration, Instant};

use crate::pool::Asked;

/// Shorter ones are nobody's business.
const TELL_AFTER: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Busy {
    /// What is refused, since when, and whether people were told.
    refused: Option<(Asked, Instant, bool)>,
}

impl Busy {
    /// It was refused, perhaps again. For how long by now, if that is to be told.
    pub(super) fn refused(&mut self, asked: Asked, now: Instant) -> Option<Duration> {
        let (_, since, told) = self.refused.get_or_insert((asked, now, false));
        let lasts = now.duration_since(*since);
        let tell = lasts >= TELL_AFTER && !*told;
        *told |= tell;
        tell.then_some(lasts)
    }

    /// It was answered: that it goes on is seen by what was refused, not by heartbeats.
    pub(super) fn answered(&mut self, asked: Asked) {
        self.refused.take_if(|(refused, ..)| *refused == asked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_that_lasts_is_told_once() {
        let (mut busy, begin) = (Busy::default(), Instant::now());
        let at = |s: u64| begin + Duration::from_secs(s);
        assert_eq!((0..10).find_map(|s| busy.refused(Asked::Steal, at(s))), None);
        busy.answered(Asked::Heartbeat);
        assert_eq!(busy.refused(Asked::Steal, at(10)), Some(TELL_AFTER));
        assert_eq!((11..60).find_map(|s| busy.refused(Asked::Steal, at(s))), None);
        busy.answered(Asked::Steal);
        assert_eq!(busy.refused(Asked::Steal, at(60)), None, "another one begins");
        assert!(busy.refused(Asked::Steal, at(75)).is_some());
    }
}
