//! How long tasks run here and how long a steal takes, and from that: how many to hold ahead.
//!
//! A task held ahead is of use only if it starts before the hub could have given it: while tasks
//! of milliseconds end, some; while long ones run, none, because somebody else may be idle. So as
//! many are held as end here within the horizon. Until a task has ended nothing is known, and none
//! is held; nothing is known either once no task has ended for a while.

use std::time::{Duration, Instant};

/// Of the horizon: the time of so many round trips to the hub, so that a slow one does no harm.
const ROUND_TRIPS: u32 = 4;
/// What may be held ahead without harm to others, and what a machine under load may need.
const HORIZON_MIN: Duration = Duration::from_millis(50);
const HORIZON_MAX: Duration = Duration::from_millis(500);
/// After this long without a task that ended here, nothing is known of the length of tasks.
pub const STALE: Duration = Duration::from_millis(500);
/// Per slot. More would only help if a steal took longer than this many tasks together.
const PER_SLOT_MAX: usize = 32;
/// Per pool.
const AHEAD_MAX: usize = 4_000;
/// The weight of the newest: one in so many.
const SMOOTHING: f64 = 8.0;

/// A smoothed time and how far it strays, as TCP estimates round trips (RFC 6298).
#[derive(Clone, Copy, Debug)]
struct Smoothed {
    mean: f64,
    stray: f64,
}

impl Smoothed {
    fn add(smoothed: &mut Option<Self>, time: Duration) {
        let time = time.as_secs_f64();
        match smoothed {
            None => *smoothed = Some(Self { mean: time, stray: time / 4.0 }),
            Some(Self { mean, stray }) => {
                *stray += ((time - *mean).abs() - *stray) / SMOOTHING;
                *mean += (time - *mean) / SMOOTHING;
            }
        }
    }
}

/// What was measured.
#[derive(Debug, Default)]
pub struct Pace {
    length: Option<Smoothed>,
    round_trip: Option<Smoothed>,
    last_end: Option<Instant>,
}

impl Pace {
    pub fn ended(&mut self, ran: Duration, now: Instant) {
        Smoothed::add(&mut self.length, ran);
        self.last_end = Some(now);
    }

    pub fn answered(&mut self, took: Duration) {
        Smoothed::add(&mut self.round_trip, took);
    }

    /// How many tasks to hold beyond those that run.
    pub fn ahead(&self, slots: usize, now: Instant) -> usize {
        let Some(length) = self.length else { return 0 };
        if self.stale_at().is_none_or(|at| at <= now) {
            return 0;
        }
        let end = slots as f64 * self.horizon().as_secs_f64() / length.mean.max(1e-6);
        (end.round() as usize).min(slots * PER_SLOT_MAX).min(AHEAD_MAX)
    }

    /// Most tasks end within this; nothing where none has ended.
    pub fn likely_length(&self) -> Duration {
        let seconds = self.length.map_or(0.0, |length| length.mean + 2.0 * length.stray);
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// When what was measured says no more about what comes.
    pub fn stale_at(&self) -> Option<Instant> {
        self.last_end.map(|end| end + STALE)
    }

    fn horizon(&self) -> Duration {
        let round_trip = self.round_trip.map_or(0.0, |it| it.mean.min(HORIZON_MAX.as_secs_f64()));
        (Duration::from_secs_f64(round_trip) * ROUND_TRIPS).clamp(HORIZON_MIN, HORIZON_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(tasks_ms: &[u64], round_trip_ms: u64, now: Instant) -> Pace {
        let mut pace = Pace::default();
        tasks_ms.iter().for_each(|&ms| pace.ended(Duration::from_millis(ms), now));
        pace.answered(Duration::from_millis(round_trip_ms));
        pace
    }

    #[test]
    fn as_many_are_held_as_end_within_the_horizon() {
        let now = Instant::now();
        assert_eq!(Pace::default().ahead(100, now), 0);
        let ahead = |ms, round_trip, slots| pace(&[ms; 3], round_trip, now).ahead(slots, now);
        assert_eq!(ahead(10, 1, 2), 10);
        assert_eq!(ahead(60_000, 1, 2), 0);
        // Four round trips of 25 ms.
        assert_eq!(ahead(10, 25, 2), 20);
        // Of a thousand slots with tasks of one second, fifty end within 50 ms.
        assert_eq!(ahead(1000, 1, 1000), 50);
        // Bounded, however short the tasks and slow the hub.
        assert_eq!(ahead(1, 60_000, 2), 64);
        assert_eq!(ahead(0, 60_000, 1000), AHEAD_MAX);
    }

    #[test]
    fn one_long_task_is_enough_to_hold_nothing_and_some_short_ones_to_hold_again() {
        let now = Instant::now();
        let mut pace = pace(&[5; 20], 1, now);
        assert_eq!(pace.ahead(1, now), 10);
        pace.ended(Duration::from_secs(60), now);
        assert_eq!(pace.ahead(1, now), 0);
        (0..60).for_each(|_| pace.ended(Duration::from_millis(5), now));
        assert!(pace.ahead(1, now) > 2, "{pace:?}");
    }

    #[test]
    fn what_was_measured_is_forgotten_when_nothing_ends_any_more() {
        let now = Instant::now();
        let mut pace = pace(&[5; 20], 1, now);
        assert!(pace.ahead(1, now + STALE / 2) > 0);
        assert_eq!(pace.ahead(1, now + STALE), 0);
        pace.ended(Duration::from_millis(5), now + STALE);
        assert!(pace.ahead(1, now + STALE) > 0);
    }
}
