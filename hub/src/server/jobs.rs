//! Long requests under way: a turn works on one of them, for a slice.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use dhub_proto::wire;

use super::{Fatal, Server, TURN_MS_MAX};
use crate::convert::{Long, error};
use crate::job::{EndedJob, Job, Step};
use crate::route::Route;
use crate::scheduler::message::Ticket;

/// Long requests under way at the same time.
const JOBS_MAX: usize = 1_000;
/// Spent a turn on answers to those that wait for tasks.
const WAITS_MS: u64 = 5;
/// How often to look whether what a job waits for has ended.
const NAP_MS: u64 = 10;

/// A long request under way, and all who sent it.
struct Running {
    ticket: Ticket,
    asked: Long,
    job: Job,
    askers: Vec<Route>,
}

#[derive(Default)]
pub struct Jobs {
    running: VecDeque<Running>,
    /// Waits for tasks that have their answer, once it is read. As many as were parked.
    ended: VecDeque<(Vec<Route>, EndedJob)>,
    /// The only job waits for something outside.
    nap: bool,
}

impl Jobs {
    /// How long the loop may wait.
    pub fn patience_ms(&self) -> u64 {
        match (self.running.is_empty() && self.ended.is_empty(), self.nap) {
            (true, _) => TURN_MS_MAX,
            (false, true) => NAP_MS,
            (false, false) => 0,
        }
    }

    pub fn tell_ended(&mut self, routes: Vec<Route>, job: EndedJob) {
        self.ended.push_back((routes, job));
    }

    /// The job whose command has this ticket.
    pub fn find(&mut self, ticket: Ticket) -> Option<&mut Job> {
        let running = self.running.iter_mut().find(|running| running.ticket == ticket);
        running.map(|running| &mut running.job)
    }
}

impl Server {
    /// A request sent again while its job is under way joins it.
    pub(super) fn start_job(
        &mut self,
        ticket: Ticket,
        route: Route,
        mut asked: Long,
    ) -> Result<(), Fatal> {
        if let Long::Backup { to } = &mut asked {
            *to = real_path(to);
        }
        let jobs = &mut self.jobs.running;
        if let Some(same) = jobs.iter_mut().find(|running| running.asked == asked) {
            same.askers.push(route);
            return Ok(());
        }
        if jobs.len() >= JOBS_MAX {
            let why = format!("{JOBS_MAX} long requests are under way, which is the limit");
            return self.refuse(&route, error(wire::ErrorCode::ErrorBusy, why));
        }
        match Job::new(&asked, &self.store) {
            Ok(job) => jobs.push_back(Running { ticket, asked, job, askers: vec![route] }),
            Err(why) => return self.refuse(&route, why),
        }
        Ok(())
    }

    /// One slice of one long request.
    pub(super) fn work(&mut self) -> Result<(), Fatal> {
        self.work_for_waits()?;
        let Some(mut running) = self.jobs.running.pop_front() else {
            return Ok(());
        };
        self.settle()?;
        let step = running.job.step(running.ticket, &self.scheduler, &self.store)?;
        self.jobs.nap = matches!(step, Step::Later) && self.jobs.running.is_empty();
        match step {
            Step::Again | Step::Later => self.jobs.running.push_back(running),
            Step::Apply(command) => {
                self.jobs.running.push_back(running);
                self.apply(command)?;
            }
            Step::Done(body) => {
                self.outbox.say(running.askers, *body);
                self.busy = true;
            }
        }
        Ok(())
    }
}

impl Server {
    /// Some of those that wait for tasks are told what became of them.
    fn work_for_waits(&mut self) -> Result<(), Fatal> {
        let begin = self.now();
        while let Some((routes, mut job)) = self.jobs.ended.pop_front() {
            let body = match job.is_empty() {
                true => Some(job.done(&self.scheduler)),
                false => {
                    self.settle()?;
                    job.step(&self.scheduler, &self.store)?
                }
            };
            match body {
                Some(body) => self.outbox.say(routes, body),
                None => self.jobs.ended.push_back((routes, job)),
            }
            self.busy = true;
            if self.now() > begin + WAITS_MS {
                break;
            }
        }
        Ok(())
    }
}

/// One name for one file, so that two requests for the same copy are seen to be that.
fn real_path(path: &Path) -> PathBuf {
    let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
    match (parent, path.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => path.into(),
    }
}
