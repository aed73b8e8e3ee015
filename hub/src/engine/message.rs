//! What goes into the scheduler and what comes out: plain data, no wire types, no SQL.

mod answer;
mod change;
mod counts;
mod guest;
mod load;
mod long;
mod request;
mod row;
mod state;

use std::collections::HashMap;

pub use answer::{AWAY_MS, Answer, Code, Exported, Leased, Phase, Refusals, Refused, Stolen};
pub use change::{Change, Ended};
pub use counts::Counts;
pub use guest::{Guest, User};
pub use load::{Load, Sample};
pub use long::{Deed, Export, List, Long, Selection};
pub use request::{Body, Request};
pub use row::{AttemptRow, TaskRow, TaskView};
pub use state::State;

/// Milliseconds on the monotonic clock. Only differences mean something.
pub type Millis = u64;
/// Names a request until its reply: the server knows where that goes. They count from 1.
pub type Ticket = u64;
/// Row id of a task; counts from 1 in the order of creation.
pub type TaskId = u64;
/// Numbers the commits of a file.
pub type Turn = u64;
/// Row id of a worker.
pub type WorkerId = u32;
/// Identity of a client process.
pub type ClientId = [u8; 16];
/// A client process, and the key that it asks with: another key's is another client.
pub type Caller = (Name, ClientId);
/// What a client calls one request, and each copy of it.
pub type Token = [u8; 16];
/// Short ones, up to 23 bytes, need no memory of their own, and copies of longer ones share it.
pub type Name = smol_str::SmolStr;

/// In place of the name of a key: no key can be called that. Whose a worker is that an older file had, nobody
/// knows until it says so.
pub const UNKNOWN: &str = "?";

/// Who asks. With an id it is known by that and heartbeats; without, by its name. With another key it
/// is another worker, whatever it calls itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Who {
    pub name: Name,
    pub id: Option<ClientId>,
    /// The machine that it runs on, if it says so.
    pub host: Name,
    /// The name of its key, with its mark (`keyname`). Empty: the owner's, which acts for the workers of all, or none is needed.
    pub key: Name,
}

impl Who {
    pub fn is_owner(&self) -> bool {
        self.key.is_empty()
    }

    /// What it calls itself is what the other does.
    pub fn is_called(&self, other: &Who) -> bool {
        self.id == other.id && (self.id.is_some() || self.name == other.name)
    }
}

/// Which request it is: copies have the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Of the key that it was asked with: another key's is another request.
    pub key: Name,
    pub token: Token,
    /// A checksum of what is asked.
    pub sum: u64,
}

/// How far a long request has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Of those that go through tasks in order: where to go on.
    pub after: u64,
    /// What it has done, and what came along.
    pub counts: [u64; 2],
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

#[derive(Clone, Debug, PartialEq)]
pub struct NewTask {
    pub name: Name,
    pub needs: Vec<Name>,
    /// Hash of all that defines the task; equal definitions make a Create repeatable.
    pub definition: u64,
    pub priority: i32,
    pub retries: u32,
    pub details: Option<Box<Details>>,
}

/// What memory does not hold: the store keeps it for the worker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    pub command: Option<Name>,
    pub time_limit_ms: u64,
    pub dir: Option<Name>,
    /// A JSON array of NAME=VALUE.
    pub env: Option<Name>,
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
    /// The first of those before it that were not answered; 0: they were.
    pub replaces: u64,
    /// How many tasks the worker runs at the same time; 0: it does not say.
    pub slots: u32,
    /// Of what it holds, so many wait for other tasks and take no slot.
    pub waiting: u32,
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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    pub exit_code: i32,
    pub reason: Option<Name>,
    pub output: Option<Box<[u8]>>,
    /// The file that has all of it, on the worker's machine.
    pub output_file: Option<Name>,
    /// How long it ran, by a clock that nobody sets; None: only the wall clock tells.
    pub run_ms: Option<u64>,
    /// Processes that it had left in the background, and that were ended with it.
    pub left_behind: u32,
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

/// Tasks named by a request that memory does not hold.
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
