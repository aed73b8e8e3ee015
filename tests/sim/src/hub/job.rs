//! Long requests under way: a turn works on one of them, for a slice.

use std::rc::Rc;

use dhub::job::{Job, RetryJob, SteerJob, Step, SweepJob};
use dhub::planted::{Bug, planted};
use dhub::scheduler::message::Ticket;

use super::{Hub, Machine};
use crate::check::Check;
use crate::check::long::{Noted, note};
use crate::describe::Brief;
use crate::message::Ask;
use crate::note;
use crate::store::Store;
use crate::tally::Met;

/// One, and all who sent it.
pub struct Running {
    pub ticket: Ticket,
    ask: Rc<Ask>,
    pub job: Job,
    askers: Vec<Ticket>,
    noted: Rc<Noted>,
}

impl Hub {
    /// What a long request finds; one that joins another has to be content with what that found.
    pub(super) fn noted(&self, ask: &Ask, store: &Store) -> Rc<Noted> {
        match self.jobs.iter().find(|running| *running.ask == *ask) {
            Some(running) => running.noted.clone(),
            None => Rc::new(note(ask, &store.current, &self.scheduler, self.exits)),
        }
    }

    /// Sent again while it is under way: it joins.
    pub(super) fn start_job(&mut self, ticket: Ticket, ask: Rc<Ask>, at: &mut Machine) {
        let is_kin = |running: &Running| {
            std::mem::discriminant(&*running.ask) == std::mem::discriminant(&*ask)
        };
        if self.jobs.iter().any(|running| is_kin(running) && running.ask != ask) {
            at.tally.note(Met::LongTogether);
        }
        let is_same = |running: &&mut Running| {
            running.ask == ask || (planted(Bug::JoinsAnother) && is_kin(running))
        };
        if let Some(same) = self.jobs.iter_mut().find(is_same) {
            same.askers.push(ticket);
            return;
        }
        let job = match &*ask {
            Ask::Sweep { selection, deed } => {
                Job::Sweep(Box::new(SweepJob::new(selection.clone(), *deed)))
            }
            Ask::Retry { selection, done } => {
                Job::Retry(Box::new(RetryJob::new(selection.clone(), *done)))
            }
            Ask::Steer { workers, order } => Job::Steer(SteerJob::new(workers.clone(), *order)),
            Ask::Command(_) => return,
        };
        let noted = self.noted(&ask, at.store);
        self.jobs.push_back(Running { ticket, ask, job, askers: vec![ticket], noted });
    }

    /// One slice of one long request.
    pub fn work(&mut self, at: &mut Machine) -> Check {
        let Some(mut running) = self.jobs.pop_front() else {
            return Ok(());
        };
        self.fold(self.turn, at)?;
        match running.job.step(running.ticket, &self.scheduler, &at.store.tables)? {
            Step::Again | Step::Later => self.jobs.push_back(running),
            Step::Apply(command) => {
                note!(at.trace, at.clock.now(), "hub    job: {}", Brief(&command));
                let done = matches!(*running.ask, Ask::Retry { done: true, .. });
                let ticket = running.ticket;
                self.jobs.push_back(running);
                self.carry_out(command, Some(ticket), done, at)?;
            }
            Step::Done(_) => {
                self.finished_jobs.extend(running.askers);
                self.busy = true;
            }
        }
        Ok(())
    }
}
