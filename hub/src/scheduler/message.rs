//! What goes into the scheduler and what comes out: plain data, no wire types, no SQL.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::task::State;

/// Milliseconds on the monotonic clock. Only differences mean something.
pub type Millis = u64;
/// Names a request until its reply: the server knows where that goes.
pub type Ticket = u64;
/// Row id of a task; counts from 1 in the order of creation.
pub type TaskId = u64;
/// Numbers the commits of a file.
pub type Turn = u64;
/// Row id of a worker.
pub type WorkerId = u32;
/// Identity of a client process.
pub type ClientId = [u8; 16];
/// Short ones, up to 23 bytes, need no memory of their own, and copies of longer ones share it.
pub type Name = smol_str::SmolStr;

/// Who asks. With an id it is known by that and heartbeats; without, by its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Who {
    pub name: Name,
    pub id: Option<ClientId>,
    /// The machine that it runs on, if it says so.
    pub host: Name,
}

/// What a worker is told to do, from outside. The larger one counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    #[default]
    None,
    /// Finish what runs, give back the rest, leave.
    Drain,
    /// Kill what runs, give back everything, leave.
    Stop,
}

/// What a person changes of a task that is not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adjustment {
    Held(bool),
    Priority(i32),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewTask {
    pub name: Name,
    #[serde(skip)]
    pub needs: Vec<Name>,
    /// Hash of all that defines the task; equal definitions make a Create repeatable.
    pub definition: u64,
    pub priority: i32,
    pub retries: u32,
    pub details: Option<Box<Details>>,
}

/// What memory does not hold: the store keeps it for the worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Details {
    pub command: Option<Name>,
    pub time_limit_ms: u64,
    pub dir: Option<Name>,
    /// A JSON array of NAME=VALUE.
    pub env: Option<Name>,
    #[serde(with = "serde_bytes")]
    pub stdin: Option<Box<[u8]>>,
}

impl Details {
    /// What they add to a reply, at most. The store counts in the same way.
    pub fn bytes(&self) -> u32 {
        let texts = [&self.command, &self.dir, &self.env];
        let texts: usize = texts.into_iter().flatten().map(|text| text.len()).sum();
        let stdin = self.stdin.as_ref().map_or(0, |stdin| stdin.len());
        Self::LIMIT_BYTES + (texts + stdin) as u32
    }

    pub const LIMIT_BYTES: u32 = 16;
}

#[derive(Clone, Debug, PartialEq)]
pub struct Steal {
    pub client: Option<ClientId>,
    pub number: u64,
    pub n: u32,
    pub wait_ms: u64,
    /// 0: the default for this kind of worker.
    pub lease_ms: u64,
    pub stay: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AttemptRef {
    pub name: Name,
    /// 0: the newest, if this worker held it.
    pub attempt: u32,
    pub started: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Done,
    Failed,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub name: Name,
    pub attempt: u32,
    pub verdict: Verdict,
    /// Of a failure: no further try.
    pub is_final: bool,
    pub report: Report,
}

/// What is kept of an attempt besides its outcome.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub exit_code: i32,
    pub reason: Option<Name>,
    #[serde(with = "serde_bytes")]
    pub output: Option<Box<[u8]>>,
    /// The file that has all of it, on the worker's machine.
    pub output_file: Option<Name>,
}

/// A finished task as the store has it, for the skipped ones with the failed task to blame.
#[derive(Clone, Debug, PartialEq)]
pub struct PastTask {
    pub id: TaskId,
    pub state: State,
    pub definition: u64,
    pub attempt: u32,
    /// Who held the newest attempt.
    pub holder: Option<WorkerId>,
    /// The failed or cancelled task because of which it was skipped; itself if it is one.
    pub blame: TaskId,
}

/// Tasks named by a command that memory does not hold.
pub type Past = HashMap<Name, PastTask>;

/// A finished task that a person wants to run again, read from the store.
#[derive(Clone, Debug, PartialEq)]
pub struct Revived {
    pub task: StoredTask,
    pub state: State,
    /// Comes along because what it was skipped for comes back; otherwise a person named it.
    pub dependent: bool,
}

/// An unfinished task as the store has it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTask {
    pub id: TaskId,
    pub name: Name,
    pub definition: u64,
    pub priority: i32,
    pub retries: u32,
    pub failures: u32,
    pub reclaims: u32,
    /// The newest attempt that ended.
    pub attempt: u32,
    /// How it ended, and for whom.
    pub last: Option<(WorkerId, Ended)>,
    pub details_bytes: u32,
    pub held: bool,
    pub needs: Vec<Need>,
}

/// A dependency of a stored task.
#[derive(Clone, Debug, PartialEq)]
pub struct Need {
    pub id: TaskId,
    pub name: Name,
    pub state: State,
    pub blame: TaskId,
}

