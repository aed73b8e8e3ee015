//! A kworker: slots, tasks ahead, one request parked, outcomes kept until they are acknowledged.

use std::collections::VecDeque;

use dhub::scheduler::message::*;

use super::link::{Act, Link};
use super::{Surroundings, client_id, earliest, key};
use crate::message::{Ask, Body, PeerId};
use crate::plan::PoolPlan;

const WAIT_MS: u64 = 20_000;
const BACKOFF_MS: u64 = 2_000;
/// After it left: somebody starts another.
const REST_MS: u64 = 30_000;

struct Running {
    name: Name,
    attempt: u32,
    ends: Millis,
    verdict: Verdict,
    /// Not ours any more: its processes are being stopped.
    lost: bool,
}

pub struct Pool {
    plan: PoolPlan,
    seat: PeerId,
    life: u32,
    /// Pools that left here, and came again as others.
    left: u32,
    who: Who,
    link: Link,
    number: u64,
    term_ms: u64,
    queue: VecDeque<(Name, u32)>,
    running: Vec<Running>,
    ended: Vec<Outcome>,
    reporting: Vec<Outcome>,
    complete: Option<u64>,
    complete_steals: bool,
    parked: Option<(u64, u32)>,
    exit: Option<u64>,
    heartbeat_at: Option<Millis>,
    ask_after: Millis,
    leaving: bool,
}

impl Pool {
    pub fn new(plan: PoolPlan, seat: PeerId, life: u32) -> Self {
        Self {
            link: Link::new(life, plan.patience_ms),
            plan,
            seat,
            life,
            left: 0,
            who: who(seat, life, 0),
            number: 0,
            term_ms: 0,
            queue: VecDeque::new(),
            running: Vec::new(),
            ended: Vec::new(),
            reporting: Vec::new(),
            complete: None,
            complete_steals: false,
            parked: None,
            exit: None,
            heartbeat_at: None,
            ask_after: 0,
            leaving: false,
        }
    }

    pub fn is_idle(&self) -> bool {
        self.holds_nothing() && self.complete.is_none()
    }

    fn holds_nothing(&self) -> bool {
        self.queue.is_empty()
            && self.running.is_empty()
            && self.ended.is_empty()
            && self.reporting.is_empty()
    }

    // --- what happens ------------------------------------------------------------------------

    pub fn answered(&mut self, conn: u32, id: u64, body: &Body, at: &mut Surroundings) {
        if self.link.answered(conn, id).is_none() {
            return;
        }
        let Body::Answer(answer) = body else {
            return;
        };
        let is_busy = matches!(**answer, Answer::Error { .. });
        if is_busy {
            self.ask_after = at.now + 1000;
        }
        if self.complete == Some(id) {
            self.complete = None;
            self.completed(answer, at);
        } else if self.exit == Some(id) {
            self.come_again(at.now);
        } else if self.parked.is_some_and(|(parked, _)| parked == id) {
            self.parked = None;
            if let Answer::Stolen(stolen) = &**answer {
                if stolen.leases.is_empty() && stolen.lost.is_empty() {
                    self.ask_after = at.now + BACKOFF_MS;
                }
                self.stolen(stolen, at.now);
            }
        } else if let Answer::Heartbeaten { lost, .. } = &**answer {
            self.lost(lost, at.now);
        }
    }

