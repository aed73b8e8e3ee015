//! Requests that may touch millions of tasks, carried out in slices between the others.
//!
//! Each slice reads at most a few hundred rows and hands the scheduler one request. A job that is
//! cut off by a stop was never answered; asking again goes on where it ended, and tells all of it if the
//! request has a token.

mod count;
mod ended;
mod export;
mod filter;
mod list;
mod retry;
mod steer;
mod sweep;
mod walk;

use crate::engine::archive::{Archive, Copied, Copying};
use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;

use count::CountJob;
use export::ExportJob;
use list::ListJob;

pub use ended::EndedJob;
pub use retry::RetryJob;
pub use steer::SteerJob;
pub use sweep::SweepJob;

/// Rows or tasks a slice; a few milliseconds.
const SLICE: usize = 1000;
/// Of names and commands; a slice ends there if its rows are large.
const SLICE_BYTES: usize = 4 * 1024 * 1024;

/// What a slice led to.
pub enum Step {
    /// More to do.
    Again,
    /// More to do, once something outside has ended.
    Later,
    /// The scheduler has to carry this out; its answer goes to `answered`.
    Apply(Body),
    /// The answer; it may leave once everything applied so far is committed.
    Done(Box<Answer>),
}

pub enum Job {
    List(Box<ListJob>),
    Export(Box<ExportJob>),
    Sweep(Box<SweepJob>),
    Count(Box<CountJob>),
    Retry(Box<RetryJob>),
    Steer(SteerJob),
    Backup(Copying),
}

impl Job {
    /// Fails, with the answer, if it cannot even begin.
    pub fn new<A: Archive>(asked: &Long, store: &A) -> Result<Self, Answer> {
        Ok(match asked {
            Long::List(list) => Job::List(Box::new(ListJob::new(list.clone()))),
            Long::Export(export) => Job::Export(Box::new(ExportJob::new(export.clone()))),
            Long::Sweep { selection, deed } => {
                Job::Sweep(Box::new(SweepJob::new(selection.clone(), *deed)))
            }
            Long::Count(selection) => Job::Count(Box::new(CountJob::new(selection.clone()))),
            Long::Retry { selection, done } => {
                Job::Retry(Box::new(RetryJob::new(selection.clone(), *done)))
            }
            Long::Steer { workers, order } => Job::Steer(SteerJob::new(workers.clone(), *order)),
            Long::Backup { to } => Job::Backup(store.copy_to(to)?),
        })
    }

    pub fn step<A: Archive>(&mut self, scheduler: &Scheduler, store: &A) -> Result<Step, A::Error> {
        match self {
            Job::List(job) => job.step(scheduler, store),
            Job::Export(job) => job.step(scheduler, store),
            Job::Sweep(job) => job.step(scheduler, store),
            Job::Count(job) => job.step(scheduler, store),
            Job::Retry(job) => job.step(scheduler, store),
            Job::Steer(job) => Ok(job.step(scheduler)),
            Job::Backup(copying) => Ok(match copying() {
                Copied::Some => Step::Again,
                Copied::Syncing => Step::Later,
                Copied::All(Ok(bytes)) => Step::Done(Box::new(Answer::BackedUp { bytes })),
                Copied::All(Err(why)) => Step::Done(Box::new(why)),
            }),
        }
    }

    /// Goes on where a copy of it was cut off.
    pub fn resume(&mut self, progress: Progress) {
        match self {
            Job::Sweep(job) => job.resume(progress),
            Job::Retry(job) => job.resume(progress),
            _ => {}
        }
    }

    /// What it has done so far, if it changes tasks.
    pub fn progress(&self) -> Option<Progress> {
        match self {
            Job::Sweep(job) => Some(job.progress()),
            Job::Retry(job) => Some(Progress { after: 0, counts: [job.retried, job.unskipped] }),
            _ => None,
        }
    }

    /// What came of the last request.
    pub fn answered(&mut self, answer: Answer) {
        match (self, answer) {
            (
                Job::Sweep(job),
                Answer::Cancelled { cancelled: touched, refused }
                | Answer::Adjusted { adjusted: touched, refused },
            ) => {
                job.touched += touched;
                job.refused.extend(refused);
            }
            (Job::Retry(job), Answer::Revived { retried, unskipped, refused }) => {
                job.retried += retried;
                job.unskipped += unskipped;
                job.refused.extend(refused);
            }
            _ => {}
        }
    }
}
