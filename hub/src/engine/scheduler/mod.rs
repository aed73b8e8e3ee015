//! The scheduler: which task is in which state, who holds it, who gets it next.
//!
//! Pure: it reads no clock, socket, file or random source. `apply` takes the time as an argument
//! and leaves behind what must be stored (`changes`) and what may be said once that is done
//! (`answers`). Everything here is in memory and small; commands and outputs stay in the store.
//!
//! Invariants: a task is in the ready set if and only if it is ready, and has a lease if and only
//! if it is running; `pending` counts the dependencies of a waiting task that are not done; a
//! finished task leaves memory when the store's tables have its end, not before.

mod inherit;
mod moves;
mod restore;
mod room;
pub mod state;
mod suspect;
pub mod verbs;
pub mod waiting;

use std::collections::{HashSet, VecDeque};

pub use state::counts::Counts;
pub use state::slab::CHUNK_BYTES;
pub use state::task::{Slot, State, Task};
pub use state::worker::Worker;
pub use verbs::damaged::DAMAGED;

use hashbrown::HashMap;

use crate::engine::message::*;
use inherit::{STEPS_MAX, Urgency};
use room::Room;
use state::backoff::Backoff;
use state::graph::Edges;
use state::lease::{Lease, Leases};
use state::list::List;
use state::ready::{Origin, ReadySet};
use state::task::{NONE, Tasks};
use state::worker::Workers;
use state::worker_quota::Full;
use waiting::awaiting::Awaiting;
use waiting::holders::Holders;
use waiting::park::Parking;

use crate::planted::{Bug, planted};

/// Without a turn for this long the hub itself was stopped or asleep.
const PAUSE_MS: u64 = 1_250;

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

/// Of a task from memory. One that came back in between leaves another time.
struct Parting {
    slot: Slot,
    id: TaskId,
    number: u32,
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

