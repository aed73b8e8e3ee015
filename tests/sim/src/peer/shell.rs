//! Who is known by a name alone: programs written for dwork, and shell loops of dquery. One thing
//! at a time, no heartbeats, long leases.

use dhub::engine::message::*;

use super::link::{Act, Link};
use super::{Surroundings, client_id, earliest, key};
use crate::message::{Ask, PeerId, ReplyBody};
use crate::plan::LoopPlan;

const POLL_MS: u64 = 5_000;

enum Doing {
    Resting { until: Millis },
    Asking,
    Running { until: Millis },
}

pub struct Shell {
    plan: LoopPlan,
    seat: PeerId,
    life: u32,
    who: Who,
    link: Link,
    doing: Doing,
    /// Each call of dquery is a client of its own.
    calls: u32,
    tasks: Vec<(Name, u32)>,
    /// Told to the hub, not yet acknowledged.
    telling: Option<Outcome>,
    /// As the hub wishes: somebody starts another.
    leaving: bool,
}

impl Shell {
    pub fn new(plan: LoopPlan, seat: PeerId, life: u32) -> Self {
        // Two on one host have one name.
        let who =
            Who { name: format!("host{}", seat / 2).into(), key: key(seat), ..Who::default() };
        Self {
            link: Link::new(life, plan.patience_ms),
            // Who takes the place of one that was killed tells first that that one is gone.
            leaving: life > 1 && plan.exits > 0,
            plan,
            seat,
            life,
            who,
            doing: Doing::Resting { until: 0 },
            calls: 0,
            tasks: Vec::new(),
            telling: None,
        }
    }

    pub fn is_idle(&self) -> bool {
        self.tasks.is_empty() && self.telling.is_none()
    }

    pub fn answered(&mut self, conn: u32, id: u64, body: &ReplyBody, at: &mut Surroundings) {
        if self.link.answered(conn, id).is_none() {
            return;
        }
        let ReplyBody::Answer(answer) = body else {
            return;
        };
        let told = self.telling.take();
        self.doing = Doing::Resting { until: at.now };
        match &**answer {
            Answer::Stolen(stolen) => {
                self.leaving = stolen.order != Order::None;
                let leases = stolen.leases.iter();
                self.tasks.extend(leases.map(|lease| (lease.name.clone(), lease.attempt)));
                match self.tasks.is_empty() {
                    true => self.doing = Doing::Resting { until: at.now + POLL_MS },
                    false => self.start(at),
                }
            }
            Answer::Completed { refused, .. } if refused.is_empty() => {
                at.acts.extend(told.map(Act::Completed));
            }
            // Nobody's business any more, or no room in the hub.
            _ => self.doing = Doing::Resting { until: at.now + 1000 },
        }
        if !matches!(**answer, Answer::Stolen(_)) && !self.tasks.is_empty() {
            self.start(at);
        }
    }

    /// The next of the tasks that it has; or gives it back.
    fn start(&mut self, at: &mut Surroundings) {
        let Some((name, attempt)) = self.tasks.first().cloned() else {
            return;
        };
        if at.random.chance(self.plan.gives_back) {
            self.tasks.remove(0);
            let attempts = vec![AttemptRef { name, attempt, started: false }];
            // dwork's Transfer may name what to wait for.
            let further = self.plan.dwork && at.random.chance(100);
            let need = || -> Name { format!("t{}", at.random.below(50)).into() };
            let needs = vec![further.then(need).into_iter().collect()];
            self.send(Body::Release { attempts, needs }, 0, at);
            return;
        }
        at.acts.push(Act::Started { name, attempt });
        let (low, high) = at.work.run_ms;
        self.doing = Doing::Running { until: at.now + at.random.mostly_low(low, high) };
    }

    pub fn step(&mut self, at: &mut Surroundings) -> Option<Millis> {
        self.link.retry(at.now, at.acts);
        match self.doing {
            Doing::Running { until } if until <= at.now => self.tell(at),
            Doing::Resting { until } if until <= at.now => self.steal(at),
            _ => {}
        }
        let until = match self.doing {
            Doing::Running { until } | Doing::Resting { until } => Some(until),
            Doing::Asking => None,
        };
        earliest([self.link.due(), until])
    }

    fn tell(&mut self, at: &mut Surroundings) {
        let (name, attempt) = self.tasks.remove(0);
        let failed = at.random.chance(at.work.failing);
        let outcome = Outcome {
            name,
            attempt: if self.plan.dwork || at.random.chance(500) { 0 } else { attempt },
            verdict: if failed { Verdict::Failed } else { Verdict::Done },
            is_final: attempt % 5 == 4,
            report: Report::default(),
        };
        self.telling = Some(outcome.clone());
        self.send(Body::Complete { outcomes: vec![outcome], want: None }, 0, at);
    }

    fn steal(&mut self, at: &mut Surroundings) {
        if at.random.chance(self.plan.exits) || std::mem::take(&mut self.leaving) {
            return self.send(Body::Exit, 0, at);
        }
        self.calls += 1;
        let client =
            (!self.plan.dwork).then(|| client_id(self.seat, self.life, self.calls | 1 << 30));
        let (n, wait_ms, lease_ms) = (self.plan.n, self.plan.wait_ms, self.plan.lease_ms);
        let number = u64::from(client.is_some());
        let steal = Steal {
            client,
            number,
            n,
            wait_ms,
            lease_ms,
            stay: false,
            replaces: 0,
            slots: 1,
            waiting: 0,
        };
        self.send(Body::Steal(steal), wait_ms, at);
    }

    fn send(&mut self, body: Body, parked_ms: u64, at: &mut Surroundings) {
        let ask = Ask::Request(Request::by(self.who.clone(), body));
        self.link.ask(at.now, ask, parked_ms, at.acts);
        self.doing = Doing::Asking;
    }
}
