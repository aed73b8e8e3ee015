//! The loop: one thread owns everything and does one thing after the other.
//!
//! A turn: wait, take in what has arrived, let time pass, commit, answer, work a little on long
//! requests. Nothing is said before the commit that justifies it; requests that arrive together
//! share one commit. See `Server::run`.

mod fatal;
mod inbox;
mod jobs;
mod outbox;
mod read;
mod reserve;
mod rest;
mod share;
mod start;
mod sweep;

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use self::jobs::Jobs;
use self::outbox::Outbox;
use self::reserve::Reserve;
use self::share::Share;
use crate::engine::message::User;
use crate::engine::message::*;
use crate::engine::quota::RequestQuotas;
use crate::engine::scheduler::{Scheduler, State};
use crate::engine::told::Told;
use crate::engine::{archive, keyname};
use crate::heap::Heap;
use crate::net::descriptors::{Descriptors, Shortage};
use crate::net::gate::Gate;
use crate::net::leaving::Leaving;
use crate::net::socket;
use crate::net::socket::Socket;
use crate::report::monitor::Monitor;
use crate::server::fatal::or_gone;
use crate::server::start::{mark_keys, prepare};
use crate::store::Store;

pub use fatal::Fatal;
pub use start::restore;

/// A turn at least this often, so that a pause of the hub itself is noticed as one.
const TURN_MS_MAX: u64 = 1_000;

/// At a stop: how long requests are still answered, and without any the hub is gone sooner.
const STOP_MS_MAX: u64 = 1_000;

const STOP_QUIET_MS: u64 = 100;

/// How often the free space on disk is looked at, and what is known of workers that are gone dropped.
const CHECK_MS: u64 = 1_000;

/// How often it is looked whether the keys are others, and whether the sockets are there.
const LOOK_MS: u64 = 500;

/// From the command line.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub worker_timeout_ms: u64,
    pub lease_ms: u64,
    pub retry_delay_ms: u64,
    pub inherit_priority: bool,
    pub disk_reserve_bytes: u64,
    pub descriptors: Descriptors,
}

pub struct Server {
    sockets: Vec<Socket>,
    gate: Gate,
    scheduler: Scheduler,
    store: Store,
    monitor: Monitor,
    options: Options,
    clock: Instant,
    host: String,
    stop: Arc<AtomicBool>,
    /// Readable when a signal has come.
    wake: UnixStream,
    last_ticket: Ticket,
    outbox: Outbox,
    jobs: Jobs,
    quotas: RequestQuotas,
    leaving: Leaving,
    share: Share,
    disk: Reserve,
    told: Told,
    shortage: Shortage,
    heap: Heap,
    is_crowded: bool,
    checked: Millis,
    looked: Millis,
    /// When those that are gone were looked for; None: at once.
    swept: Option<Millis>,
    /// How far they were, of those that wait.
    swept_upto: Ticket,
    /// Something is left to commit or to say: do not wait.
    busy: bool,
    stopping: bool,
    upgraded: Option<i64>,
}

impl Server {
    pub fn new(
        sockets: Vec<Socket>,
        gate: Gate,
        mut store: Store,
        options: Options,
        stop: Arc<AtomicBool>,
        wake: UnixStream,
    ) -> Result<Self, Fatal> {
        let mut scheduler =
            restore(&store, &options).map_err(|error| or_gone(&mut store, error))?;
        mark_keys(&mut scheduler, &gate);
        // Of those that were taken back meanwhile.
        let keys = scheduler.keys().into_iter().filter(|key| !gate.lets_in(key));
        let keys: Vec<Name> = keys.collect();
        scheduler.apply(0, Body::Revoked { keys }.into(), &Past::new());
        // One that cannot be read stays as it is.
        let upgraded = prepare(&mut store, &stop).map_err(|error| or_gone(&mut store, error))?;
        let told = store.told().unwrap_or_else(|why| {
            tracing::warn!(
                "what earlier requests were told is lost, and copies of them count anew: {why}"
            );
            Vec::new()
        });
        let told = Told::new(0, told);
        let monitor = Monitor::new(0, scheduler.counts().of(State::Done));
        scheduler.set_places(options.descriptors.workers_max().unwrap_or(usize::MAX));
        let shortage = Shortage::new(options.descriptors);
        let disk = Reserve::new(options.disk_reserve_bytes);
        Ok(Self {
            sockets,
            gate,
            scheduler,
            store,
            monitor,
            options,
            clock: Instant::now(),
            host: dhub_proto::host_name(),
            stop,
            wake,
            last_ticket: 0,
            outbox: Outbox::default(),
            jobs: Jobs::default(),
            quotas: RequestQuotas::default(),
            leaving: Leaving::default(),
            share: Share::default(),
            disk,
            told,
            shortage,
            heap: Heap::default(),
            is_crowded: false,
            checked: 0,
            looked: 0,
            swept: Some(0),
            swept_upto: 0,
            busy: true,
            stopping: false,
            upgraded,
        })
    }

    /// The version that the file had, if it was an older one.
    pub fn upgraded(&self) -> Option<i64> {
        self.upgraded
    }

    /// Are the files still those that were opened?
    pub fn look_at_files(&mut self) -> Result<(), Fatal> {
        self.store.look_now().map_err(|error| or_gone(&mut self.store, error))
    }

    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// Until a signal or a Shutdown. If the store fails since its files are gone, what it has is saved.
    /// `withdraw` is called when all has gone well, while no other hub can have the file.
    pub fn run(mut self, withdraw: impl FnOnce()) -> Result<(), Fatal> {
        // The start has gone well.
        self.store.keep();
        let ended = self.serve().and_then(|()| {
            tracing::info!("stopping; the file is complete");
            self.store.finish()?;
            withdraw();
            Ok(())
        });
        match ended {
            Err(Fatal::Store(error)) => Err(or_gone(&mut self.store, error)),
            ended => ended,
        }
    }

