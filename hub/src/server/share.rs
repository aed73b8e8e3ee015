//! The loop's time for what guests want to have read: all of it as long as nobody else asks for anything,
//! a sixth while tasks are added, taken and reported. The owner's requests need no share.

use std::time::{Duration, Instant};

/// After so much time spent for guests, so many times as much without.
const REST: u32 = 5;
/// Others are at work until so long after their last request.
const AT_WORK: Duration = Duration::from_millis(500);

#[derive(Default)]
pub struct Share {
    /// When somebody last asked for something to be done.
    work: Option<Instant>,
    rest: Option<Instant>,
}

impl Share {
    pub fn note_work(&mut self, now: Instant) {
        self.work = Some(now);
    }

    /// Since then something was read for guests.
    pub fn spent(&mut self, since: Instant, now: Instant) {
        let at_work = self.work.is_some_and(|work| now < work + AT_WORK);
        let from = self.rest(now).map_or(now, |rest| now + rest);
        self.rest = at_work.then_some(from + (now - since) * REST);
    }

    /// How long nothing more is to be read for them; None: now.
    pub fn rest(&self, now: Instant) -> Option<Duration> {
        self.rest.filter(|rest| *rest > now).map(|rest| rest - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_get_a_sixth_while_others_work_and_all_otherwise() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let mut share = Share::default();
        share.spent(at(0), at(10));
        assert_eq!(share.rest(at(10)), None);
        share.note_work(at(20));
        share.spent(at(20), at(30));
        assert_eq!(share.rest(at(30)), Some(Duration::from_millis(50)));
        share.spent(at(30), at(31));
        assert_eq!(share.rest(at(31)), Some(Duration::from_millis(54)), "both");
        assert_eq!(share.rest(at(85)), None);
        share.spent(at(600), at(610));
        assert_eq!(share.rest(at(610)), None);
    }
}
