//! Long requests under way: a turn works on one of them, for a slice. Those of the owner and those of
//! all other keys alternate, and of the others each key has its turn.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dhub_proto::limits::LONG_REQUESTS_MAX;
use dhub_proto::wire;

use super::{Fatal, Server, TURN_MS_MAX};
use crate::dialect::native::envelope::Envelope;
use crate::dialect::native::{self, error};
use crate::engine::job::{EndedJob, Job, Step};
use crate::engine::message::{Answer, Long, Request, Tag, Ticket, User};
use crate::engine::quota::Amount;
use crate::engine::told::Known;
use crate::engine::turns::Turns;
use crate::net::route::Route;

/// Long requests of one key that are worked on in turn; the others wait until one of these is done, and
/// hold nothing but what they ask.
const BEGUN_MAX: usize = 4;
/// Spent a turn on answers to those that wait for tasks.
const WAITS_TIME: Duration = Duration::from_millis(5);
/// How often to look whether what a job waits for has ended.
const NAP_MS: u64 = 10;

/// A long request under way, and all who sent it. One that only reads ends with the last of them; one
/// that changes something goes on, for its client may be about to send it again: those that are gone
/// stay with it, since what they claimed is still taken.
pub struct Running {
    ticket: Ticket,
    pub asked: Long,
    tag: Option<Box<Tag>>,
    /// None: it has not begun.
    job: Option<Job>,
    pub askers: Vec<Route>,
}

/// A wait for tasks that has its answer, once it is read.
pub struct Ended {
    pub routes: Vec<Route>,
    job: EndedJob,
}

#[derive(Default)]
pub struct Jobs {
    pub running: Turns<Running>,
    /// As many as were parked.
    pub ended: Turns<Ended>,
    /// The only job waits for something outside.
    nap: bool,
}

impl Jobs {
    /// How long the loop may wait; guests rest so long.
    pub fn patience_ms(&self, rest_ms: u64) -> u64 {
        let (running, ended) = (&self.running, &self.ended);
        match (running.is_empty() && ended.is_empty(), self.nap) {
            (true, _) => TURN_MS_MAX,
            (false, true) => NAP_MS,
            (false, false) if running.is_only_guests() && ended.is_only_guests() => rest_ms,
            (false, false) => 0,
        }
    }

    pub fn has_guests(&self) -> bool {
        self.running.has_guests() || self.ended.has_guests()
    }

    pub fn tell_ended(&mut self, routes: Vec<Route>, job: EndedJob) {
        // Nobody is there any more.
        if let Some(route) = routes.first() {
            self.ended.push(route.guest, Ended { routes, job });
        }
    }
}

impl Server {
    /// A request sent again while its job is under way joins it. It takes the place of one that came over
    /// the same connection, or over one that is gone; whatever else joins counts as if it were another.
    pub(super) fn start_job(
        &mut self,
        ticket: Ticket,
        mut route: Route,
        mut asked: Long,
    ) -> Result<(), Fatal> {
        if let Long::Backup { to } = &mut asked {
            *to = real_path(to);
        }
        let guest = route.guest;
        let (running, sockets) = (&mut self.jobs.running, &mut self.sockets);
        let tag = route.tag.clone();
        let is_same = |it: &&mut Running| it.asked == asked && it.tag == tag;
        let same = running.of(guest).find(is_same);
        let askers = same.map_or(&mut [][..], |same| &mut same.askers);
        let equal = askers.len();
        let stale = askers.iter_mut().find(|it| route.is_repeat_of(it) || !it.is_there(sockets));
        if let Some(stale) = stale {
            route.claim = stale.claim.take();
            *stale = route;
            return Ok(());
        }
        if self.jobs.running.len().max(equal) >= LONG_REQUESTS_MAX {
            let why =
                format!("{LONG_REQUESTS_MAX} long requests are under way, which is the limit");
            return self.refuse(&route, error(wire::ErrorCode::ErrorBusy, why));
        }
        let amount = Amount { long: 1, long_bytes: asked.bytes(), ..Amount::default() };
        if let Err(why) = self.claim(&mut route, amount) {
            return self.refuse(&route, why);
        }
        if let Some(Known::Answered(body)) = tag.as_ref().map(|tag| self.told.look_up(tag)) {
            self.outbox.say(vec![route], Envelope::of(&body));
            return Ok(());
        }
        let same = self.jobs.running.of(guest).find(is_same);
        if let Some(same) = same {
            same.askers.push(route);
            return Ok(());
        }
        let running = Running { ticket, asked, tag, job: None, askers: vec![route] };
        self.jobs.running.push(guest, running);
        Ok(())
    }