    /// What arrived before the stop is answered.
    fn serve(&mut self) -> Result<(), Fatal> {
        self.disk.check(self.store.file());
        while !self.stopping {
            self.wait()?;
            self.stopping |= self.stop.load(Ordering::Relaxed);
            self.turn()?;
        }
        self.wake_guests();
        let until = self.now() + STOP_MS_MAX;
        loop {
            let has_more = self.busy || !self.outbox.questions.is_empty();
            let quiet_ms = if has_more { 0 } else { STOP_QUIET_MS };
            if self.now() >= until || !self.poll(quiet_ms, false)? && !has_more {
                break;
            }
            self.turn()?;
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<(), Fatal> {
        // First: what comes after a key was taken back is not let in by it.
        self.look_around()?;
        self.receive()?;
        self.pass_time();
        // Before anything more is acknowledged.
        self.store.look()?;
        self.commit()?;
        self.answer()?;
        self.sweep()?;
        self.fold()?;
        self.work()
    }

    /// Until something arrives or the scheduler's next deadline.
    fn wait(&mut self) -> Result<(), Fatal> {
        let now = self.now();
        let due = self.scheduler.deadline().unwrap_or(Millis::MAX).saturating_sub(now);
        let due = self.store.due().map_or(due, |fold| due.min(fold.as_millis() as Millis + 1));
        let timeout = match (self.busy, self.is_crowded) {
            (true, _) => 0,
            (false, false) => self.patience_ms().min(due),
            (false, true) => self.patience_ms().min(due).min(crate::net::descriptors::LOOK_MS),
        };
        self.poll(timeout, true).map(drop)
    }

    /// How long what is left to read can wait.
    fn patience_ms(&self) -> u64 {
        let rest = self.share.rest(Instant::now());
        let rest_ms = rest.map_or(0, |rest| rest.as_millis() as u64 + 1);
        let patience = self.jobs.patience_ms(rest_ms);
        let is_waited_for = !self.outbox.questions.is_empty() || self.share.has_resting();
        if is_waited_for { patience.min(rest_ms) } else { patience }
    }

    /// True if a message may be there.
    fn poll(&self, timeout_ms: u64, until_signal: bool) -> Result<bool, Fatal> {
        let wake = until_signal.then_some(&self.wake);
        let inlets = self.sockets.iter().flat_map(Socket::inlets).chain([self.gate.zap()]);
        Ok(socket::wait(&inlets.collect::<Vec<_>>(), wake, timeout_ms)?)
    }

    fn look_around(&mut self) -> Result<(), Fatal> {
        let now = self.now();
        if now >= self.looked + LOOK_MS {
            self.looked = now;
            self.sockets.iter_mut().for_each(Socket::look);
            if let Some(keys) = self.gate.look() {
                self.take_back(&keys.revoked)?;
            }
        }
        Ok(())
    }

    /// These keys are not let in any more; what their workers hold goes to others.
    fn take_back(&mut self, users: &[User]) -> Result<(), Fatal> {
        if users.is_empty() {
            return Ok(());
        }
        let now = self.now();
        users.iter().for_each(|&user| self.leaving.add(user, now));
        let keys: Vec<&str> = users.iter().map(|&user| self.gate.marked(user)).collect();
        let names: Vec<&str> = keys.iter().map(|key| keyname::shown(key)).collect();
        tracing::info!("taken back: {}", names.join(", "));
        self.swept = None;
        let keys = keys.into_iter().map(Name::from).collect();
        self.apply(Body::Revoked { keys })
    }

    fn pass_time(&mut self) {
        let now = self.now();
        let wanted = zmq_sys::zmq_connections_crowded_out() + self.gate.crowded;
        self.is_crowded = self.shortage.look(now, wanted);
        self.scheduler.set_crowded(self.is_crowded);
        self.scheduler.apply(now, Body::Tick.into(), &Past::new());
        self.shortage.note_kept(now, self.scheduler.workers_kept());
        let done = self.scheduler.counts().of(State::Done);
        self.monitor.note_done(now, done);
        if now >= self.checked + CHECK_MS {
            self.checked = now;
            self.disk.check(self.store.file());
            self.heap.look(self.scheduler.counts().unfinished(), !self.busy);
            self.told.forget_old(now);
            let scheduler = &self.scheduler;
            self.monitor.keep_loads(|id| scheduler.worker(id).is_some());
        }
    }

    fn commit(&mut self) -> Result<(), Fatal> {
        let mut changes = self.scheduler.take_changes();
        changes.extend(self.told.take_changes());
        if !changes.is_empty() {
            let begin = Instant::now();
            let turn = self.store.commit(changes, &self.scheduler.stored_counts())?;
            self.scheduler.committed(turn);
            self.monitor.note_commit(begin.elapsed().as_micros() as u64);
        }
        Ok(())
    }

    /// What the tables have by now need not be in memory.
    fn fold(&mut self) -> Result<(), Fatal> {
        let folded = self.store.fold()?;
        self.scheduler.folded(folded);
        Ok(())
    }

    fn apply(&mut self, request: impl Into<Request>) -> Result<(), Fatal> {
        let now = self.now();
        archive::carry_out(&mut self.scheduler, &self.store, now, request.into())?;
        Ok(())
    }

    /// Before reading rows: all that is committed is in them, and only there.
    fn settle(&mut self) -> Result<(), Fatal> {
        let folded = self.store.settle()?;
        self.scheduler.folded(folded);
        Ok(())
    }

    fn now(&self) -> Millis {
        self.clock.elapsed().as_millis() as Millis
    }
}
