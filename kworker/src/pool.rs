//! What the pool holds, and what follows from it: which task starts, what is asked of the hub.
//!
//! Pure: no clock, socket or process. Events go in by methods, decisions come out of `next_start`,
//! `next_ask` and `take_stops`.
//!
//! Invariants:
//! - An outcome is kept until the hub has acknowledged it.
//! - At most one request that steals is unanswered, because the hub repeats only the newest
//!   number. The one exception is a drain, after which only Release and Exit matter.
//! - Two attempts at one task never run here at the same time.
//! - What is held (leases, and outcomes not acknowledged) is all that a heartbeat lists.

mod ask;
mod events;
mod limits;
mod pace;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use dhub_proto::limits::{BATCH_TASKS_MAX, STEAL_TASKS_MAX};
use dhub_proto::wire::{
    Attempt, Complete, Completed, ErrorCode, Exit, Heartbeaten, Lease, Outcome, Phase, Release,
    Result as Verdict, Steal, Stolen, Worker, request::Body,
};
use limits::Gauge;
pub use limits::{AT_ONCE, Limits, Reached, TimeLimit};
use pace::Pace;

/// How long the hub may keep a steal.
const WAIT: Duration = Duration::from_secs(20);
/// A hub that answers a parked request sooner than this, and with nothing, is asked more slowly.
const SOON: Duration = Duration::from_secs(1);
const BACKOFF_MIN: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(4);
/// What is held too much for this long is given back.
const SURPLUS: Duration = Duration::from_millis(500);
/// Outcomes that come sooner one after the other than this share a request, while no slot waits for it.
const COLLECT: Duration = Duration::from_millis(5);
/// Outcomes in one request: far below the limit of a message.
const OUTCOMES_BYTES_MAX: usize = 8 * 1024 * 1024;
/// More than this is never held: one heartbeat lists it all.
const HELD_MAX: usize = BATCH_TASKS_MAX - 1000;

/// Which answer to expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Hello,
    /// Reports outcomes; `true`: and steals.
    Complete(bool),
    Steal,
    /// Steals nothing, waits to be told something.
    Listen,
    Release,
    Heartbeat,
    Exit,
}

/// A request to send.
#[derive(Debug)]
pub struct Ask {
    pub asked: Asked,
    pub body: Body,
    /// How long the hub may take its time.
    pub parked: Duration,
    /// The parked request before this one will not be answered any more.
    pub replaces: bool,
}

/// Processes to stop: the attempt is not ours any more.
#[derive(Debug, PartialEq, Eq)]
pub struct StopTask {
    pub name: String,
    /// Its next attempt waits here already: no grace.
    pub at_once: bool,
}

/// An outcome that the hub did not take.
#[derive(Debug, PartialEq, Eq)]
pub struct NotTaken {
    pub name: String,
    pub code: ErrorCode,
    pub message: String,
}

#[derive(Debug)]
struct Running {
    attempt: u32,
    since: Instant,
    term_ms: u64,
    /// Its processes are being stopped; it is held no longer.
    lost: bool,
}

/// The parked request that the hub holds of us.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Parked {
    Steal { since: Instant, n: u32, number: u64 },
    Listen { since: Instant },
}

/// How many tasks to hold besides those that run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ahead {
    Fixed(usize),
    /// As many as end within a moment, going by how long tasks run here.
    Measured,
}

/// What people are told at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub done: u64,
    pub failed: u64,
}

pub struct Pool {
    worker: Worker,
    slots: usize,
    ahead: Ahead,
    pace: Pace,
    limits: Limits,
    gauge: Gauge,
    /// More is held than wanted.
    surplus_since: Option<Instant>,
    /// Wait for more when everything is finished.
    stay: bool,
    queue: VecDeque<Lease>,
    running: HashMap<String, Running>,
    /// Outcomes to report.
    ended: VecDeque<Outcome>,
    /// Outcomes reported, not acknowledged.
    reporting: Vec<Outcome>,
    /// Leases to give back.
    give_back: Vec<Attempt>,
    number: u64,
    /// Sent then; whether it steals.
    complete: Option<(Instant, bool)>,
    parked: Option<Parked>,
    /// The first of the steals that were replaced, since one of their kind was answered; 0: there is none.
    unheard: u64,
    /// Given back, not acknowledged.
    releasing: Vec<Attempt>,
    draining: bool,
    /// The hub wants it to end now.
    stopped: bool,
    /// Starts and steals nothing for now.
    paused: bool,
    /// Exit is near: nothing but outcomes is told.
    abandoned: bool,
    phase: Phase,
    not_done: u64,
    term_ms: Option<u64>,
    backoff: Duration,
    steal_after: Option<Instant>,
    listen_after: Option<Instant>,
    complete_after: Option<Instant>,
    /// When outcomes were reported last.
    completed_at: Option<Instant>,
    stops: Vec<StopTask>,
    tally: Tally,
}

