//! What memory lacks: finished tasks and forgotten workers, looked up before each command.
//!
//! The scheduler is pure, so whatever a command names and memory does not hold is fetched first
//! and passed in. The store answers in the hub, a model of it in the simulation.

use crate::scheduler::Scheduler;
use crate::scheduler::message::{Command, Millis, Past, PastTask, Who, WorkerId};
use crate::store::{Store, StoreError};

pub trait Archive {
    type Error;

    /// A task that memory lacks.
    fn task(&self, name: &str) -> Result<Option<PastTask>, Self::Error>;

    /// A worker that memory lacks.
    fn worker(&self, who: &Who) -> Result<Option<WorkerId>, Self::Error>;
}

impl Archive for Store {
    type Error = StoreError;

    fn task(&self, name: &str) -> Result<Option<PastTask>, StoreError> {
        self.look_up(name)
    }

    fn worker(&self, who: &Who) -> Result<Option<WorkerId>, StoreError> {
        self.find_worker(who)
    }
}

/// Hands a command to the scheduler, with what memory lacks of it.
pub fn carry_out<A: Archive>(
    scheduler: &mut Scheduler,
    archive: &A,
    now: Millis,
    command: Command,
) -> Result<(), A::Error> {
    if let Some(who) = command.who()
        && scheduler.worker_id(who).is_none()
        && let Some(id) = archive.worker(who)?
    {
        scheduler.restore_worker(now, id, who.clone());
    }
    let mut past = Past::new();
    if scheduler.has_past() {
        for name in command.names() {
            if !scheduler.holds(name)
                && let Some(task) = archive.task(name)?
            {
                past.insert(name.clone(), task);
            }
        }
    }
    scheduler.apply(now, command, &past);
    Ok(())
}
