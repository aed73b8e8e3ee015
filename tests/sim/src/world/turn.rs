//! A turn of the hub, in the parts between which it can be hit.

use super::{Event, Hit, World};
use crate::check::Check;
use crate::plan::Point;
use crate::planted::planted;

/// A turn at least this often, as in server.rs.
const TURN_MS_MAX: u64 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Receive,
    PassTime,
    Commit,
    CollectAnswers,
    Answer,
    Work,
}

impl World {
    pub(super) fn turn_at_latest(&mut self, at: u64) {
        let at = at.max(self.suspended_until);
        if at < self.turn_at {
            self.turn_at = at;
            self.turn_stamp += 1;
            self.agenda.plan(at, Event::Turn(self.turn_stamp));
        }
    }

    /// From the part where it was stopped to the end of the turn, or to the next blow.
    pub(super) fn turn(&mut self) -> Check {
        self.turn_at = u64::MAX;
        if self.part == Part::Receive && self.is_idle() && !self.let_idle_time_pass()? {
            return Ok(());
        }
        loop {
            let point = self.part_of_turn()?;
            if let Some(point) = point
                && self.is_hit(point)
            {
                return Ok(());
            }
            if self.part == Part::Receive {
                break;
            }
            if self.part == Part::PassTime && self.is_overloaded() {
                self.sleep_until(self.clock.now() + self.busy.1);
                return Ok(());
            }
        }
        self.plan_next_turn();
        Ok(())
    }

    /// Carries out a part, goes on to the next one; returns the point between them.
    fn part_of_turn(&mut self) -> Result<Option<Point>, String> {
        let most = match self.random.below(4) {
            _ if self.is_overloaded() => 1,
            0 => 1 + self.random.below(3) as usize,
            _ => usize::MAX,
        };
        let part = self.part;
        let (Some(hub), mut machine) = self.machine() else {
            return Err("a turn of a hub that is not there".into());
        };
        let (next, point) = match part {
            Part::Receive => {
                hub.receive(most, &mut machine)?;
                (Part::PassTime, machine.store.has_pending().then_some(Point::AfterReceive))
            }
            Part::PassTime => {
                if !(planted("no-tick-while-busy") && hub.is_behind()) {
                    hub.pass_time(&mut machine)?;
                }
                if planted("leaves-before-commit") {
                    hub.forget_finished();
                }
                hub.before_commit(&mut machine)?;
                let next = match planted("reply-before-commit") {
                    true => Part::CollectAnswers,
                    false => Part::Commit,
                };
                (next, machine.store.has_pending().then_some(Point::BeforeCommit))
            }
            Part::Commit => {
                let had_pending = machine.store.has_pending();
                hub.commit(&mut machine)?;
                let next = match planted("reply-before-commit") {
                    true => Part::Work,
                    false => Part::CollectAnswers,
                };
                let is_amid_long = hub.is_amid_long();
                let point = if is_amid_long { Point::AmidLong } else { Point::AfterCommit };
                (next, had_pending.then_some(point))
            }
            Part::CollectAnswers => {
                let mut replies = hub.answers(&mut machine)?;
                // Some of them leave; the others after the point.
                let many = replies.len();
                let rest = replies.split_off(many / 2);
                self.answer(replies)?;
                self.leaving = rest;
                (Part::Answer, (many > 0).then_some(Point::AmidAnswers))
            }
            Part::Answer => {
                let replies = std::mem::take(&mut self.leaving);
                self.answer(replies)?;
                if let (Some(hub), mut machine) = self.machine() {
                    hub.take_back(&mut machine)?;
                }
                let next = match planted("reply-before-commit") {
                    true => Part::Commit,
                    false => Part::Work,
                };
                (next, None)
            }
            Part::Work => {
                hub.forget_gone(&mut machine)?;
                hub.fold_due(&mut machine)?;
                hub.work(&mut machine)?;
                (Part::Receive, None)
            }
        };
        self.part = next;
        Ok(point)
    }

    fn answer(&mut self, replies: Vec<crate::message::Reply>) -> Check {
        for reply in replies {
            let refused = !self.is_calm && self.random.chance(self.plan.network.undeliverable);
            let (Some(hub), _) = self.machine() else {
                return Ok(());
            };
            let sent = !refused && hub.can_reach(&reply);
            hub.note_sent(&reply, sent);
            if sent {
                self.send_to_peer(&reply);
            }
        }
        Ok(())
    }

    fn is_hit(&mut self, point: Point) -> bool {
        // That is after a commit too.
        let is_it = |armed: Point| {
            armed == point || (armed, point) == (Point::AfterCommit, Point::AmidLong)
        };
        let Some(at) = self.armed.iter().position(|(armed, _)| is_it(*armed)) else {
            return false;
        };
        match self.armed.remove(at).1 {
            Hit::Crash { down_ms } => self.crash_hub(down_ms),
            Hit::Suspend { ms } => {
                crate::note!(self.trace, self.clock.now(), "hub    pauses {ms} ms, {point:?}");
                self.resume_at(self.clock.now() + ms);
            }
        }
        true
    }

    /// More comes than it can take in, and each turn takes long.
    fn is_overloaded(&self) -> bool {
        self.busy.0 > self.clock.now()
    }

    fn is_idle(&self) -> bool {
        self.hub.as_ref().is_some_and(|hub| hub.inbox.is_empty() && !hub.is_busy())
    }

    fn next_turn_at(&self) -> u64 {
        let now = self.clock.now();
        let Some(hub) = &self.hub else {
            return u64::MAX;
        };
        if hub.is_busy() {
            return now + 1;
        }
        hub.deadline().unwrap_or(u64::MAX).clamp(now + 1, now + TURN_MS_MAX)
    }

    fn plan_next_turn(&mut self) {
        let at = self.next_turn_at();
        self.turn_at_latest(at);
    }

    /// Turns without work, one after the other while nothing else happens. True: work has come up,
    /// the turn goes on.
    fn let_idle_time_pass(&mut self) -> Result<bool, String> {
        loop {
            let now = self.clock.now();
            let next = self.next_turn_at();
            let due =
                self.hub.as_ref().and_then(|hub| hub.deadline()).is_some_and(|due| due <= now);
            if due {
                return Ok(true);
            }
            let (Some(hub), mut machine) = self.machine() else {
                return Ok(false);
            };
            hub.pass_time(&mut machine)?;
            if self.agenda.next_at().is_none_or(|at| at <= next) {
                self.plan_next_turn();
                return Ok(false);
            }
            self.clock.advance(next);
        }
    }
}