    /// One slice of one long request.
    pub(super) fn work(&mut self) -> Result<(), Fatal> {
        self.work_for_waits()?;
        let begin = Instant::now();
        let rest = self.guests_rest(begin);
        let Some((guest, mut running)) = self.jobs.running.pop(rest) else {
            return Ok(());
        };
        if running.asked.is_reading() {
            running.askers.retain(|route| route.is_there(&mut self.sockets));
            if running.askers.is_empty() {
                return Ok(());
            }
        }
        let begun = running.job.take().map_or_else(|| self.begin(&running), Ok);
        let job = match begun {
            Ok(job) => running.job.insert(job),
            Err(why) => {
                self.tell(running.askers, why);
                return Ok(());
            }
        };
        self.settle()?;
        let step = job.step(&self.scheduler, &self.store)?;
        if let Some(guest) = guest {
            self.share.spent_by(guest, begin, Instant::now());
        }
        self.jobs.nap = matches!(step, Step::Later) && self.jobs.running.is_empty();
        match step {
            Step::Again | Step::Later => self.put_back(guest, running),
            Step::Apply(body) => {
                self.apply(Request { ticket: running.ticket, ..body.into() })?;
                let (answer, now) = (self.scheduler.take_answer(running.ticket), self.now());
                if let (Some(job), Some(answer)) = (&mut running.job, answer) {
                    job.answered(answer);
                    if let (Some(tag), Some(progress)) = (&running.tag, job.progress()) {
                        self.told.note_progress(now, tag, progress);
                    }
                }
                self.put_back(guest, running);
            }
            Step::Done(answer) => {
                let is_kept = !answer.is_refusal();
                let Some(reply) = native::told(*answer).map(Envelope::new) else { return Ok(()) };
                if let Some(tag) = running.tag.as_ref().filter(|_| is_kept) {
                    let now = self.now();
                    self.told.note_reply(now, tag, reply.reply());
                }
                self.outbox.say(running.askers, reply);
                self.busy = true;
            }
        }
        Ok(())
    }

    /// Where a copy of it was when the hub was killed, if there was one.
    fn begin(&self, running: &Running) -> Result<Job, Answer> {
        let mut job = Job::new(&running.asked, &self.store)?;
        let known = running.tag.as_ref().map(|tag| self.told.look_up(tag));
        if let Some(Known::UnderWay(progress)) = known {
            job.resume(progress);
        }
        Ok(job)
    }

    fn tell(&mut self, routes: Vec<Route>, answer: Answer) {
        if let Some(body) = native::told(answer) {
            self.outbox.say(routes, Envelope::new(body));
            self.busy = true;
        }
    }

    fn put_back(&mut self, guest: Option<User>, running: Running) {
        let after = if guest.is_some() { BEGUN_MAX - 1 } else { usize::MAX };
        self.jobs.running.insert(guest, running, after);
    }
}

impl Server {
    /// Nothing is read for guests now: they have had their share, or have not been told yet what was read
    /// for them.
    fn guests_rest(&self, now: Instant) -> bool {
        self.share.rest(now).is_some() || self.outbox.has_to_tell_guests()
    }

    /// Some of those that wait for tasks are told what became of them: one of a key after the other, so
    /// that few pages are in memory.
    fn work_for_waits(&mut self) -> Result<(), Fatal> {
        let begin = Instant::now();
        loop {
            let now = Instant::now();
            let rest = self.guests_rest(now);
            let Some((guest, mut ended)) = self.jobs.ended.pop(rest) else {
                return Ok(());
            };
            ended.routes.retain(|route| route.is_there(&mut self.sockets));
            if ended.routes.is_empty() {
                continue;
            }
            let body = match ended.job.is_empty() {
                true => Some(ended.job.done(&self.scheduler)),
                false => {
                    self.settle()?;
                    ended.job.step(&self.scheduler, &self.store)?
                }
            };
            match body {
                Some(answer) => self.tell(ended.routes, answer),
                None => self.jobs.ended.insert(guest, ended, 0),
            }
            // What is said leaves in the next turn.
            self.busy = true;
            if let Some(guest) = guest {
                self.share.spent_by(guest, now, Instant::now());
            }
            if begin.elapsed() > WAITS_TIME {
                return Ok(());
            }
        }
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
