//! The loop's time for what guests want to have read: all of it as long as nobody else asks for anything,
//! a sixth while tasks are added, taken and reported. The owner's requests need no share.

use std::time::{Duration, Instant};

use hashbrown::HashMap;

use crate::engine::message::User;

/// After so much time spent for guests, so many times as much without.
const REST: u32 = 5;
/// But no more than this at a time: it is for all of them, whoever spent it.
const REST_MAX: Duration = Duration::from_millis(500);
/// Others are at work until so long after their last request.
const AT_WORK: Duration = Duration::from_millis(500);

/// Who spent less of it is not to rest for that.
const LITTLE: Duration = Duration::from_millis(1);

#[derive(Default)]
pub struct Share {
    /// When somebody last asked for something to be done.
    work: Option<Instant>,
    rest: Option<Instant>,
    /// What each guest has spent since the last rest ended.
    spent: HashMap<User, Duration>,
    /// From these nothing is received.
    resting: Vec<User>,
    /// The last rest has ended, and those who waited through it were served first.
    is_over: bool,
    /// What is taken in just now is work, or a sign of life.
    is_excused: bool,
}

impl Share {
    pub fn note_work(&mut self, now: Instant) {
        self.work = Some(now);
        self.excuse();
    }

    /// A request is taken in.
    pub fn begin(&mut self) {
        self.is_excused = false;
    }

    pub fn excuse(&mut self) {
        self.is_excused = true;
    }

    /// The request of that guest was taken in, or refused.
    pub fn took(&mut self, guest: User, since: Instant, now: Instant) {
        if !self.is_excused {
            self.spent_by(guest, since, now);
        }
    }

    /// Since then something was done for that guest.
    pub fn spent_by(&mut self, guest: User, since: Instant, now: Instant) {
        self.charge(guest, since, now);
        self.spent(since, now);
    }

    /// The same, without taking it from the share.
    pub fn charge(&mut self, guest: User, since: Instant, now: Instant) {
        *self.spent.entry(guest).or_default() += now - since;
    }

    /// Those that spent the share and do not rest yet; they do now.
    pub fn let_rest(&mut self) -> Vec<User> {
        let spent = self.spent.extract_if(|_, spent| *spent >= LITTLE);
        let users: Vec<User> = spent.map(|(user, _)| user).collect();
        self.resting.extend(&users);
        users
    }

    pub fn has_resting(&self) -> bool {
        !self.resting.is_empty()
    }

    /// Whether others that waited through the rest have their turn before those that rested.
    pub fn has_turn_for_others(&mut self) -> bool {
        self.has_resting() && !std::mem::replace(&mut self.is_over, true)
    }

    /// The rest is over: for these.
    pub fn wake(&mut self) -> Vec<User> {
        self.spent.clear();
        self.is_over = false;
        std::mem::take(&mut self.resting)
    }

    /// Since then something was read for guests.
    pub fn spent(&mut self, since: Instant, now: Instant) {
        let at_work = self.work.is_some_and(|work| now < work + AT_WORK);
        let from = self.rest(now).map_or(now, |rest| now + rest);
        self.rest = at_work.then_some((from + (now - since) * REST).min(now + REST_MAX));
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

    #[test]
    fn those_rest_that_spent_the_share() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let mut share = Share::default();
        let take = |share: &mut Share, guest, is_work: bool, (from, to)| {
            share.begin();
            if is_work {
                share.note_work(at(from));
            }
            share.took(guest, at(from), at(to));
        };
        take(&mut share, 1, true, (0, 10));
        take(&mut share, 2, false, (10, 20));
        take(&mut share, 3, false, (20, 20));
        assert_eq!(share.rest(at(20)), Some(Duration::from_millis(50)));
        assert_eq!((share.let_rest(), share.let_rest()), (vec![2], vec![]));
        assert!(share.has_resting());
        assert_eq!((share.wake(), share.has_resting()), (vec![2], false));
    }
}
