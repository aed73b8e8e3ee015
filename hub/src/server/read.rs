//! Questions answered by reading: after the commit, so that they see what came before them. Each key has
//! its turn, and a flood of questions waits instead of holding up what else arrives.

use std::time::{Duration, Instant};

use dhub_proto::limits::*;
use dhub_proto::wire::{self, reply};

use super::{Fatal, Server};
use crate::dialect::dwork;
use crate::dialect::native::error;
use crate::engine::message::{Load, Request, User, WorkerId};
use crate::engine::quota::{Amount, Claim};
use crate::engine::turns::Turns;
use crate::net::route::Route;
use crate::net::security::Security;
use crate::report::roster::Roster;
use crate::report::view;

/// Spent a turn on questions, about; one is answered always.
const QUESTIONS_TIME: Duration = Duration::from_millis(10);

pub enum Read {
    Status,
    DworkStatus,
    Show(String),
    Workers { limit: usize, after: WorkerId },
}

impl Read {
    /// Whether rows are read.
    fn needs_rows(&self) -> bool {
        matches!(self, Read::Status | Read::Show(_))
    }
}

/// What can be answered only after some reading.
enum Question {
    Read(Route, Read),
    /// A guest's Wait for tasks, or another request that takes long, of a heartbeat with what it says of its
    /// worker. It is owed an answer.
    Request(Request, Option<Load>),
    /// A guest's heartbeat with thousands of names, to which there is no answer.
    Report {
        user: User,
        _claim: Option<Claim>,
        request: Request,
        load: Load,
    },
}

#[derive(Default)]
pub struct Questions(Turns<Question>);

impl Questions {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Server {
    pub(super) fn read(&mut self, mut route: Route, read: Read) -> Result<(), Fatal> {
        if let Err(why) = self.claim(&mut route, Amount::QUESTION) {
            return self.refuse(&route, why);
        }
        let guest = route.guest;
        self.outbox.questions.0.push(guest, Question::Read(route, read));
        Ok(())
    }

    /// Carried out in the turn of its key.
    pub(super) fn put_off(&mut self, route: Route, request: Request, load: Option<Load>) {
        let guest = route.guest;
        self.outbox.owe(request.ticket, route);
        self.outbox.questions.0.push(guest, Question::Request(request, load));
    }

    pub(super) fn put_off_report(
        &mut self,
        user: User,
        claim: Option<Claim>,
        request: Request,
        load: Load,
    ) {
        let report = Question::Report { user, _claim: claim, request, load };
        self.outbox.questions.0.push(Some(user), report);
    }

    /// All of the owner's; of the others' some, and the rest in the next turns.
    pub(super) fn answer_questions(&mut self) -> Result<(), Fatal> {
        while let Some(question) = self.outbox.questions.0.pop_owner() {
            self.answer_question(question)?;
        }
        let begin = Instant::now();
        while self.share.rest(begin).is_none()
            && begin.elapsed() < QUESTIONS_TIME
            && let Some((guest, question)) = self.outbox.questions.0.pop_guest()
        {
            let is_request = !matches!(question, Question::Read(..));
            let asked = Instant::now();
            self.answer_question(question)?;
            self.share.charge(guest, asked, Instant::now());
            // What it changed has to be committed before anybody hears of it.
            if is_request {
                self.busy = true;
                break;
            }
        }
        let now = Instant::now();
        if self.share.rest(now).is_none() {
            self.share.spent(begin, now);
        }
        Ok(())
    }

    fn answer_question(&mut self, question: Question) -> Result<(), Fatal> {
        match question {
            Question::Read(route, read) => {
                if !route.is_there(&mut self.sockets) {
                    return Ok(());
                }
                let security = self.sockets[route.socket].security;
                if let Err(denied) = self.gate.grant(security, route.user) {
                    return self.deny(&route, &denied);
                }
                if read.needs_rows() {
                    self.settle()?;
                }
                self.answer_read(&route, read)
            }
            Question::Request(request, load) => {
                match (self.outbox.is_awaited(request.ticket, &mut self.sockets), load) {
                    (true, Some(load)) => self.apply_heartbeat(request, load),
                    (true, None) => self.apply_once(request),
                    (false, _) => Ok(()),
                }
            }
            Question::Report { user, request, load, .. } => {
                match self.gate.grant(Security::Curve, Some(user)) {
                    Ok(_) => self.apply_heartbeat(request, load),
                    // Its key was taken back meanwhile.
                    Err(_) => Ok(()),
                }
            }
        }
    }

    fn answer_read(&self, route: &Route, read: Read) -> Result<(), Fatal> {
        let body = match read {
            Read::Status => {
                reply::Body::Status(view::status(&self.roster(), &self.store, self.about())?)
            }
            Read::DworkStatus => {
                return self.send_dwork(route, &dwork::status(self.scheduler.counts()));
            }
            Read::Workers { limit, after } => {
                reply::Body::Workers(self.roster().page(limit, after))
            }
            Read::Show(name) => match view::show(&self.roster(), &self.store, &name)? {
                Some(shown) => reply::Body::Shown(shown),
                None => {
                    let mut why =
                        error(wire::ErrorCode::ErrorNotFound, format!("there is no task '{name}'"));
                    why.names.push(name);
                    reply::Body::Error(why)
                }
            },
        };
        self.send(route, body).map(drop)
    }

    fn roster(&self) -> Roster<'_> {
        Roster {
            now: self.now(),
            scheduler: &self.scheduler,
            monitor: &self.monitor,
            worker_timeout_ms: self.options.worker_timeout_ms,
        }
    }

    pub(super) fn welcome(&self, route: &Route) -> wire::Welcome {
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
            file: self
                .store
                .real()
                .or(self.store.file())
                .map(|file| file.display().to_string())
                .unwrap_or_default(),
            endpoints: self.sockets.iter().map(|socket| socket.endpoint.clone()).collect(),
            uptime_ms: self.monitor.uptime_ms(self.now()),
            commit_us: self.monitor.commit_us(),
            file_bytes: self.store.file_bytes(),
            insecure: self.sockets.iter().any(|socket| socket.security == Security::Plain),
            host: self.host.clone(),
            process: std::process::id(),
            handshakes_failed: self.gate.handshakes_failed,
            requests_denied: self.gate.requests_denied,
            long_requests: self.jobs.running.len() as u64,
            parked: self.outbox.owed.len() as u64,
            connections_refused: zmq_sys::zmq_connections_crowded_out() + self.gate.crowded_out,
            workers_max: self.options.descriptors.workers_max().map_or(0, |most| most as u64),
            workers_kept: self.scheduler.workers_kept() as u64,
        }
    }
}
