//! The loop: one thread owns everything and does one thing after the other.
//!
//! A turn: wait, take in what has arrived, let time pass, commit, answer, work a little on long
//! requests. Nothing is said before the commit that justifies it; requests that arrive together
//! share one commit. See `Server::run`.

use std::collections::VecDeque;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use dhub_proto::Message;
use dhub_proto::dwork::QueryMsg;
use dhub_proto::limits::*;
use dhub_proto::role::Role;
use dhub_proto::wire::{self, reply};
use hashbrown::HashMap;

use crate::archive;
use crate::convert::{self, Asked, Long, error};
use crate::delivery::{self, Delivery};
use crate::dwork;
use crate::frame::{Shape, is_bounded, request_id};
use crate::gate::{Denied, Gate, Security};
use crate::job::{Job, Step};
use crate::monitor::Monitor;
use crate::route::{Dialect, Route};
use crate::scheduler::message::*;
use crate::scheduler::{Config, Scheduler, State};
use crate::socket::{self, Received, Socket};
use crate::store::{Store, StoreError, unix_ms};
use crate::verb;
use crate::view;

/// Tasks skipped after one command.
const SKIPS_MAX: usize = 2_000;
/// Messages taken in before a commit.
const TURN_MESSAGES_MAX: usize = 1_000;
/// Bytes taken in before a commit: large requests should not make all others wait.
const TURN_BYTES_MAX: usize = 8 * 1024 * 1024;
/// A turn at least this often, so that a pause of the hub itself is noticed as one.
const TURN_MS_MAX: u64 = 1_000;
/// At a stop: how long requests are still answered, and without any the hub is gone sooner.
const STOP_MS_MAX: u64 = 1_000;
const STOP_QUIET_MS: u64 = 100;
/// Connections over which copies of one parked steal may be answered.
const COPIES_MAX: usize = 4;
/// How often the free space on disk is looked at.
const DISK_MS: u64 = 1_000;

/// Long requests under way at the same time.
const JOBS_MAX: usize = 1_000;
/// How often to look whether what a job waits for has ended.
const NAP_MS: u64 = 10;

/// What stops the hub.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    #[error(
        "{0}\n  nothing that was acknowledged is lost; mend the disk and start the hub again on the same file"
    )]
    Store(#[from] StoreError),
    #[error("the sockets failed: {0}")]
    Socket(#[from] zmq::Error),
}

/// From the command line.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub worker_timeout_ms: u64,
    pub lease_ms: u64,
    pub disk_reserve_bytes: u64,
}

/// Questions answered by reading: after the commit, so that they see what came before them.
enum Read {
    Hello,
    Status,
    DworkStatus,
    Show(String),
}

/// A long request under way, and all who sent it.
struct Running {
    ticket: Ticket,
    asked: Long,
    job: Job,
    askers: Vec<Route>,
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
    /// Who gets the answer: the asker, and earlier copies of a parked steal.
    routes: HashMap<Ticket, Vec<Route>>,
    last_ticket: Ticket,
    delivery: Delivery,
    reads: Vec<(Route, Read)>,
    jobs: VecDeque<Running>,
    /// Replies that leave after the next commit.
    finished: Vec<(Vec<Route>, reply::Body)>,
    /// Something is left to commit or to say: do not wait.
    busy: bool,
    /// The only job waits for something outside.
    nap: bool,
    stopping: bool,
    disk_checked: Millis,
    disk_is_full: bool,
}