    /// Carries out one command. `past` has those tasks that the command names and memory lacks.
    pub fn apply(&mut self, now: Millis, command: Command, past: &Past) {
        self.notice_pause(now);
        if let Some(who) = command.who() {
            self.take_over(now, who);
        }
        match command {
            Command::Create { ticket, tasks, merge } => self.create(ticket, tasks, merge, past),
            Command::Steal { ticket, who, steal } => self.steal(now, ticket, &who, steal),
            Command::Complete { ticket, who, outcomes, want } => {
                self.complete(now, ticket, &who, outcomes, want, past);
            }
            Command::Release { ticket, who, attempts, needs } => {
                self.release(now, ticket, &who, &attempts, needs, past);
            }
            Command::Heartbeat { ticket, who, attempts } => {
                self.heartbeat(now, ticket, &who, attempts)
            }
            Command::Exit { ticket, who } => self.exit(now, ticket, &who),
            Command::Steer { ticket, workers, order } => self.steer(ticket, &workers, order),
            Command::Cancel { ticket, names } => self.cancel(ticket, names, past),
            Command::Adjust { ticket, names, to } => self.adjust(ticket, names, to, past),
            Command::Revive { ticket, tasks } => self.revive(ticket, tasks),
            Command::Hasten { ticket, names } => self.hasten(ticket, &names),
            Command::Wait { ticket, wait_ms } => self.wait(now, ticket, wait_ms),
            Command::Await { ticket, names, wait_ms, output } => {
                self.wait_for_tasks(now, ticket, names, wait_ms, output, past);
            }
            Command::Revoked { keys } => self.revoked(&keys),
            Command::Marked { old, key } => self.marked(now, &old, &key),
            Command::Damaged { names } => self.damaged(&names),
            Command::Undelivered { leases } => self.undelivered(&leases),
            Command::Forget { tickets } => self.forget_requests(&tickets),
            Command::Tick => self.tick(now),
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

    /// To a command that was carried out just now.
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

    /// All changes so far are committed, as this turn.
    pub fn committed(&mut self, turn: Turn) {
        self.workers.committed(turn);
        if !self.left.is_empty() {
            self.leaving.push_back((turn, std::mem::take(&mut self.left)));
        }
    }

    /// The tables have all changes up to this turn: what memory need not hold is the store's alone now.
    pub fn folded(&mut self, turn: Turn) {
        self.workers.folded(turn);
        while let Some((_, left)) = self.leaving.pop_front_if(|(until, _)| *until <= turn) {
            left.into_iter().for_each(|parting| self.forget(parting));
        }
    }

    /// The task leaves memory once the tables have what was said of it so far.
    pub(crate) fn let_go(&mut self, slot: Slot) {
        self.partings = self.partings.wrapping_add(1) % NONE;
        let task = self.tasks.get_mut(slot);
        task.lease = self.partings;
        self.left.push(Parting { slot, id: task.id, number: task.lease });
    }

    /// Unless somebody waits for that name again, or added it: then only its next parting counts.
    fn forget(&mut self, Parting { slot, id, number }: Parting) {
        let task = self.tasks.get_if(slot, id).filter(|task| task.lease == number);
        match task.map(|task| (task.state, task.pending)) {
            Some((State::Missing, 0)) => {
                // Frees the edges, which nobody is at the other end of.
                self.edges.take_succ(&mut self.tasks, slot);
                self.counts.down(State::Missing);
                self.missing.remove(&mut self.tasks, slot);
                self.tasks.remove(slot);
            }
            Some((state, _)) if state.is_finished() => {
                self.blames.remove(&slot);
                self.tasks.remove(slot);
            }
            _ => {}
        }
    }

    /// Some that can never run are not skipped yet.
    pub fn is_skipping(&self) -> bool {
        !self.doomed.is_empty()
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// As their rows say it: at the next start those that are lost are found lost again, if they are.
    pub fn stored_counts(&self) -> Counts {
        let mut counts = self.counts;
        counts.set(State::Failed, counts.of(State::Failed) - self.lost);
        counts
    }

    pub fn phase(&self) -> Phase {
        if self.counts.total() == 0 {
            Phase::Empty
        } else if self.counts.of(State::Ready) + self.counts.of(State::Running) > 0
            || !self.doomed.is_empty()
            || !self.backoff.is_empty()
            || self.held > 0
        {
            Phase::Active
        } else if self.counts.of(State::Waiting) > 0 {
            Phase::Stuck
        } else {
            Phase::Finished
        }
    }

    /// Unfinished tasks that a person holds.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Tasks that have failed and wait for their next try.
    pub fn retrying(&self) -> u64 {
        self.backoff.len() as u64
    }

    /// The task of this name in memory.
    pub fn find(&self, name: &str) -> Option<&Task> {
        self.tasks.find(name).map(|slot| self.tasks.get(slot))
    }

    /// How long a task that has failed still waits for its next try; as of the last turn.
    pub fn retry_in_ms(&self, name: &str) -> Option<u64> {
        let until = self.backoff.until(self.tasks.find(name)?)?;
        Some(until.saturating_sub(self.last_turn.unwrap_or(until)))
    }

    pub fn holds(&self, name: &str) -> bool {
        self.tasks.find(name).is_some()
    }

    /// Some of the names that nobody added.
    pub fn missing(&self) -> impl Iterator<Item = &Task> {
        self.missing.iter(&self.tasks).map(|slot| self.tasks.get(slot))
    }

    /// Memory lacks some of the tasks: names have to be looked up.
    pub fn has_past(&self) -> bool {
        self.tasks.len() as u64 != self.last_task
    }

    pub fn worker_id(&self, who: &Who) -> Option<WorkerId> {
        self.workers.find(who)
    }

    /// Tasks in memory from a slot on; for reading in slices.
    pub fn tasks_from(&self, from: Slot) -> impl Iterator<Item = (Slot, &Task)> {
        self.tasks.iter_from(from)
    }

    /// Unfinished tasks that wait for this one, and those that it waits for.
    pub fn neighbours(&self, name: &str) -> (Vec<&Task>, Vec<&Task>) {
        let Some(slot) = self.tasks.find(name) else {
            return Default::default();
        };
        let get = |slot| self.tasks.get(slot);
        (
            self.edges.succs(&self.tasks, slot).map(get).collect(),
            self.edges.preds(&self.tasks, slot).map(get).collect(),
        )
    }

    /// How long a running task has been held; as of the last turn.
    pub fn running_ms(&self, name: &str) -> Option<u64> {
        let task = self.find(name).filter(|task| task.state == State::Running)?;
        let began = self.leases.find(task.lease)?.began;
        Some((self.last_turn? as i64 - began).max(0) as u64)
    }

    /// The running tasks: task, worker, how long it has been held, whether its process runs.
    pub fn running(&self, now: Millis) -> impl Iterator<Item = (&Task, WorkerId, u64, bool)> {
        self.leases.iter().map(move |(_, lease)| {
            let ms = (now as i64 - lease.began).max(0) as u64;
            (self.tasks.get(lease.task), lease.worker, ms, lease.started)
        })
    }

    pub fn workers_known(&self) -> usize {
        self.workers.len()
    }

    pub fn workers(&self) -> impl Iterator<Item = (WorkerId, &Worker)> {
        self.workers.iter()
    }

    /// Those after an id, in the order in which they were first heard of.
    pub fn workers_after(&self, id: WorkerId) -> impl Iterator<Item = (WorkerId, &Worker)> {
        self.workers.after(id)
    }

    /// Some request of this worker waits here.
    pub fn has_parked(&self, id: WorkerId) -> bool {
        self.parking.has_worker(id)
    }

    pub fn worker(&self, id: WorkerId) -> Option<&Worker> {
        self.workers.get(id)
    }

    /// Leases of a worker whose processes run.
    pub fn started(&self, worker: &Worker) -> u64 {
        worker.leases.iter().filter(|&&lease| self.leases.get(lease).started).count() as u64
    }

    // --- time ------------------------------------------------------------------------------

    /// After a pause of the hub leases are longer by it, before anything else changes them.
    fn notice_pause(&mut self, now: Millis) {
        if let Some(last) = self.last_turn
            && now > last + PAUSE_MS
            && !planted(Bug::PauseNotAdded)
        {
            self.leases.extend_all(now - last);
            self.workers.woke(now, now - last);
        }
        self.last_turn = Some(now);
    }

    fn tick(&mut self, now: Millis) {
        while let Some(lease) = self.leases.expired(now) {
            self.reclaim(lease);
        }
        while !planted(Bug::BackOffForgotten)
            && let Some(slot) = self.backoff.take_due(now)
        {
            let last = planted(Bug::TriedAgainGoesLast);
            self.make_ready(slot, if last { Origin::New } else { Origin::GivenBack });
        }
        self.send_away();
        while let Some(parked) = self.parking.take_due(now) {
            let stolen = self.stolen(parked.worker, Vec::new());
            self.answer(parked.ticket, Answer::Stolen(stolen));
        }
        let (leases, parking) = (&self.leases, &self.parking);
        let needed = |workers: &Workers| {
            let caller = |lease: &Lease| {
                let key = workers.get(lease.worker).map(|worker| worker.who.key.clone());
                Some((key.unwrap_or_default(), lease.client?))
            };
            leases.iter().filter_map(|(_, lease)| caller(lease)).collect()
        };
        self.workers.sweep(now, needed, |worker| parking.has_worker(worker));
    }

    /// After each command: whoever can be answered now is.
    fn settle(&mut self, now: Millis) {
        // First, so that a worker that went silent is not given what was just taken from it.
        for worker in std::mem::take(&mut self.to_tell) {
            while self.workers.get(worker).is_some_and(Worker::has_news)
                && let Some(parked) = self.parking.take_worker(worker)
            {
                let stolen = self.stolen(worker, Vec::new());
                self.answer(parked.ticket, Answer::Stolen(stolen));
            }
        }
        while !planted(Bug::LostWakeUp)
            && let Some(parked) = self.next_hungry(now)
        {
            let leases = match self.is_silent(now, parked.worker) {
                true => Vec::new(),
                false => self.grant(now, parked.worker, &parked.steal),
            };
            let stolen = self.stolen(parked.worker, leases);
            self.answer(parked.ticket, Answer::Stolen(stolen));
        }
        let phase = self.phase();
        let at_rest = matches!(phase, Phase::Stuck | Phase::Finished);
        while at_rest && let Some(parked) = self.parking.take_leaving() {
            let stolen = self.stolen(parked.worker, Vec::new());
            self.answer(parked.ticket, Answer::Stolen(stolen));
        }
        self.answer_awaiting(now);
        while let Some(ticket) = self.parking.take_wait(now, at_rest) {
            self.answer(ticket, Answer::Waited { phase });
        }
    }

    /// Its machine may be gone without the connection knowing. If it lives, it asks again at once;
    /// if not, no task waits for a term in vain.
    fn is_silent(&self, now: Millis, worker: WorkerId) -> bool {
        self.workers.get(worker).is_some_and(|worker| {
            worker.who.id.is_some() && now > worker.last_seen + self.config.worker_timeout_ms
        })
    }

    fn wait(&mut self, now: Millis, ticket: Ticket, wait_ms: u64) {
        if self.parked() >= self.config.parked_requests_max {
            self.answer_busy(ticket);
        } else {
            self.parking.wait(ticket, now + wait_ms);
        }
    }

    /// Those that have their answer already keep it: whoever sends it finds that nobody is there.
    fn forget_requests(&mut self, tickets: &HashSet<Ticket>) {
        let waits = self.parking.forget_waits(tickets);
        let mut forgotten = [waits, self.awaiting.forget(tickets)].concat();
        for parked in self.parking.forget_steals(tickets) {
            forgotten.push(parked.ticket);
            // It got nothing: sent again, over another connection, it counts as new.
            if let Some(caller) = parked.caller {
                self.workers.forget_number(&caller, parked.steal.number);
            }
        }
        forgotten.into_iter().for_each(|ticket| self.answer(ticket, Answer::Forgotten));
    }

    // --- answers -----------------------------------------------------------------------------

    fn answer(&mut self, ticket: Ticket, answer: Answer) {
        self.answers.push((ticket, answer));
    }

    /// Requests that wait for something.
    fn parked(&self) -> usize {
        self.parking.len() + self.awaiting.len()
    }

    fn answer_busy(&mut self, ticket: Ticket) {
        let parked = self.parked();
        let message =
            format!("{parked} requests are parked already, which is the limit; ask again later");
        self.answer(ticket, Answer::Error { code: Code::Busy, message, names: Vec::new() });
    }

    fn stolen(&mut self, id: WorkerId, leases: Vec<Leased>) -> Stolen {
        let away = leases.is_empty() && self.is_in_the_way(id);
        if let Some(worker) = self.workers.get_mut(id).filter(|_| away) {
            worker.sent_away = self.last_turn;
            self.note_standing(id);
        }
        let lost = self.workers.take_lost(id);
        let order = self.workers.get_mut(id).map(Worker::take_order).unwrap_or_default();
        Stolen {
            leases,
            fresh: true,
            phase: self.phase(),
            not_done: self.counts.not_done(),
            lost,
            order,
            away,
        }
    }

    /// Notes that a worker lives. One that nobody has heard of is not remembered for that: only a
    /// steal makes it one to remember.
    fn see(&mut self, now: Millis, who: &Who) -> Option<WorkerId> {
        let (id, says_host) = self.workers.see(now, who)?;
        if says_host && self.workers.get(id).is_some_and(|worker| worker.stored) {
            self.changes.push(Change::Host { id, host: who.host.clone() });
        }
        Some(id)
    }

    /// Of one that steals.
    fn see_or_add(&mut self, now: Millis, who: &Who) -> Result<WorkerId, Full> {
        if let Some(id) = self.see(now, who) {
            return Ok(id);
        }
        let parking = &self.parking;
        self.workers.add(now, who, |worker| parking.has_worker(worker))
    }

    /// May who asks act for this holder: as it itself, or as the owner, who names it as it names itself?
    fn may_act(&self, who: &Who, own: Option<WorkerId>, holder: WorkerId) -> bool {
        let named = || self.workers.get(holder).is_some_and(|it| it.who.is_called(who));
        own == Some(holder) || (who.is_owner() && named())
    }

    /// A finished task in memory, as the store will have it.
    fn finished(&self, slot: Slot) -> PastTask {
        let task = self.tasks.get(slot);
        PastTask {
            id: task.id,
            state: task.state,
            definition: task.definition,
            attempt: task.attempt,
            holder: (task.holder != NONE).then_some(task.holder),
            blame: self.blame(slot),
        }
    }
}
