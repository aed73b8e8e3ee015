//! The words of version 5, which was the last whose records were the engine's own changes. Read only.

use serde::Deserialize;

use super::v6::Decoded;
use crate::engine::message::{self as engine, ClientId, Name, TaskId, Token, WorkerId};

pub fn decode(bytes: &[u8]) -> Option<Decoded> {
    let (at_ms, numbers, changes): (_, _, Vec<Change>) = postcard::from_bytes(bytes).ok()?;
    let mut decoded = Vec::with_capacity(changes.len());
    for change in changes {
        match change {
            // It had a change of its own, right behind that of its attempt.
            Change::LeftBehind { task, attempt, count } => {
                let is_it = |it: &&mut engine::Change| {
                    matches!(it, engine::Change::Ended { task: of, attempt: its, .. }
                        if (*of, *its) == (task, attempt))
                };
                if let Some(engine::Change::Ended { report, .. }) =
                    decoded.iter_mut().rev().find(is_it)
                {
                    report.left_behind = count;
                }
            }
            change => decoded.push(change.into_engine()?),
        }
    }
    Some((at_ms, numbers, decoded))
}

#[derive(Deserialize)]
enum Change {
    Added {
        id: TaskId,
        task: Task,
        needs: Vec<TaskId>,
        adopted: bool,
    },
    Missing {
        id: TaskId,
        name: Name,
    },
    Needs {
        task: TaskId,
        needs: Vec<TaskId>,
    },
    Worker {
        id: WorkerId,
        who: Who,
    },
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
    Back {
        task: TaskId,
        attempt: u32,
        failures: u32,
        reclaims: u32,
    },
    Ended {
        task: TaskId,
        attempt: u32,
        worker: WorkerId,
        how: Ended,
        report: Report,
    },
    Finished {
        task: TaskId,
        state: State,
        attempt: u32,
        failures: u32,
        reclaims: u32,
        blame: TaskId,
    },
    Reopened {
        task: TaskId,
    },
    Blamed {
        task: TaskId,
        blame: TaskId,
    },
    Adjusted {
        task: TaskId,
        held: bool,
        priority: i32,
    },
    Key {
        id: WorkerId,
        key: Name,
    },
    Told {
        number: u64,
        tag: Tag,
        progress: Progress,
        #[serde(with = "serde_bytes")]
        reply: Option<Box<[u8]>>,
    },
    Untold {
        number: u64,
    },
    LeftBehind {
        task: TaskId,
        attempt: u32,
        count: u32,
    },
}

#[derive(Deserialize)]
struct Task {
    name: Name,
    definition: u64,
    priority: i32,
    retries: u32,
    details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    command: Option<Name>,
    time_limit_ms: u64,
    dir: Option<Name>,
    env: Option<Name>,
    #[serde(with = "serde_bytes")]
    stdin: Option<Box<[u8]>>,
}

#[derive(Deserialize)]
struct Report {
    exit_code: i32,
    reason: Option<Name>,
    #[serde(with = "serde_bytes")]
    output: Option<Box<[u8]>>,
    output_file: Option<Name>,
    run_ms: Option<u64>,
}

#[derive(Deserialize)]
struct Who {
    name: Name,
    id: Option<ClientId>,
    host: Name,
    key: Name,
}

#[derive(Deserialize)]
struct Tag {
    key: Name,
    token: Token,
    sum: u64,
}

#[derive(Deserialize)]
struct Progress {
    after: u64,
    counts: [u64; 2],
}

#[derive(Deserialize)]
enum Ended {
    Done,
    Failed,
    Reclaimed,
    Cancelled,
}

#[derive(Deserialize)]
enum State {
    Missing,
    Waiting,
    Ready,
    Running,
    Done,
    Failed,
    Skipped,
    Cancelled,
}

impl Change {
    /// None: it is not a change by itself.
    fn into_engine(self) -> Option<engine::Change> {
        use engine::Change as To;
        Some(match self {
            Self::Added { id, task, needs, adopted } => {
                To::Added { id, task: Box::new(task.into_engine()), needs, adopted }
            }
            Self::Missing { id, name } => To::Missing { id, name },
            Self::Needs { task, needs } => To::Needs { task, needs },
            Self::Worker { id, who: Who { name, id: client, host, key } } => {
                To::Worker { id, who: engine::Who { name, id: client, host, key } }
            }
            Self::Host { id, host } => To::Host { id, host },
            Self::Key { id, key } => To::Key { id, key },
            Self::Leased { task, attempt, worker, client, number, term_ms } => {
                To::Leased { task, attempt, worker, client, number, term_ms }
            }
            Self::Back { task, attempt, failures, reclaims } => {
                To::Back { task, attempt, failures, reclaims }
            }
            Self::Ended { task, attempt, worker, how, report } => {
                To::Ended { task, attempt, worker, how: how.into(), report: report.into_engine() }
            }
            Self::Finished { task, state, attempt, failures, reclaims, blame } => {
                To::Finished { task, state: state.into(), attempt, failures, reclaims, blame }
            }
            Self::Reopened { task } => To::Reopened { task },
            Self::Blamed { task, blame } => To::Blamed { task, blame },
            Self::Adjusted { task, held, priority } => To::Adjusted { task, held, priority },
            Self::Told { number, tag: Tag { key, token, sum }, progress, reply } => To::Told {
                number,
                tag: engine::Tag { key, token, sum },
                progress: engine::Progress { after: progress.after, counts: progress.counts },
                reply,
            },
            Self::Untold { number } => To::Untold { number },
            Self::LeftBehind { .. } => return None,
        })
    }
}

impl Task {
    fn into_engine(self) -> engine::NewTask {
        let details = self.details.map(|details| {
            let Details { command, time_limit_ms, dir, env, stdin } = details;
            Box::new(engine::Details { command, time_limit_ms, dir, env, stdin })
        });
        let Self { name, definition, priority, retries, .. } = self;
        engine::NewTask { name, needs: Vec::new(), definition, priority, retries, details }
    }
}

impl Report {
    fn into_engine(self) -> engine::Report {
        let Self { exit_code, reason, output, output_file, run_ms } = self;
        engine::Report { exit_code, reason, output, output_file, run_ms, left_behind: 0 }
    }
}

impl From<Ended> for engine::Ended {
    fn from(how: Ended) -> Self {
        match how {
            Ended::Done => Self::Done,
            Ended::Failed => Self::Failed,
            Ended::Reclaimed => Self::Reclaimed,
            Ended::Cancelled => Self::Cancelled,
        }
    }
}

impl From<State> for engine::State {
    fn from(state: State) -> Self {
        match state {
            State::Missing => Self::Missing,
            State::Waiting => Self::Waiting,
            State::Ready => Self::Ready,
            State::Running => Self::Running,
            State::Done => Self::Done,
            State::Failed => Self::Failed,
            State::Skipped => Self::Skipped,
            State::Cancelled => Self::Cancelled,
        }
    }
}