/// An open lease as the store has it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredLease {
    pub task: TaskId,
    pub attempt: u32,
    pub worker: WorkerId,
    pub client: Option<ClientId>,
    pub number: u64,
    pub term_ms: u64,
    /// How long ago the attempt began, by the wall clock; for people only.
    pub age_ms: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    Create {
        ticket: Ticket,
        tasks: Vec<NewTask>,
        merge: bool,
    },
    Steal {
        ticket: Ticket,
        who: Who,
        steal: Steal,
    },
    Complete {
        ticket: Ticket,
        who: Who,
        outcomes: Vec<Outcome>,
        want: Option<Steal>,
    },
    /// `needs` are further dependencies of each task that is given back (dwork: Transfer).
    Release {
        ticket: Ticket,
        who: Who,
        attempts: Vec<AttemptRef>,
        needs: Vec<Vec<Name>>,
    },
    Heartbeat {
        ticket: Option<Ticket>,
        who: Who,
        attempts: Vec<AttemptRef>,
    },
    Exit {
        ticket: Ticket,
        who: Who,
    },
    Steer {
        ticket: Ticket,
        workers: Vec<WorkerId>,
        order: Order,
    },
    Cancel {
        ticket: Ticket,
        names: Vec<Name>,
    },
    Adjust {
        ticket: Ticket,
        names: Vec<Name>,
        to: Adjustment,
    },
    Revive {
        ticket: Ticket,
        tasks: Vec<Revived>,
    },
    /// Those of them that wait for their next try need not.
    Hasten {
        ticket: Ticket,
        names: Vec<Name>,
    },
    Wait {
        ticket: Ticket,
        wait_ms: u64,
    },
    /// Until some of these tasks are finished.
    Await {
        ticket: Ticket,
        names: Vec<Name>,
        wait_ms: u64,
        /// The answer is to have what they wrote.
        output: bool,
    },
    /// A reply with these leases could not be delivered: the client is gone.
    Undelivered {
        leases: Vec<(Name, u32)>,
    },
    Tick,
}

impl Command {
    /// Who asks, if the command is of a worker.
    pub fn who(&self) -> Option<&Who> {
        match self {
            Command::Steal { who, .. }
            | Command::Complete { who, .. }
            | Command::Release { who, .. }
            | Command::Heartbeat { who, .. }
            | Command::Exit { who, .. } => Some(who),
            _ => None,
        }
    }

    /// The same, asked for under another ticket: a copy that arrived.
    pub fn with_ticket(mut self, new: Ticket) -> Self {
        match &mut self {
            Command::Create { ticket, .. }
            | Command::Steal { ticket, .. }
            | Command::Complete { ticket, .. }
            | Command::Release { ticket, .. }
            | Command::Exit { ticket, .. }
            | Command::Steer { ticket, .. }
            | Command::Cancel { ticket, .. }
            | Command::Adjust { ticket, .. }
            | Command::Await { ticket, .. }
            | Command::Revive { ticket, .. }
            | Command::Hasten { ticket, .. }
            | Command::Wait { ticket, .. } => *ticket = new,
            Command::Heartbeat { ticket, .. } => *ticket = ticket.map(|_| new),
            Command::Undelivered { .. } | Command::Tick => {}
        }
        self
    }

    /// The tasks that it names and that may be finished.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        let none = (&[][..], &[][..], &[][..], &[][..], &[][..]);
        let (tasks, outcomes, attempts, needs, names) = match self {
            Command::Create { tasks, .. } => (&tasks[..], none.1, none.2, none.3, none.4),
            Command::Complete { outcomes, .. } => (none.0, &outcomes[..], none.2, none.3, none.4),
            Command::Release { attempts, needs, .. } => {
                (none.0, none.1, &attempts[..], &needs[..], none.4)
            }
            Command::Cancel { names, .. }
            | Command::Adjust { names, .. }
            | Command::Await { names, .. } => (none.0, none.1, none.2, none.3, &names[..]),
            _ => none,
        };
        tasks
            .iter()
            .flat_map(|task| std::iter::once(&task.name).chain(&task.needs))
            .chain(outcomes.iter().map(|outcome| &outcome.name))
            .chain(attempts.iter().map(|attempt| &attempt.name))
            .chain(needs.iter().flatten())
            .chain(names)
    }
}

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
}

#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    pub name: Name,
    pub attempt: u32,
    pub code: Code,
    pub message: &'static str,
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
    },
    Cancelled {
        cancelled: u64,
        refused: Vec<Refused>,
    },
    Revived {
        retried: u64,
        unskipped: u64,
        refused: Vec<Refused>,
    },
    Adjusted {
        adjusted: u64,
        refused: Vec<Refused>,
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
    /// A copy of this request waits in its place. Which of the two connections is alive is not known
    /// here: the answer to the copy is for both.
    Joined {
        by: Ticket,
    },
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    Done = 1,
    Failed = 2,
    Reclaimed = 3,
    Cancelled = 4,
}

/// What has to be stored before the answers may leave. In order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
}
