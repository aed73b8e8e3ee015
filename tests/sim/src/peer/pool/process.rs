//! The processes of a pool: they start, they end, and sometimes it thinks better of it.

use dhub::engine::message::*;

use super::super::Surroundings;
use super::super::link::Act;
use super::{Pool, Running, attempt};

impl Pool {
    pub(super) fn end_processes(&mut self, now: Millis) {
        let over = |running: &mut Running| running.ends <= now;
        for running in self.running.extract_if(.., over) {
            if running.lost {
                continue;
            }
            self.ended.push(Outcome {
                name: running.name,
                attempt: running.attempt,
                verdict: running.verdict,
                is_final: running.attempt % 5 == 4,
                report: Report::default(),
            });
        }
    }

    /// It turns out that it will not start some of what it has, or nothing for a while; or somebody kills
    /// what runs, and it does not count.
    pub(super) fn change_its_mind(&mut self, at: &mut Surroundings) {
        if at.random.chance(self.plan.pauses) {
            self.paused_until = at.now + at.random.within(1_000, 30_000);
        }
        if at.random.chance(self.plan.gives_back) {
            self.hasty = self.order == Order::Stop;
            let many = at.random.below(self.queue.len() as u64 + 1) as usize;
            let back = self.queue.split_off(self.queue.len() - many);
            self.give_back
                .extend(back.into_iter().map(|(name, number)| attempt(&name, number, false)));
            if many == 0
                && let Some(running) = self.running.pop_if(|running| !running.lost)
            {
                self.give_back.push(attempt(&running.name, running.attempt, true));
            }
        }
    }

    pub(super) fn start_processes(&mut self, at: &mut Surroundings) {
        while self.running.len() < self.plan.slots && self.paused_until <= at.now {
            let busy = |name: &Name| self.running.iter().any(|running| running.name == *name);
            let Some(next) = self.queue.iter().position(|(name, _)| !busy(name)) else {
                return;
            };
            let Some((name, attempt)) = self.queue.remove(next) else {
                return;
            };
            let (low, high) = at.work.run_ms;
            let ends = at.now + at.random.mostly_low(low, high);
            let failed = at.random.chance(at.work.failing);
            let verdict = if failed { Verdict::Failed } else { Verdict::Done };
            at.acts.push(Act::Started { name: name.clone(), attempt });
            self.running.push(Running { name, attempt, ends, verdict, lost: false });
        }
    }
}
