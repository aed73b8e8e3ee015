//! A kworker: slots, tasks ahead, one request parked, outcomes kept until they are acknowledged. It gives
//! back what it will not start, and leaves when it is told to.

mod ask;
mod process;
mod told;

use std::collections::VecDeque;

use dhub::engine::message::*;

use super::link::Link;
use super::{Surroundings, client_id, earliest, key};
use crate::message::{PeerId, ReplyBody};
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

/// The steal that the hub keeps.
#[derive(Clone, Copy)]
struct Parked {
    id: u64,
    n: u32,
    number: u64,
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
    parked: Option<Parked>,
    /// The first of the steals that were replaced, since one was answered; 0: there is none.
    unheard: u64,
    give_back: Vec<AttemptRef>,
    releasing: Vec<AttemptRef>,
    release: Option<u64>,
    exit: Option<u64>,
    heartbeat_at: Option<Millis>,
    ask_after: Millis,
    /// It starts and steals nothing until then.
    paused_until: Millis,
    leaving: bool,
    /// As the hub wishes.
    order: Order,
    /// It leaves without its outcomes being acknowledged: its time is over.
    hasty: bool,
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
            unheard: 0,
            give_back: Vec::new(),
            releasing: Vec::new(),
            release: None,
            exit: None,
            heartbeat_at: None,
            ask_after: 0,
            paused_until: 0,
            leaving: false,
            order: Order::None,
            hasty: false,
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
            && self.give_back.is_empty()
            && self.releasing.is_empty()
    }

    // --- what happens ------------------------------------------------------------------------

    pub fn answered(&mut self, conn: u32, id: u64, body: &ReplyBody, at: &mut Surroundings) {
        if self.link.answered(conn, id).is_none() {
            return;
        }
        let ReplyBody::Answer(answer) = body else {
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
        } else if self.release == Some(id) {
            self.release = None;
            self.releasing.clear();
        } else if self.parked.is_some_and(|parked| parked.id == id) {
            self.parked = None;
            if let Answer::Stolen(stolen) = &**answer {
                self.unheard = 0;
                if stolen.leases.is_empty() && stolen.lost.is_empty() {
                    self.ask_after = at.now + BACKOFF_MS;
                }
                self.stolen(stolen, at.now);
            }
        } else if let Answer::Heartbeaten { lost, order } = &**answer {
            self.lost(lost, at.now);
            self.ordered(*order, at.now);
        }
    }

    fn come_again(&mut self, now: Millis) {
        self.left += 1;
        self.who = who(self.seat, self.life, self.left);
        (self.number, self.unheard, self.exit, self.leaving) = (0, 0, None, false);
        (self.order, self.hasty) = (Order::None, false);
        self.ended.clear();
        self.reporting.clear();
        self.releasing.clear();
        for id in [self.complete.take(), self.release.take()].into_iter().flatten() {
            self.link.forget(id);
        }
        self.heartbeat_at = None;
        self.ask_after = now + REST_MS;
    }

    // --- what is done ------------------------------------------------------------------------

    pub fn step(&mut self, at: &mut Surroundings) -> Option<Millis> {
        self.link.retry(at.now, at.acts);
        self.end_processes(at.now);
        self.change_its_mind(at);
        self.start_processes(at);
        self.ask(at);
        let ends = self.running.iter().map(|running| running.ends).min();
        let later = [self.ask_after, self.paused_until].map(|time| (time > at.now).then_some(time));
        earliest([self.link.due(), ends, self.heartbeat_at, later[0], later[1]])
    }
}

fn attempt(name: &Name, attempt: u32, started: bool) -> AttemptRef {
    AttemptRef { name: name.clone(), attempt, started }
}

fn who(seat: PeerId, life: u32, left: u32) -> Who {
    Who {
        name: format!("pool{seat}").into(),
        id: Some(client_id(seat, life, left)),
        host: Name::default(),
        key: key(seat),
    }
}
