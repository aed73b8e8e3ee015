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

mod events;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use dhub_proto::limits::{BATCH_TASKS_MAX, STEAL_TASKS_MAX};
use dhub_proto::wire::{
    Attempt, Complete, Completed, ErrorCode, Exit, Lease, Outcome, Phase, Release,
    Result as Verdict, Steal, Stolen, Worker, request::Body,
};

/// How long the hub may keep a steal.
const WAIT: Duration = Duration::from_secs(20);
/// A hub that answers a parked request sooner than this, and with nothing, is asked more slowly.
const SOON: Duration = Duration::from_secs(1);
const BACKOFF_MIN: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(4);
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
    term_ms: u64,
    /// Its processes are being stopped; it is held no longer.
    lost: bool,
}

/// The parked request that the hub holds of us.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Parked {
    Steal(Instant),
    Listen(Instant),
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
    ahead: usize,
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
    complete: Option<bool>,
    parked: Option<Parked>,
    /// Given back, not acknowledged.
    releasing: Vec<Attempt>,
    draining: bool,
    /// Exit is near: nothing but outcomes is told.
    abandoned: bool,
    phase: Phase,
    not_done: u64,
    term_ms: Option<u64>,
    backoff: Duration,
    steal_after: Option<Instant>,
    listen_after: Option<Instant>,
    complete_after: Option<Instant>,
    stops: Vec<StopTask>,
    tally: Tally,
}

impl Pool {
    pub fn new(worker: Worker, slots: usize, ahead: usize, stay: bool) -> Self {
        Self {
            worker,
            slots,
            ahead,
            stay,
            queue: VecDeque::new(),
            running: HashMap::new(),
            ended: VecDeque::new(),
            reporting: Vec::new(),
            give_back: Vec::new(),
            number: 0,
            complete: None,
            parked: None,
            releasing: Vec::new(),
            draining: false,
            abandoned: false,
            phase: Phase::Unspecified,
            not_done: 0,
            term_ms: None,
            backoff: BACKOFF_MIN,
            steal_after: None,
            listen_after: None,
            complete_after: None,
            stops: Vec::new(),
            tally: Tally::default(),
        }
    }

    // --- decisions ---------------------------------------------------------------------------

    /// The task to start now, if a slot is free.
    pub fn next_start(&mut self) -> Option<Lease> {
        if self.draining || self.running.len() >= self.slots {
            return None;
        }
        // A task whose lost attempt is still dying here has to wait for that.
        let at = self.queue.iter().position(|lease| !self.running.contains_key(&lease.name))?;
        let lease = self.queue.remove(at)?;
        let running = Running { attempt: lease.attempt, term_ms: lease.term_ms, lost: false };
        self.running.insert(lease.name.clone(), running);
        Some(lease)
    }

    /// The request to send now.
    pub fn next_ask(&mut self, now: Instant) -> Option<Ask> {
        self.ask_release().or_else(|| self.ask_complete(now)).or_else(|| self.ask_steal(now))
    }

    /// When something is to be asked that must not be asked yet.
    pub fn next_ask_at(&self, now: Instant) -> Option<Instant> {
        let times = [self.steal_after, self.listen_after, self.complete_after];
        times.into_iter().flatten().filter(|&at| at > now).min()
    }

    pub fn take_stops(&mut self) -> Vec<StopTask> {
        std::mem::take(&mut self.stops)
    }

    fn ask_release(&mut self) -> Option<Ask> {
        if !self.releasing.is_empty() || self.give_back.is_empty() {
            return None;
        }
        self.releasing = std::mem::take(&mut self.give_back);
        let attempts = self.releasing.clone();
        let body = Body::Release(Release { worker: Some(self.worker.clone()), attempts });
        Some(Ask::now(Asked::Release, body))
    }

    fn ask_complete(&mut self, now: Instant) -> Option<Ask> {
        if self.complete.is_some()
            || self.ended.is_empty()
            || not_yet(&mut self.complete_after, now)
        {
            return None;
        }
        let mut bytes = 0;
        while let Some(outcome) = self.ended.pop_front() {
            bytes += outcome.name.len() + outcome.output.len() + outcome.reason.len() + 64;
            self.reporting.push(outcome);
            if bytes >= OUTCOMES_BYTES_MAX {
                break;
            }
        }
        let steals = !matches!(self.parked, Some(Parked::Steal(_)));
        let want = if steals { self.free() } else { 0 };
        self.complete = Some(want > 0);
        let body = Body::Complete(Complete {
            worker: Some(self.worker.clone()),
            outcomes: self.reporting.clone(),
            want,
            client: self.worker.id.clone(),
            number: if want > 0 { self.next_number() } else { 0 },
            lease_ms: 0,
        });
        Some(Ask::now(Asked::Complete(want > 0), body))
    }

    fn ask_steal(&mut self, now: Instant) -> Option<Ask> {
        if self.complete == Some(true) || self.abandoned {
            return None;
        }
        let n = self.free();
        let listen = n == 0;
        match self.parked {
            Some(Parked::Steal(_)) if !self.draining => return None,
            Some(Parked::Listen(_)) if listen => return None,
            _ if listen && not_yet(&mut self.listen_after, now) => return None,
            _ if !listen && not_yet(&mut self.steal_after, now) => return None,
            _ => {}
        }
        let replaces = self.parked.is_some();
        self.parked = Some(if listen { Parked::Listen(now) } else { Parked::Steal(now) });
        let body = Body::Steal(Steal {
            worker: Some(self.worker.clone()),
            client: self.worker.id.clone(),
            number: self.next_number(),
            n,
            wait_ms: WAIT.as_millis() as u64,
            lease_ms: 0,
            stay: self.stay,
        });
        let asked = if listen { Asked::Listen } else { Asked::Steal };
        Some(Ask { asked, body, parked: WAIT, replaces })
    }

    fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// How many more tasks to take. Outcomes count too, so that a hub that takes none gives none.
    fn free(&self) -> u32 {
        if self.draining || self.ended.len() + self.reporting.len() + self.queue.len() >= HELD_MAX {
            return 0;
        }
        let free = (self.slots + self.ahead).saturating_sub(self.running.len() + self.queue.len());
        free.min(STEAL_TASKS_MAX) as u32
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

/// Whether to wait still; forgets a time that has come.
fn not_yet(after: &mut Option<Instant>, now: Instant) -> bool {
    if after.is_some_and(|after| after <= now) {
        *after = None;
    }
    after.is_some()
}

#[cfg(test)]
mod tests;
