//! What memory lacks: finished tasks and forgotten workers.
//!
//! The scheduler is pure, so whatever a request names and memory does not hold is fetched first
//! and passed in; long requests read rows in slices. The store answers in the hub, a model of it
//! in the simulation.

use std::path::Path;

use hashbrown::HashSet;

use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;

pub trait Archive {
    type Error;

    /// A task that memory lacks.
    fn task(&self, name: &str) -> Result<Option<PastTask>, Self::Error>;

    /// A worker that memory lacks, and its host, if it ever said one.
    fn worker(&self, who: &Who) -> Result<Option<(WorkerId, Name)>, Self::Error>;

    /// One task, whatever its state.
    fn row(&self, name: &str) -> Result<Option<TaskRow>, Self::Error>;

    fn row_by_id(&self, id: TaskId) -> Result<Option<TaskRow>, Self::Error>;

    /// Up to `most` tasks after an id.
    fn page(&self, which: Page, after: TaskId, most: usize) -> Result<Vec<TaskRow>, Self::Error>;

    /// Up to `most` of these tasks with smaller ids than `before`, the largest first.
    fn page_before(
        &self,
        which: Page,
        before: TaskId,
        most: usize,
    ) -> Result<Vec<TaskRow>, Self::Error>;

    /// Up to `most` tasks after an id, or `back` before it, whose names one of the patterns fits. Some that do not
    /// fit may be among them, and some that are not of the page.
    fn matching(
        &self,
        which: Page,
        patterns: &[Name],
        from: TaskId,
        back: bool,
        most: usize,
    ) -> Result<Matching, Self::Error>;

    /// The attempt of a task that ended last.
    fn last_attempt(&self, task: TaskId, output: bool) -> Result<Option<AttemptRow>, Self::Error>;

    /// Tasks skipped because of `blame`, with what they need, from an id on.
    fn skipped_for(
        &self,
        blame: TaskId,
        after: TaskId,
        most: usize,
    ) -> Result<Vec<(TaskId, Vec<TaskId>)>, Self::Error>;

    /// Ids of the tasks that a task needs.
    fn needs(&self, id: TaskId) -> Result<Vec<TaskId>, Self::Error>;

    /// Up to `most` attempts of a task that ended, after the one of that number, without their output.
    fn attempts_after(
        &self,
        task: TaskId,
        attempt: u32,
        most: usize,
    ) -> Result<Vec<AttemptRow>, Self::Error>;

    /// A finished task, with all that its retry needs.
    fn revived(&self, id: TaskId, dependent: bool) -> Result<Option<Revived>, Self::Error>;

    fn name(&self, id: TaskId) -> Result<String, Self::Error>;

    /// Begins a copy of all there is in a new file.
    fn copy_to(&self, to: &Path) -> Result<Copying, Answer>;
}

/// Goes on with a copy for a while, each time that it is called.
pub type Copying = Box<dyn FnMut() -> Copied>;

pub enum Copied {
    /// There is more.
    Some,
    /// All is written, and on its way to the disk.
    Syncing,
    /// So many bytes, or what to answer.
    All(Result<u64, Answer>),
}

/// Which tasks a page is of; each has an index to go along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// With the names that nobody added.
    Any,
    All,
    Open,
    /// Failed, skipped or cancelled.
    Dead(State),
}

impl Page {
    /// One in this state is on it.
    pub fn has_finished(self, state: Option<State>) -> bool {
        match self {
            Page::Any => true,
            Page::All => state != Some(State::Missing),
            Page::Open => false,
            Page::Dead(dead) => state == Some(dead),
        }
    }
}

/// Tasks whose names fit.
#[derive(Debug, Default)]
pub struct Matching {
    pub ids: Vec<TaskId>,
    /// There may be more beyond this one.
    pub upto: Option<TaskId>,
}

/// With more patterns, the caller finds those that fit one: each row is compared with each.
pub const MATCH_PATTERNS_MAX: usize = 8;

/// Hands a request to the scheduler, with what memory lacks of it.
pub fn carry_out<A: Archive>(
    scheduler: &mut Scheduler,
    archive: &A,
    now: Millis,
    request: Request,
) -> Result<(), A::Error> {
    if let Some(who) = request.worker()
        && scheduler.worker_id(who).is_none()
        && let Some((id, host)) = archive.worker(who)?
    {
        scheduler.restore_worker(now, id, Who { host, ..who.clone() });
    }
    let mut past = Past::new();
    if scheduler.has_past() {
        // Thousands of tasks may need the same finished one, or the same missing one.
        let mut looked_up: HashSet<&Name> = HashSet::new();
        for name in request.body.names() {
            if !scheduler.holds(name)
                && looked_up.insert(name)
                && let Some(task) = archive.task(name)?
            {
                past.insert(name.clone(), task);
            }
        }
    }
    scheduler.apply(now, request, &past);
    Ok(())
}
