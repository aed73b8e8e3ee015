//! What may be said once the changes are stored.

use std::borrow::Cow;

use super::*;

/// How long a worker that holds nothing should leave its connection to others.
pub const AWAY_MS: Millis = 1_000;

/// Why one item of a request, or all of it, is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Limit,
    NotFound,
    Conflict,
    Cycle,
    Stale,
    State,
    Busy,
    Invalid,
    Damaged,
    Disk,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    pub name: Name,
    pub attempt: u32,
    pub code: Code,
    pub message: Cow<'static, str>,
}

/// Of a selection of millions, millions may be refused: the first are told, the rest counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refusals {
    pub first: Vec<Refused>,
    pub total: u64,
}

/// Refusals that are told one by one.
const REFUSALS_MAX: usize = 1000;

impl From<Vec<Refused>> for Refusals {
    fn from(all: Vec<Refused>) -> Self {
        Self { total: all.len() as u64, first: all }
    }
}

impl Refusals {
    pub fn add(&mut self, refused: Refused) {
        self.total += 1;
        if self.first.len() < REFUSALS_MAX {
            self.first.push(refused);
        }
    }

    pub fn extend(&mut self, others: Refusals) {
        let untold = others.total - others.first.len() as u64;
        others.first.into_iter().for_each(|refused| self.add(refused));
        self.total += untold;
    }
}

/// One task with all there is to know of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Exported {
    pub task: TaskView,
    pub needs: Vec<TaskId>,
    pub attempts: Vec<AttemptRow>,
}

/// Where the whole graph stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Empty,
    Active,
    Stuck,
    Finished,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Leased {
    pub id: TaskId,
    pub name: Name,
    pub attempt: u32,
    pub term_ms: u64,
    /// The store has a command or a time limit for it.
    pub has_details: bool,
    /// The worker of the attempt before was lost: it may be what took it down.
    pub is_suspect: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Stolen {
    pub leases: Vec<Leased>,
    /// Given out for this request, not for an earlier copy of it.
    pub fresh: bool,
    pub phase: Phase,
    pub not_done: u64,
    pub lost: Vec<(Name, u32)>,
    pub order: Order,
    /// It holds nothing, and others wait at the door: it is to come back after `AWAY_MS`.
    pub away: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Created {
        added: u64,
        existing: u64,
        ready: u64,
    },
    Stolen(Stolen),
    Completed {
        refused: Vec<Refused>,
        stolen: Option<Stolen>,
    },
    Released {
        released: u64,
        refused: Vec<Refused>,
    },
    Heartbeaten {
        lost: Vec<(Name, u32)>,
        order: Order,
    },
    Steered,
    Exited {
        released: u64,
        /// It had said so before, and got nothing since.
        again: bool,
    },
    Cancelled {
        cancelled: u64,
        refused: Refusals,
    },
    Revived {
        retried: u64,
        unskipped: u64,
        refused: Refusals,
    },
    Adjusted {
        adjusted: u64,
        refused: Refusals,
    },
    Listed {
        tasks: Vec<TaskView>,
        /// Where the next page begins; 0: there is none.
        next: u64,
        unknown: Vec<Name>,
    },
    Exported {
        tasks: Vec<Exported>,
        next: u64,
        next_attempt: u32,
        unknown: Vec<Name>,
    },
    Counted {
        counts: Counts,
        held: u64,
        /// Of the running: those that have begun.
        begun: u64,
        unknown: Vec<Name>,
    },
    /// Of a Wait for some tasks: those that are finished.
    EndedTasks {
        phase: Phase,
        counts: Box<Counts>,
        held: u64,
        ended: Vec<(TaskView, Option<AttemptRow>)>,
        unknown: Vec<Name>,
    },
    /// The workers that were told, the first of them by name.
    Told {
        workers: Vec<Name>,
        total: u64,
        unknown: Vec<Name>,
    },
    BackedUp {
        bytes: u64,
    },
    Waited {
        phase: Phase,
    },
    /// Of the tasks waited for: those that are finished, and names that there are no tasks of.
    Awaited {
        finished: Vec<Name>,
        unknown: Vec<Name>,
        output: bool,
    },
    Error {
        code: Code,
        message: String,
        names: Vec<Name>,
    },
    /// A newer request took this one's place: nobody waits for the answer any more.
    Replaced,
    /// Nobody does, as the hub was told.
    Forgotten,
    /// A copy of this request waits in its place. Which of the two connections is alive is not known
    /// here: the answer to the copy is for both.
    Joined {
        by: Ticket,
    },
}

impl Answer {
    /// Whoever sends the request again is not told this one, and may be told another.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Error { .. })
    }
}