impl Pool {
    pub fn new(worker: Worker, slots: usize, ahead: Ahead, stay: bool, limits: Limits) -> Self {
        Self {
            worker,
            slots,
            ahead,
            pace: Pace::default(),
            limits,
            gauge: Gauge::default(),
            surplus_since: None,
            stay,
            queue: VecDeque::new(),
            running: HashMap::new(),
            ended: VecDeque::new(),
            reporting: Vec::new(),
            give_back: Vec::new(),
            number: 0,
            complete: None,
            parked: None,
            unheard: 0,
            releasing: Vec::new(),
            draining: false,
            stopped: false,
            paused: false,
            abandoned: false,
            phase: Phase::Unspecified,
            not_done: 0,
            term_ms: None,
            backoff: BACKOFF_MIN,
            steal_after: None,
            listen_after: None,
            complete_after: None,
            completed_at: None,
            stops: Vec::new(),
            tally: Tally::default(),
        }
    }

    // --- decisions ---------------------------------------------------------------------------

    /// The task to start now, if a slot is free.
    pub fn next_start(&mut self, now: Instant) -> Option<Lease> {
        let full = self.running.len() >= self.slots || self.startable() == 0;
        if self.draining || self.paused || full {
            return None;
        }
        // A task whose lost attempt is still dying here has to wait for that.
        let at = self.queue.iter().position(|lease| !self.running.contains_key(&lease.name))?;
        // If it takes this pool down, too, nothing that has ended is to be blamed for it.
        if self.queue[at].suspect && self.unreported() > 0 {
            return None;
        }
        let lease = self.queue.remove(at)?;
        let Lease { attempt, term_ms, .. } = lease;
        let running = Running { attempt, since: now, term_ms, lost: false };
        self.running.insert(lease.name.clone(), running);
        self.gauge.begins();
        Some(lease)
    }

    pub fn take_stops(&mut self) -> Vec<StopTask> {
        std::mem::take(&mut self.stops)
    }

    // --- views -------------------------------------------------------------------------------

    /// What a heartbeat lists.
    pub fn held(&self) -> Vec<Attempt> {
        let running =
            self.running.iter().filter(|(_, running)| !running.lost).map(|(name, running)| {
                Attempt { name: name.clone(), attempt: running.attempt, started: true }
            });
        let outcomes = self.reporting.iter().chain(&self.ended).map(|outcome| Attempt {
            name: outcome.name.clone(),
            attempt: outcome.attempt,
            started: true,
        });
        let queued = self.queue.iter().map(|lease| attempt(lease, false));
        running.chain(outcomes).chain(queued).collect()
    }

    /// The shortest term of the leases held, or a shorter one of a lease held before.
    pub fn term(&self) -> Option<Duration> {
        self.term_ms.map(Duration::from_millis)
    }

    pub fn forget_old_terms(&mut self) {
        let running = self.running.values().map(|running| running.term_ms);
        let queued = self.queue.iter().map(|lease| lease.term_ms);
        self.term_ms = running.chain(queued).filter(|&ms| ms > 0).min();
    }

    pub fn slots(&self) -> usize {
        self.slots
    }

    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Outcomes that the hub has not acknowledged.
    pub fn unreported(&self) -> usize {
        self.ended.len() + self.reporting.len()
    }

    /// Nothing runs, and the hub knows everything.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
            && self.queue.is_empty()
            && self.unreported() == 0
            && self.give_back.is_empty()
            && self.releasing.is_empty()
    }

    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// The hub wants this pool to end now.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    pub fn not_done(&self) -> u64 {
        self.not_done
    }

    pub fn tally(&self) -> Tally {
        self.tally
    }

    pub fn worker(&self) -> &Worker {
        &self.worker
    }

    pub fn exit_request(&self) -> Ask {
        Ask::now(Asked::Exit, Body::Exit(Exit { worker: Some(self.worker.clone()) }))
    }
}

impl Ask {
    pub fn now(asked: Asked, body: Body) -> Self {
        Self { asked, body, parked: Duration::ZERO, replaces: false }
    }
}

fn attempt(lease: &Lease, started: bool) -> Attempt {
    Attempt { name: lease.name.clone(), attempt: lease.attempt, started }
}

#[cfg(test)]
mod tests;
