//! What a pool asks of the hub.

use dhub::engine::message::*;

use super::super::Surroundings;
use super::{Parked, Pool, WAIT_MS, attempt};
use crate::message::Ask;

impl Pool {
    pub(super) fn ask(&mut self, at: &mut Surroundings) {
        self.beat(at);
        let leaves = self.leaving || self.order != Order::None;
        let hasty = self.hasty && self.running.is_empty();
        if self.exit.is_none() && self.ask_after <= at.now && (hasty || leaves && self.is_idle()) {
            return self.ask_exit(at);
        }
        if self.exit.is_none() {
            self.ask_release(at);
            self.ask_complete(at);
            self.ask_steal(at);
        }
    }

    fn beat(&mut self, at: &mut Surroundings) {
        if self.heartbeat_at.is_none_or(|due| due > at.now) {
            return;
        }
        let attempts = self.held();
        if attempts.is_empty() {
            self.heartbeat_at = None;
            return;
        }
        self.heartbeat_at = Some(at.now + self.term_ms / 3);
        let beat = self.request(Body::Heartbeat { attempts });
        match self.plan.asks_heartbeats {
            true => drop(self.link.ask(at.now, beat, 0, at.acts)),
            false => self.link.report(beat, at.acts),
        }
    }

    fn request(&self, body: Body) -> Ask {
        Ask::Request(Request::by(self.who.clone(), body))
    }

    fn held(&self) -> Vec<AttemptRef> {
        let running = self.running.iter().filter(|running| !running.lost);
        let running = running.map(|running| attempt(&running.name, running.attempt, true));
        let outcomes = self.ended.iter().chain(&self.reporting);
        let outcomes = outcomes.map(|outcome| attempt(&outcome.name, outcome.attempt, true));
        let queued = self.queue.iter().map(|(name, number)| attempt(name, *number, false));
        running.chain(outcomes).chain(queued).collect()
    }

    fn free(&self, now: Millis) -> u32 {
        if self.order != Order::None || self.paused_until > now {
            return 0;
        }
        let full = self.plan.slots + self.plan.ahead;
        full.saturating_sub(self.running.len() + self.queue.len()) as u32
    }

    fn steal(&mut self, n: u32, wait_ms: u64, replaces: u64) -> Steal {
        self.number += 1;
        let (client, number, stay) = (self.who.id, self.number, self.plan.stay);
        let slots = self.plan.slots as u32;
        Steal { client, number, n, wait_ms, lease_ms: 0, stay, replaces, slots, waiting: 0 }
    }

    fn ask_release(&mut self, at: &mut Surroundings) {
        if self.release.is_some() || self.give_back.is_empty() {
            return;
        }
        self.releasing = std::mem::take(&mut self.give_back);
        let attempts = self.releasing.clone();
        let ask = self.request(Body::Release { attempts, needs: Vec::new() });
        self.release = Some(self.link.ask(at.now, ask, 0, at.acts));
    }

    fn ask_complete(&mut self, at: &mut Surroundings) {
        if self.complete.is_some() || self.ended.is_empty() || self.ask_after > at.now {
            return;
        }
        self.reporting = std::mem::take(&mut self.ended);
        let free = self.free(at.now);
        let steals = self.parked.is_none_or(|parked| parked.n == 0) && free > 0;
        let want = steals.then(|| self.steal(free, 0, 0));
        let outcomes = self.reporting.clone();
        let ask = self.request(Body::Complete { outcomes, want });
        self.complete_steals = steals;
        self.complete = Some(self.link.ask(at.now, ask, 0, at.acts));
    }

    fn ask_steal(&mut self, at: &mut Surroundings) {
        if (self.complete.is_some() && self.complete_steals) || self.ask_after > at.now {
            return;
        }
        let n = self.free(at.now);
        match self.parked {
            // Unless it asks for more than is wanted by now.
            Some(parked) if parked.n > 0 && (parked.n <= n || self.plan.ahead > 0) => return,
            Some(parked) if parked.n == 0 && n == 0 => return,
            _ => {}
        }
        if let Some(parked) = self.parked {
            // No answer will come; or it is on its way, and lost.
            self.link.forget(parked.id);
            if parked.n > 0 && self.unheard == 0 {
                self.unheard = parked.number;
            }
        }
        let steal = self.steal(n, WAIT_MS, self.unheard);
        let number = steal.number;
        let ask = self.request(Body::Steal(steal));
        let id = self.link.ask(at.now, ask, WAIT_MS, at.acts);
        self.parked = Some(Parked { id, n, number });
    }

    fn ask_exit(&mut self, at: &mut Surroundings) {
        if let Some(parked) = self.parked.take() {
            self.link.forget(parked.id);
        }
        let ask = self.request(Body::Exit);
        self.exit = Some(self.link.ask(at.now, ask, 0, at.acts));
    }
}
