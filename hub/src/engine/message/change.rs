//! What has to be stored.

use super::*;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Done = 1,
    Failed = 2,
    Reclaimed = 3,
    Cancelled = 4,
}

impl Ended {
    /// As the tables have it.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Done, Self::Failed, Self::Reclaimed, Self::Cancelled]
            .into_iter()
            .find(|how| *how as u8 == number)
    }
}

/// What has to be stored before the answers may leave. In order.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A new task, or the task for a name that was missing.
    Added {
        id: TaskId,
        task: Box<NewTask>,
        needs: Vec<TaskId>,
        adopted: bool,
    },
    /// A name that a task depends on and nobody added.
    Missing {
        id: TaskId,
        name: Name,
    },
    /// Further dependencies of a task.
    Needs {
        task: TaskId,
        needs: Vec<TaskId>,
    },
    Worker {
        id: WorkerId,
        who: Who,
    },
    /// A worker says now which machine it runs on.
    Host {
        id: WorkerId,
        host: Name,
    },
    Leased {
        task: TaskId,
        attempt: u32,
        worker: WorkerId,
        client: Option<ClientId>,
        number: u64,
        term_ms: u64,
    },
    /// The lease is over; the task is open again.
    Back {
        task: TaskId,
        attempt: u32,
        failures: u32,
        reclaims: u32,
    },
    /// An attempt ended; written once, but for an outcome that follows a reclaim.
    Ended {
        task: TaskId,
        attempt: u32,
        worker: WorkerId,
        how: Ended,
        report: Report,
    },
    /// The task is finished; its lease is over.
    Finished {
        task: TaskId,
        state: State,
        attempt: u32,
        failures: u32,
        reclaims: u32,
        blame: TaskId,
    },
    /// A person runs it again.
    Reopened {
        task: TaskId,
    },
    /// Another failed task now keeps this skipped one from running.
    Blamed {
        task: TaskId,
        blame: TaskId,
    },
    /// A person wants it so.
    Adjusted {
        task: TaskId,
        held: bool,
        priority: i32,
    },
    /// Whose a worker is.
    Key {
        id: WorkerId,
        key: Name,
    },
    /// What a request has done so far, that may be sent again; with the reply if it has one.
    Told {
        number: u64,
        tag: Tag,
        progress: Progress,
        reply: Option<Box<[u8]>>,
    },
    /// Not kept any longer.
    Untold {
        number: u64,
    },
}
