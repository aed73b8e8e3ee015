//! Long requests under way: a turn works on one of them, for a slice.

use std::rc::Rc;

use dhub::dialect::native;
use dhub::engine::job::{Job, RetryJob, SteerJob, Step, SweepJob};
use dhub::engine::message::{Request, Tag, Ticket, Token};
use dhub::engine::told::Known;
use dhub_proto::Message;
use dhub_proto::wire::{Reply, reply};

use super::{Hub, Machine};
use crate::check::Check;
use crate::check::long::{Noted, note};
use crate::describe::Brief;
use crate::message::Ask;
use crate::note;
use crate::planted::planted;
use crate::store::Store;
use crate::tally::Met;

/// One, and all who sent it.
pub struct Running {
    pub ticket: Ticket,
    ask: Rc<Ask>,
    tag: Option<Tag>,
    pub job: Job,
    askers: Vec<Ticket>,
    noted: Rc<Noted>,
}

/// One that has its reply, for one who asked.
pub struct Finished {
    pub ticket: Ticket,
    pub tag: Option<Tag>,
    pub body: Rc<reply::Body>,
}

impl Hub {
    /// What a long request finds; one that joins another has to be content with what that found, and a
    /// copy with what those before it did.
    pub(super) fn noted(&self, ask: &Ask, tag: Option<&Tag>, store: &Store) -> Rc<Noted> {
        let is_same = |running: &&Running| *running.ask == *ask && running.tag.as_ref() == tag;
        if let Some(running) = self.jobs.iter().find(is_same) {
            return running.noted.clone();
        }
        match tag.map_or(Known::Nothing, |tag| self.told.look_up(tag)) {
            Known::Nothing => Rc::new(note(ask, &store.current, &self.scheduler, self.exits)),
            _ => Rc::default(),
        }
    }

    pub(super) fn token_of(&self, ticket: Ticket) -> Option<Token> {
        let running = self.jobs.iter().find(|running| running.ticket == ticket)?;
        running.tag.as_ref().map(|tag| tag.token)
    }

    /// Sent again while it is under way: it joins. Sent again later: it is told what was told, or goes on.
    pub(super) fn start_job(
        &mut self,
        ticket: Ticket,
        ask: Rc<Ask>,
        tag: Option<Tag>,
        at: &mut Machine,
    ) {
        let is_kin = |running: &Running| {
            std::mem::discriminant(&*running.ask) == std::mem::discriminant(&*ask)
        };
        if self.jobs.iter().any(|running| is_kin(running) && running.ask != ask) {
            at.tally.note(Met::LongTogether);
        }
        let is_same = |running: &&mut Running| {
            let is_copy = running.ask == ask && running.tag == tag;
            is_copy || (planted("joins-another") && is_kin(running))
        };
        if let Some(same) = self.jobs.iter_mut().find(is_same) {
            same.askers.push(ticket);
            return;
        }
        let mut job = match &*ask {
            Ask::Sweep { selection, deed } => {
                Job::Sweep(Box::new(SweepJob::new(selection.clone(), *deed)))
            }
            Ask::Retry { selection, done } => {
                Job::Retry(Box::new(RetryJob::new(selection.clone(), *done)))
            }
            Ask::Steer { workers, order } => Job::Steer(SteerJob::new(workers.clone(), *order)),
            Ask::Request(_) => return,
        };
        let noted = self.noted(&ask, tag.as_ref(), at.store);
        match tag.as_ref().map_or(Known::Nothing, |tag| self.told.look_up(tag)) {
            Known::Answered(body) => {
                at.tally.note(Met::CopyTold);
                let body = Reply::decode(&*body).ok().and_then(|reply| reply.body);
                let body = Rc::new(body.expect("it was a reply"));
                self.finished_jobs.push(Finished { ticket, tag, body });
                self.busy = true;
                return;
            }
            Known::UnderWay(progress) => {
                at.tally.note(Met::LongResumed);
                job.resume(progress);
            }
            Known::Nothing | Known::Another => {}
        }
        self.jobs.push_back(Running { ticket, ask, tag, job, askers: vec![ticket], noted });
    }

    /// Something of a long request is done, and not all.
    pub fn is_amid_long(&self) -> bool {
        let mut tags = self.jobs.iter().filter_map(|running| running.tag.as_ref());
        tags.any(|tag| matches!(self.told.look_up(tag), Known::UnderWay(_)))
    }

    /// One slice of one long request.
    pub fn work(&mut self, at: &mut Machine) -> Check {
        let Some(mut running) = self.jobs.pop_front() else {
            return Ok(());
        };
        self.fold(self.turn, at)?;
        match running.job.step(&self.scheduler, &at.store.tables)? {
            Step::Again | Step::Later => self.jobs.push_back(running),
            Step::Apply(body) => {
                let ticket = running.ticket;
                let request = Request { ticket, ..body.into() };
                note!(at.trace, at.clock.now(), "hub    job: {}", Brief(&request));
                let done = matches!(*running.ask, Ask::Retry { done: true, .. });
                self.jobs.push_back(running);
                self.carry_out(request, done, at)?;
                self.note_progress(ticket, at);
            }
            Step::Done(answer) => {
                let now = self.now(at);
                let body = native::told(*answer).expect("it is told something");
                if let Some(tag) = &running.tag {
                    let reply = Reply { id: 0, body: Some(body.clone()) };
                    self.told.note_reply(now, tag, &reply.encode_to_vec());
                }
                let body = Rc::new(body);
                let finished = running.askers.into_iter().map(|ticket| Finished {
                    ticket,
                    tag: running.tag.clone(),
                    body: body.clone(),
                });
                self.finished_jobs.extend(finished);
                self.busy = true;
            }
        }
        Ok(())
    }

    /// Its answer goes to the job, and how far that has come is committed with what it did.
    fn note_progress(&mut self, ticket: Ticket, at: &Machine) {
        let now = self.now(at);
        let Some(running) = self.jobs.iter_mut().find(|running| running.ticket == ticket) else {
            return;
        };
        let Some(own) = self.answered.iter().position(|(it, _)| *it == ticket) else { return };
        running.job.answered(self.answered.remove(own).1);
        if let (Some(tag), Some(progress)) = (&running.tag, running.job.progress()) {
            self.told.note_progress(now, tag, progress);
        }
    }
}
