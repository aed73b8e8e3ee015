//! What a pool is told by the hub, and what follows from it.

use dhub::engine::message::*;

use super::super::Surroundings;
use super::super::link::Act;
use super::{Pool, attempt};

impl Pool {
    pub(super) fn completed(&mut self, answer: &Answer, at: &mut Surroundings) {
        let reported = std::mem::take(&mut self.reporting);
        let Answer::Completed { refused, stolen } = answer else {
            self.ended.splice(0..0, reported);
            return;
        };
        for outcome in reported {
            let same = |refused: &Refused| {
                refused.name == outcome.name && refused.attempt == outcome.attempt
            };
            if !refused.iter().any(same) {
                at.acts.push(Act::Completed(outcome));
            }
        }
        if let Some(stolen) = stolen {
            self.stolen(stolen, at.now);
        }
    }

    pub(super) fn stolen(&mut self, stolen: &Stolen, now: Millis) {
        self.lost(&stolen.lost, now);
        for lease in &stolen.leases {
            if self.is_known(lease) {
                continue;
            }
            self.term_ms = lease.term_ms;
            self.heartbeat_at.get_or_insert(now + lease.term_ms / 3);
            if self.order != Order::None {
                self.give_back.push(attempt(&lease.name, lease.attempt, false));
                continue;
            }
            self.queue.retain(|(name, _)| *name != lease.name);
            self.stop(&lease.name, u32::MAX, now);
            self.queue.push_back((lease.name.clone(), lease.attempt));
        }
        let over = matches!(stolen.phase, Phase::Stuck | Phase::Finished);
        self.leaving = over && !self.plan.stay;
        self.ordered(stolen.order, now);
    }

    /// A repeat, or older than what is here.
    fn is_known(&self, lease: &Leased) -> bool {
        let known = |name: &Name, attempt: u32| *name == lease.name && attempt >= lease.attempt;
        let mut outcomes = self.ended.iter().chain(&self.reporting);
        let mut back = self.give_back.iter().chain(&self.releasing);
        self.running.iter().any(|running| known(&running.name, running.attempt))
            || self.queue.iter().any(|(name, attempt)| known(name, *attempt))
            || outcomes.any(|outcome| known(&outcome.name, outcome.attempt))
            || back.any(|attempt| known(&attempt.name, attempt.attempt))
    }

    /// To drain: what does not run yet is given back. To stop: what runs is killed too, and all of it is
    /// given back by leaving.
    pub(super) fn ordered(&mut self, order: Order, now: Millis) {
        self.order = self.order.max(order);
        match self.order {
            Order::None => {}
            Order::Drain => {
                let queued = self.queue.drain(..);
                self.give_back.extend(queued.map(|(name, number)| attempt(&name, number, false)));
            }
            Order::Stop => {
                self.queue.clear();
                self.give_back.clear();
                for running in &mut self.running {
                    running.lost = true;
                    running.ends = running.ends.min(now + 500);
                }
            }
        }
    }

    pub(super) fn lost(&mut self, lost: &[(Name, u32)], now: Millis) {
        for (name, attempt) in lost {
            self.queue.retain(|queued| queued.0 != *name || queued.1 != *attempt);
            self.stop(name, *attempt, now);
        }
    }

    /// Kills what runs of this task, up to this attempt. That takes a moment.
    fn stop(&mut self, name: &Name, attempt: u32, now: Millis) {
        for running in &mut self.running {
            if running.name == *name && running.attempt <= attempt && !running.lost {
                running.lost = true;
                running.ends = running.ends.min(now + 500);
            }
        }
    }
}