    fn completed(&mut self, answer: &Answer, at: &mut Surroundings) {
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

    fn stolen(&mut self, stolen: &Stolen, now: Millis) {
        self.lost(&stolen.lost, now);
        for lease in &stolen.leases {
            let known = |name: &Name, attempt: u32| *name == lease.name && attempt >= lease.attempt;
            let outcomes = self.ended.iter().chain(&self.reporting);
            if self.running.iter().any(|running| known(&running.name, running.attempt))
                || self.queue.iter().any(|(name, attempt)| known(name, *attempt))
                || outcomes.into_iter().any(|outcome| known(&outcome.name, outcome.attempt))
            {
                continue;
            }
            self.queue.retain(|(name, _)| *name != lease.name);
            self.stop(&lease.name, u32::MAX, now);
            self.term_ms = lease.term_ms;
            self.heartbeat_at.get_or_insert(now + lease.term_ms / 3);
            self.queue.push_back((lease.name.clone(), lease.attempt));
        }
        let over = matches!(stolen.phase, Phase::Stuck | Phase::Finished);
        self.leaving = over && !self.plan.stay;
    }

    fn lost(&mut self, lost: &[(Name, u32)], now: Millis) {
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

    fn come_again(&mut self, now: Millis) {
        self.left += 1;
        self.who = who(self.seat, self.life, self.left);
        (self.number, self.exit, self.leaving) = (0, None, false);
        self.heartbeat_at = None;
        self.ask_after = now + REST_MS;
    }

    // --- what is done ------------------------------------------------------------------------

    pub fn step(&mut self, at: &mut Surroundings) -> Option<Millis> {
        self.link.retry(at.now, at.acts);
        self.end_processes(at.now);
        self.start_processes(at);
        self.beat(at);
        if self.exit.is_none() {
            self.ask_complete(at);
            self.ask_steal(at);
        }
        let ends = self.running.iter().map(|running| running.ends).min();
        let later = (self.ask_after > at.now).then_some(self.ask_after);
        earliest([self.link.due(), ends, self.heartbeat_at, later])
    }

    fn end_processes(&mut self, now: Millis) {
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

    fn start_processes(&mut self, at: &mut Surroundings) {
        while self.running.len() < self.plan.slots {
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
        let ticket = self.plan.asks_heartbeats.then_some(0);
        let beat = Ask::Command(Command::Heartbeat { ticket, who: self.who.clone(), attempts });
        match self.plan.asks_heartbeats {
            true => drop(self.link.ask(at.now, beat, 0, at.acts)),
            false => self.link.report(beat, at.acts),
        }
    }

    fn held(&self) -> Vec<AttemptRef> {
        let running = self.running.iter().filter(|running| !running.lost);
        let running = running.map(|running| (&running.name, running.attempt, true));
        let outcomes = self.ended.iter().chain(&self.reporting);
        let outcomes = outcomes.map(|outcome| (&outcome.name, outcome.attempt, true));
        let queued = self.queue.iter().map(|(name, attempt)| (name, *attempt, false));
        let held = running.chain(outcomes).chain(queued);
        held.map(|(name, attempt, started)| AttemptRef { name: name.clone(), attempt, started })
            .collect()
    }

    fn free(&self) -> u32 {
        let full = self.plan.slots + self.plan.ahead;
        full.saturating_sub(self.running.len() + self.queue.len()) as u32
    }

    fn steal(&mut self, n: u32, wait_ms: u64) -> Steal {
        self.number += 1;
        let stay = self.plan.stay;
        Steal {
            client: self.who.id,
            number: self.number,
            n,
            wait_ms,
            lease_ms: 0,
            stay,
            replaces: 0,
        }
    }

    fn ask_complete(&mut self, at: &mut Surroundings) {
        if self.complete.is_some() || self.ended.is_empty() || self.ask_after > at.now {
            return;
        }
        self.reporting = std::mem::take(&mut self.ended);
        let steals = self.parked.is_none_or(|(_, n)| n == 0) && self.free() > 0;
        let free = self.free();
        let want = steals.then(|| self.steal(free, 0));
        let outcomes = self.reporting.clone();
        let who = self.who.clone();
        let ask = Ask::Command(Command::Complete { ticket: 0, who, outcomes, want });
        self.complete_steals = steals;
        self.complete = Some(self.link.ask(at.now, ask, 0, at.acts));
    }

    fn ask_steal(&mut self, at: &mut Surroundings) {
        if (self.complete.is_some() && self.complete_steals) || self.ask_after > at.now {
            return;
        }
        if self.leaving && self.holds_nothing() {
            return self.ask_exit(at);
        }
        let n = self.free();
        match self.parked {
            Some((_, parked)) if parked > 0 || n == 0 => return,
            // What it listened with is replaced: no answer will come.
            Some((id, _)) => self.link.forget(id),
            None => {}
        }
        let steal = self.steal(n, WAIT_MS);
        let ask = Ask::Command(Command::Steal { ticket: 0, who: self.who.clone(), steal });
        self.parked = Some((self.link.ask(at.now, ask, WAIT_MS, at.acts), n));
    }

    fn ask_exit(&mut self, at: &mut Surroundings) {
        if let Some((id, _)) = self.parked.take() {
            self.link.forget(id);
        }
        let ask = Ask::Command(Command::Exit { ticket: 0, who: self.who.clone() });
        self.exit = Some(self.link.ask(at.now, ask, 0, at.acts));
    }
}

fn who(seat: PeerId, life: u32, left: u32) -> Who {
    Who {
        name: format!("pool{seat}").into(),
        id: Some(client_id(seat, life, left)),
        host: Name::default(),
        key: key(seat),
    }
}
