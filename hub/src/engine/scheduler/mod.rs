//! The scheduler: which task is in which state, who holds it, who gets it next.
//!
//! Pure: it reads no clock, socket, file or random source. `apply` takes the time as an argument
//! and leaves behind what must be stored (`changes`) and what may be said once that is done
//! (`answers`). Everything here is in memory and small; commands and outputs stay in the store.
//!
//! Invariants: a task is in the ready set if and only if it is ready, and has a lease if and only
//! if it is running; `pending` counts the dependencies of a waiting task that are not done; a
//! finished task leaves memory when the store's tables have its end, not before.

mod answer;
mod back;
mod grant;
mod inherit;
mod moves;
mod parting;
mod places;
mod read;
mod restore;
mod room;
pub mod state;
mod suspect;
mod time;
mod verbs;
mod waiting;
mod who;

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::engine::message::*;

use inherit::{STEPS_MAX, Urgency};
use parting::Parting;
use room::Room;
use state::backoff::Backoff;
use state::graph::Edges;
use state::lease::Leases;
use state::list::List;
use state::ready::ReadySet;
use state::task::Tasks;
use state::workers::Workers;
use waiting::awaiting::Awaiting;
use waiting::holders::Holders;
use waiting::park::Parking;

pub use crate::engine::message::Counts;
pub use crate::engine::message::State;
pub use state::slab::CHUNK_BYTES;
pub use state::slot::Slot;
pub use state::task::Task;
pub use state::worker::Worker;
pub use verbs::damaged::DAMAGED;

/// Terms and limits, from the command line.
#[derive(Clone, Debug)]
pub struct Config {
    pub worker_timeout_ms: u64,
    pub lease_ms: u64,
    pub parked_requests_max: usize,
    pub needs_max: usize,
    /// Names and commands of the leases in one answer; one lease there is always.
    pub leases_bytes_max: usize,
    pub reclaims_max: u32,
    /// Skipped after one command, so that a failure at the root of millions stops nobody.
    pub skips_max: usize,
    /// How long a task waits after its first failure before it is tried again. 0: it does not.
    pub retry_delay_ms: u64,
    /// What a task needs is at least as urgent as it.
    pub inherit_priority: bool,
}

#[cfg(test)]
impl Config {
    /// For tests that need a scheduler and none of its limits.
    pub fn least() -> Self {
        Self {
            worker_timeout_ms: 1,
            lease_ms: 1,
            parked_requests_max: 1,
            needs_max: 1,
            leases_bytes_max: 1,
            reclaims_max: 1,
            skips_max: 1,
            retry_delay_ms: 0,
            inherit_priority: true,
        }
    }
}

pub struct Scheduler {
    config: Config,
    tasks: Tasks,
    edges: Edges,
    ready: ReadySet,
    leases: Leases,
    workers: Workers,
    backoff: Backoff,
    parking: Parking,
    awaiting: Awaiting,
    counts: Counts,
    /// Of the failed: those that cannot be read.
    lost: u64,
    /// Unfinished tasks that a person holds.
    held: u64,
    last_task: TaskId,
    /// Waiting tasks that can never run, with the one to blame; skipped a few at a turn.
    doomed: VecDeque<(Slot, TaskId, TaskId)>,
    /// Finished, or missing and wanted no more: since the last commit, and by the turn that their
    /// end was committed with, until the store's tables have it.
    left: Vec<Parting>,
    leaving: VecDeque<(Turn, Vec<Parting>)>,
    partings: u32,
    /// Of the skipped ones in memory: the one to blame.
    blames: HashMap<Slot, TaskId>,
    urgency: Urgency,
    /// Workers that have something to be told.
    to_tell: Vec<WorkerId>,
    /// Names that tasks wait for and nobody added.
    missing: List,
    last_turn: Option<Millis>,
    holders: Holders,
    room: Room,
    is_crowded: bool,
    changes: Vec<Change>,
    answers: Vec<(Ticket, Answer)>,
}

impl Scheduler {
    pub fn new(config: Config) -> Self {
        Self {
            config,
            tasks: Tasks::default(),
            edges: Edges::default(),
            ready: ReadySet::default(),
            leases: Leases::default(),
            workers: Workers::default(),
            backoff: Backoff::default(),
            parking: Parking::default(),
            awaiting: Awaiting::default(),
            held: 0,
            counts: Counts::default(),
            lost: 0,
            last_task: 0,
            doomed: VecDeque::new(),
            left: Vec::new(),
            leaving: VecDeque::new(),
            partings: 0,
            blames: HashMap::new(),
            urgency: Urgency::default(),
            to_tell: Vec::new(),
            missing: List::default(),
            last_turn: None,
            holders: Holders::with(usize::MAX),
            room: Room::default(),
            is_crowded: false,
            changes: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Carries out one request. `past` has those tasks that it names and memory lacks.
    pub fn apply(&mut self, now: Millis, request: Request, past: &Past) {
        self.notice_pause(now);
        if let Some(who) = request.worker() {
            self.take_over(now, who);
        }
        let Request { ticket, who, body } = request;
        match body {
            Body::Create { tasks, merge } => self.create(ticket, tasks, merge, past),
            Body::Steal(steal) => self.steal(now, ticket, &who, steal),
            Body::Complete { outcomes, want } => {
                self.complete(now, ticket, &who, outcomes, want, past);
            }
            Body::Release { attempts, needs } => {
                self.release(now, ticket, &who, &attempts, needs, past);
            }
            Body::Heartbeat { attempts } => self.heartbeat(now, ticket, &who, attempts),
            Body::Exit => self.exit(now, ticket, &who),
            Body::Steer { workers, order } => self.steer(ticket, &workers, order),
            Body::Cancel { names } => self.cancel(ticket, names, past),
            Body::Adjust { names, to } => self.adjust(ticket, names, to, past),
            Body::Revive { tasks } => self.revive(ticket, tasks),
            Body::Hasten { names } => self.hasten(ticket, &names),
            Body::Wait { wait_ms } => self.wait(now, ticket, wait_ms),
            Body::Await { names, wait_ms, output } => {
                self.wait_for_tasks(now, ticket, names, wait_ms, output, past);
            }
            Body::Revoked { keys } => self.revoked(&keys),
            Body::Marked { old, key } => self.marked(now, &old, &key),
            Body::Damaged { names } => self.damaged(&names),
            Body::Undelivered { leases } => self.undelivered(&leases),
            Body::Forget { tickets } => self.forget_requests(&tickets),
            Body::Tick => self.tick(now),
        }
        self.skip_doomed(self.config.skips_max);
        self.pass_on_urgency(STEPS_MAX);
        self.settle(now);
    }

    /// When to apply a Tick at the latest.
    pub fn deadline(&self) -> Option<Millis> {
        if !self.doomed.is_empty() || !self.urgency.is_settled() {
            return Some(0);
        }
        let deadlines = [
            self.leases.deadline(),
            self.parking.deadline(),
            self.awaiting.deadline(),
            self.backoff.deadline(),
            self.room.deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// To a request that was carried out just now.
    pub fn answer_to(&self, ticket: Ticket) -> Option<&Answer> {
        self.answers.iter().rev().find(|(of, _)| *of == ticket).map(|(_, answer)| answer)
    }

    /// The same, for who asked in place of a client.
    pub fn take_answer(&mut self, ticket: Ticket) -> Option<Answer> {
        let at = self.answers.iter().rposition(|(of, _)| *of == ticket)?;
        Some(self.answers.remove(at).1)
    }

    pub fn take_answers(&mut self) -> Vec<(Ticket, Answer)> {
        std::mem::take(&mut self.answers)
    }
}