impl Server {
    pub fn new(
        sockets: Vec<Socket>,
        gate: Gate,
        store: Store,
        options: Options,
        stop: Arc<AtomicBool>,
        wake: UnixStream,
    ) -> Result<Self, StoreError> {
        let scheduler = restore(&store, &options)?;
        let monitor = Monitor::new(0, scheduler.counts().of(State::Done));
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
            routes: HashMap::new(),
            last_ticket: 0,
            delivery: Delivery::default(),
            reads: Vec::new(),
            jobs: VecDeque::new(),
            finished: Vec::new(),
            busy: true,
            nap: false,
            stopping: false,
            disk_checked: 0,
            disk_is_full: false,
        })
    }

    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// Until a signal or a Shutdown. What arrived before the stop is answered.
    pub fn run(mut self) -> Result<(), Fatal> {
        self.check_disk();
        while !self.stopping {
            self.wait()?;
            self.stopping |= self.stop.load(Ordering::Relaxed);
            self.turn()?;
        }
        let until = self.now() + STOP_MS_MAX;
        while self.poll(STOP_QUIET_MS, false)? && self.now() < until {
            self.turn()?;
        }
        tracing::info!("stopping; the file is complete");
        self.store.close()?;
        Ok(())
    }

    fn turn(&mut self) -> Result<(), Fatal> {
        self.receive()?;
        self.pass_time();
        self.commit()?;
        self.answer()?;
        self.fold()?;
        self.work()
    }

    fn now(&self) -> Millis {
        self.clock.elapsed().as_millis() as Millis
    }

    /// Until something arrives or the scheduler's next deadline.
    fn wait(&mut self) -> Result<(), Fatal> {
        let now = self.now();
        let due = self.scheduler.deadline().unwrap_or(Millis::MAX).saturating_sub(now);
        let due = self.store.due().map_or(due, |fold| due.min(fold.as_millis() as Millis + 1));
        let timeout = match (self.busy, self.jobs.is_empty(), self.nap) {
            (true, _, _) | (_, false, false) => 0,
            (_, false, true) => due.min(NAP_MS),
            (_, true, _) => due.min(TURN_MS_MAX),
        };
        self.poll(timeout, true).map(drop)
    }

    /// True if a message may be there.
    fn poll(&self, timeout_ms: u64, until_signal: bool) -> Result<bool, Fatal> {
        let wake = until_signal.then_some(&self.wake);
        let inlets = self.sockets.iter().flat_map(Socket::inlets).chain([self.gate.zap()]);
        Ok(socket::wait(&inlets.collect::<Vec<_>>(), wake, timeout_ms)?)
    }

    // --- in ------------------------------------------------------------------------------------

    /// Takes in what has arrived, from all sockets in turn.
    fn receive(&mut self) -> Result<(), Fatal> {
        self.gate.serve(&self.sockets)?;
        let (mut messages, mut bytes) = (0, 0);
        let mut quiet = false;
        while !quiet && messages < TURN_MESSAGES_MAX && bytes < TURN_BYTES_MAX {
            quiet = true;
            for i in 0..self.sockets.len() {
                if let Some(report) = self.sockets[i].pull.receive(false)? {
                    quiet = false;
                    messages += 1;
                    bytes += report.bytes;
                    self.take_report(i, &report)?;
                }
                if let Some(request) = self.sockets[i].router.receive(true)? {
                    quiet = false;
                    messages += 1;
                    bytes += request.bytes;
                    self.take_request(i, request)?;
                }
            }
        }
        self.busy = !quiet;
        Ok(())
    }

    /// Identity, empty part of a REQ, request. Whatever else comes is refused, not fatal.
    fn take_request(&mut self, socket: usize, received: Received) -> Result<(), Fatal> {
        let Received { peer, user, frame, has_more, .. } = received;
        let mut route = Route { socket, peer, user, dialect: Dialect::Dwork };
        if let Err(denied) = self.gate.grant(self.sockets[socket].security, user) {
            // Nothing else is read of what it sent.
            if let Some(frame) = frame.filter(|frame| !dwork::is_dwork(frame)) {
                route.dialect = Dialect::Native { id: request_id(&frame) };
            }
            return self.deny(&route, &denied);
        }
        let Some(frame) = frame.as_deref() else {
            return self.send_dwork(&route, &dwork::error()).map(drop);
        };
        if has_more && !dwork::is_dwork(frame) {
            route.dialect = Dialect::Native { id: 0 };
            let why = error(wire::ErrorCode::ErrorInvalid, "a request has one part");
            return self.send_error(&route, why);
        }
        if has_more {
            return self.send_dwork(&route, &dwork::error()).map(drop);
        }
        if dwork::is_dwork(frame) {
            return self.take_dwork(route, frame);
        }
        if !is_bounded(frame, Shape::Native) {
            route.dialect = Dialect::Native { id: request_id(frame) };
            let why = "the request has more tasks, names or dependencies than one may have";
            return self.send_error(&route, error(wire::ErrorCode::ErrorLimit, why));
        }
        match wire::Request::decode(frame) {
            Ok(request) => {
                route.dialect = Dialect::Native { id: request.id };
                self.take_native(route, request)
            }
            Err(_) => self.send_dwork(&route, &dwork::error()).map(drop),
        }
    }

    fn take_dwork(&mut self, route: Route, frame: &[u8]) -> Result<(), Fatal> {
        if !is_bounded(frame, Shape::Dwork) {
            return self.send_dwork(&route, &dwork::error()).map(drop);
        }
        self.last_ticket += 1;
        let asked = dwork::decode(self.last_ticket, frame);
        if let Some(asked) = &asked
            && let Err(denied) = self.check(&route, Some(verb::dwork_role(asked)))
        {
            return self.deny(&route, &denied);
        }
        match asked {
            Some(dwork::Asked::Command(Command::Create { .. })) if self.disk_is_full => {
                self.send_dwork(&route, &dwork::error()).map(drop)
            }
            Some(dwork::Asked::Command(command)) => {
                self.routes.insert(self.last_ticket, vec![route]);
                self.apply(command)
            }
            Some(dwork::Asked::Status) => {
                self.reads.push((route, Read::DworkStatus));
                Ok(())
            }
            None => self.send_dwork(&route, &dwork::error()).map(drop),
        }
    }

    fn take_native(&mut self, route: Route, request: wire::Request) -> Result<(), Fatal> {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        let asked = match convert::decode(ticket, request.body) {
            Ok(asked) => asked,
            Err(why) => return self.send_error(&route, why),
        };
        if let Err(denied) = self.check(&route, verb::role(&asked)) {
            return self.deny(&route, &denied);
        }
        match asked {
            Asked::Command(Command::Create { .. }) if self.disk_is_full => {
                let why = format!(
                    "less than {} MiB are free on the disk; no new tasks until there is more",
                    self.options.disk_reserve_bytes >> 20
                );
                return self.send_error(&route, error(wire::ErrorCode::ErrorDisk, why));
            }
            Asked::Command(command) => {
                self.routes.insert(ticket, vec![route]);
                self.apply(command)?;
            }
            Asked::Heartbeat(command, load) => {
                self.routes.insert(ticket, vec![route]);
                self.apply_heartbeat(command, load)?;
            }
            Asked::Hello => self.reads.push((route, Read::Hello)),
            Asked::Status => self.reads.push((route, Read::Status)),
            Asked::Show(name) => self.reads.push((route, Read::Show(name))),
            Asked::Long(Long::Backup { .. })
                if self.sockets[route.socket].security != Security::Ipc =>
            {
                let why =
                    "a backup can be asked for over ipc only: by the hub's user, on its machine";
                return self.send_error(&route, error(wire::ErrorCode::ErrorInvalid, why));
            }
            Asked::Long(Long::Backup { to }) => {
                let to = real_path(to);
                return self.start_job(ticket, route, Long::Backup { to });
            }
            Asked::Long(asked) => return self.start_job(ticket, route, asked),
            Asked::Reload => {
                let body = match self.gate.reload() {
                    Ok(keys) => reply::Body::Reloaded(wire::Reloaded { keys: keys as u32 }),
                    Err(why) => {
                        reply::Body::Error(error(wire::ErrorCode::ErrorInvalid, why.to_string()))
                    }
                };
                self.finished.push((vec![route], body));
            }
            Asked::Shutdown => {
                self.stopping = true;
                let body = reply::Body::ShuttingDown(wire::ShuttingDown {});
                self.finished.push((vec![route], body));
            }
        }
        Ok(())
    }

    /// May that be asked by who asks?
    fn check(&self, route: &Route, role: Option<Role>) -> Result<(), Denied> {
        let security = self.sockets[route.socket].security;
        role.map_or(Ok(()), |role| self.gate.check(security, route.user, role))
    }

    fn deny(&mut self, route: &Route, denied: &Denied) -> Result<(), Fatal> {
        self.gate.requests_denied += 1;
        match route.dialect {
            Dialect::Dwork => self.send_dwork(route, &dwork::error()).map(drop),
            Dialect::Native { .. } => {
                let why = error(wire::ErrorCode::ErrorDenied, denied.to_string());
                self.send_error(route, why)
            }
        }
    }

    /// A request sent again while its job is under way joins it.
    fn start_job(&mut self, ticket: Ticket, route: Route, asked: Long) -> Result<(), Fatal> {
        if let Some(same) = self.jobs.iter_mut().find(|running| running.asked == asked) {
            same.askers.push(route);
            return Ok(());
        }
        if self.jobs.len() >= JOBS_MAX {
            let why = format!("{JOBS_MAX} long requests are under way, which is the limit");
            return self.send_error(&route, error(wire::ErrorCode::ErrorBusy, why));
        }
        match Job::new(&asked, &self.store) {
            Ok(job) => self.jobs.push_back(Running { ticket, asked, job, askers: vec![route] }),
            Err(why) => return self.send_error(&route, why),
        }
        Ok(())
    }

    /// Reports have no reply: what cannot be read is dropped.
    fn take_report(&mut self, socket: usize, received: &Received) -> Result<(), Fatal> {
        let security = self.sockets[socket].security;
        if let Err(denied) = self.gate.check(security, received.user, Role::Work) {
            self.gate.requests_denied += 1;
            tracing::debug!("a report was dropped: {denied}");
            return Ok(());
        }
        let frame = received.frame.as_deref().filter(|_| !received.has_more);
        let bounded = frame.filter(|frame| is_bounded(frame, Shape::Native));
        let report = bounded.map(wire::Report::decode);
        let heartbeat = match report {
            Some(Ok(wire::Report { body: Some(wire::report::Body::Heartbeat(it)) })) => it,
            _ => {
                tracing::debug!("a report that cannot be read was dropped");
                return Ok(());
            }
        };
        match convert::decode_heartbeat(None, heartbeat) {
            Ok((command, load)) => self.apply_heartbeat(command, load)?,
            Err(why) => tracing::debug!("a heartbeat was dropped: {}", why.message),
        }
        Ok(())
    }

    fn apply_heartbeat(&mut self, command: Command, load: convert::Load) -> Result<(), Fatal> {
        let who = command.who().cloned();
        self.apply(command)?;
        if let Some(id) = who.and_then(|who| self.scheduler.worker_id(&who)) {
            self.monitor.note_load(id, load);
        }
        Ok(())
    }

    fn apply(&mut self, command: Command) -> Result<(), Fatal> {
        let now = self.now();
        archive::carry_out(&mut self.scheduler, &self.store, now, command)?;
        Ok(())
    }

    fn pass_time(&mut self) {
        let now = self.now();
        self.scheduler.apply(now, Command::Tick, &Past::new());
        let done = self.scheduler.counts().of(State::Done);
        self.monitor.note_done(now, done);
        if now >= self.disk_checked + DISK_MS {
            self.disk_checked = now;
            self.check_disk();
            let scheduler = &self.scheduler;
            self.monitor.keep_loads(|id| scheduler.worker(id).is_some());
        }
    }

    /// Below the reserve new tasks are refused; what is there can still be finished.
    fn check_disk(&mut self) {
        let Some(file) = self.store.file() else {
            return;
        };
        let Ok(disk) = rustix::fs::statvfs(file) else {
            return;
        };
        let is_full = disk.f_bavail.saturating_mul(disk.f_frsize) < self.options.disk_reserve_bytes;
        if is_full != self.disk_is_full {
            self.disk_is_full = is_full;
            match is_full {
                true => tracing::warn!("the disk is almost full; new tasks are refused"),
                false => tracing::info!("the disk has space again; new tasks are taken"),
            }
        }
    }

    // --- out -----------------------------------------------------------------------------------

    fn commit(&mut self) -> Result<(), Fatal> {
        let changes = self.scheduler.take_changes();
        if !changes.is_empty() {
            let begin = Instant::now();
            let turn = self.store.commit(changes, self.scheduler.counts())?;
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

    /// Before reading rows: all that is committed is in them, and only there.
    fn settle(&mut self) -> Result<(), Fatal> {
        let folded = self.store.settle()?;
        self.scheduler.folded(folded);
        Ok(())
    }

    /// Everything so far is committed: it may be said now.
    fn answer(&mut self) -> Result<(), Fatal> {
        for (ticket, answer) in self.scheduler.take_answers() {
            if let Some(running) = self.jobs.iter_mut().find(|job| job.ticket == ticket) {
                running.job.answered(answer);
                continue;
            }
            let Some(routes) = self.routes.remove(&ticket) else {
                continue;
            };
            match answer {
                Answer::Joined { by } => self.join(routes, by),
                answer => {
                    let routes = self.still_in(routes)?;
                    self.answer_one(&routes, answer)?;
                }
            }
        }
        let leases = self.delivery.undelivered();
        if !leases.is_empty() {
            self.apply(Command::Undelivered { leases })?;
            self.busy = true;
        }
        for (routes, body) in std::mem::take(&mut self.finished) {
            for route in routes {
                self.send_body(&route, body.clone())?;
            }
        }
        let reads = std::mem::take(&mut self.reads);
        if reads.iter().any(|(_, read)| matches!(read, Read::Status | Read::Show(_))) {
            self.settle()?;
        }
        for (route, read) in reads {
            self.answer_read(&route, read)?;
        }
        Ok(())
    }

    /// The copy of a parked request that came last is asked for by its predecessors too.
    fn join(&mut self, mut routes: Vec<Route>, by: Ticket) {
        if let Some(copy) = self.routes.get_mut(&by) {
            routes.retain(|route| copy.iter().all(|other| other.peer != route.peer));
            copy.extend(routes);
            copy.truncate(COPIES_MAX);
        }
    }

    /// Without those whose key was taken back while they waited.
    fn still_in(&mut self, routes: Vec<Route>) -> Result<Vec<Route>, Fatal> {
        let denied =
            |route: &Route| self.gate.grant(self.sockets[route.socket].security, route.user).err();
        if routes.iter().all(|route| denied(route).is_none()) {
            return Ok(routes);
        }
        let (out, rest): (Vec<_>, Vec<_>) = routes
            .into_iter()
            .map(|route| (denied(&route), route))
            .partition(|(why, _)| why.is_some());
        for (why, route) in &out {
            why.iter().try_for_each(|why| self.deny(route, why))?;
        }
        Ok(rest.into_iter().map(|(_, route)| route).collect())
    }

    /// To all who asked; it has arrived if one of them is there.
    fn answer_one(&mut self, routes: &[Route], answer: Answer) -> Result<(), Fatal> {
        let sent = match routes {
            [] => false,
            [route, ..] if route.dialect == Dialect::Dwork => {
                match dwork::encode(&answer, &self.host, unix_ms() * 1000) {
                    Some(reply) => route.send(&self.sockets, &reply)?,
                    None => return Ok(()),
                }
            }
            [route, copies @ ..] => {
                let progress = || {
                    let counts = view::counts(self.scheduler.counts());
                    let rate = self.monitor.rate(self.now(), counts.done);
                    (counts, rate)
                };
                let Some(body) = convert::encode(&answer, progress, |id| self.store.details(id))?
                else {
                    return Ok(());
                };
                let mut sent = false;
                for copy in copies {
                    sent |= self.send_body(copy, body.clone())?;
                }
                sent | self.send_body(route, body)?
            }
        };
        if let Some(handed) = delivery::handed(&answer) {
            self.delivery.note(handed, sent);
        }
        Ok(())
    }

    fn answer_read(&mut self, route: &Route, read: Read) -> Result<(), Fatal> {
        let body = match read {
            Read::Hello => reply::Body::Welcome(self.welcome(route)),
            Read::Status => {
                let (now, hub) = (self.now(), self.about());
                let (scheduler, store, monitor) = (&self.scheduler, &self.store, &self.monitor);
                let timeout = self.options.worker_timeout_ms;
                reply::Body::Status(view::status(now, scheduler, store, monitor, hub, timeout)?)
            }
            Read::DworkStatus => {
                let status = dwork::status(self.scheduler.counts());
                return self.send_dwork(route, &status).map(drop);
            }
            Read::Show(name) => match view::show(&self.scheduler, &self.store, &name)? {
                Some(shown) => reply::Body::Shown(shown),
                None => {
                    let mut why =
                        error(wire::ErrorCode::ErrorNotFound, format!("there is no task '{name}'"));
                    why.names.push(name);
                    reply::Body::Error(why)
                }
            },
        };
        self.send_body(route, body).map(drop)
    }

    fn welcome(&self, route: &Route) -> wire::Welcome {
        wire::Welcome {
            version: dhub_proto::VERSION.into(),
            report_endpoint: self.sockets[route.socket].report.clone(),
            worker_timeout_ms: self.options.worker_timeout_ms,
            lease_ms: self.options.lease_ms,
            message_bytes_max: MESSAGE_BYTES_MAX as u32,
            batch_tasks_max: BATCH_TASKS_MAX as u32,
            steal_tasks_max: STEAL_TASKS_MAX as u32,
            wait_ms_max: WAIT_MS_MAX,
            output_bytes_max: OUTPUT_BYTES_MAX as u32,
        }
    }

    fn about(&self) -> wire::HubInfo {
        wire::HubInfo {
            version: dhub_proto::VERSION.into(),
            file: self.store.file().map(|file| file.display().to_string()).unwrap_or_default(),
            endpoints: self.sockets.iter().map(|socket| socket.endpoint.clone()).collect(),
            uptime_ms: self.monitor.uptime_ms(self.now()),
            commit_us: self.monitor.commit_us(),
            file_bytes: self.store.file_bytes(),
            insecure: self.sockets.iter().any(|socket| socket.security == Security::Plain),
            host: self.host.clone(),
            process: std::process::id(),
            handshakes_failed: self.gate.handshakes_failed,
            requests_denied: self.gate.requests_denied,
        }
    }

    /// One slice of one long request.
    fn work(&mut self) -> Result<(), Fatal> {
        let Some(mut running) = self.jobs.pop_front() else {
            return Ok(());
        };
        self.nap = false;
        self.settle()?;
        match running.job.step(running.ticket, &self.scheduler, &self.store)? {
            Step::Again => self.jobs.push_back(running),
            Step::Later => {
                self.nap = self.jobs.is_empty();
                self.jobs.push_back(running);
            }
            Step::Apply(command) => {
                self.jobs.push_back(running);
                self.apply(command)?;
            }
            Step::Done(body) => {
                self.finished.push((running.askers, *body));
                self.busy = true;
            }
        }
        Ok(())
    }

    fn send_error(&self, route: &Route, why: wire::Error) -> Result<(), Fatal> {
        self.send_body(route, reply::Body::Error(why)).map(drop)
    }

    fn send_body(&self, route: &Route, body: reply::Body) -> Result<bool, Fatal> {
        Ok(route.send_body(&self.sockets, body)?)
    }

    /// One message of the dwork dialect.
    fn send_dwork(&self, route: &Route, reply: &QueryMsg) -> Result<bool, Fatal> {
        Ok(route.send(&self.sockets, &reply.encode_to_vec())?)
    }
}

/// A scheduler with what the store has.
pub fn restore(store: &Store, options: &Options) -> Result<Scheduler, StoreError> {
    let mut scheduler = Scheduler::new(Config {
        worker_timeout_ms: options.worker_timeout_ms,
        lease_ms: options.lease_ms,
        parked_requests_max: PARKED_REQUESTS_MAX,
        needs_max: NEEDS_MAX,
        leases_bytes_max: LEASES_BYTES_MAX,
        reclaims_max: RECLAIMS_MAX,
        skips_max: SKIPS_MAX,
    });
    store.restore(0, &mut scheduler)?;
    Ok(scheduler)
}

/// One name for one file, so that two requests for the same copy are seen to be that.
fn real_path(path: PathBuf) -> PathBuf {
    let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
    match (parent, path.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => path,
    }
}
