//! The words of version 6. Whoever changes these makes another version, and leaves this one as it is.

use std::borrow::Cow;

use serde::{Deserialize, Serialize, Serializer};

use crate::engine::message::{self as engine, ClientId, Name, TaskId, Token, WorkerId};

/// As they are written.
pub struct Changes<'a>(pub &'a [engine::Change]);

impl Serialize for Changes<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(Change::from))
    }
}

pub type Decoded = (i64, [u64; 9], Vec<engine::Change>);

pub fn decode(bytes: &[u8]) -> Option<Decoded> {
    let (at_ms, numbers, changes): (_, _, Vec<Change>) = postcard::from_bytes(bytes).ok()?;
    let changes = changes.into_iter().map(Change::into_engine).collect::<Option<_>>()?;
    Some((at_ms, numbers, changes))
}

#[derive(Serialize, Deserialize)]
enum Change<'a> {
    Added {
        id: TaskId,
        #[serde(borrow)]
        task: Task<'a>,
        needs: Cow<'a, [TaskId]>,
        adopted: bool,
    },
    Missing {
        id: TaskId,
        name: Name,
    },
    Needs {
        task: TaskId,
        needs: Cow<'a, [TaskId]>,
    },
    Worker {
        id: WorkerId,
        name: Name,
        client: Option<ClientId>,
        host: Name,
        key: Name,
    },
    Host {
        id: WorkerId,
        host: Name,
    },
    Key {
        id: WorkerId,
        key: Name,
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
        /// As the tables have it.
        how: u8,
        #[serde(borrow)]
        report: Report<'a>,
    },
    Finished {
        task: TaskId,
        /// As the tables have it.
        state: u8,
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
    Told {
        number: u64,
        key: Name,
        token: Token,
        sum: u64,
        after: u64,
        counts: [u64; 2],
        #[serde(borrow, with = "serde_bytes")]
        reply: Option<Cow<'a, [u8]>>,
    },
    Untold {
        number: u64,
    },
}

#[derive(Serialize, Deserialize)]
struct Task<'a> {
    name: Name,
    definition: u64,
    priority: i32,
    retries: u32,
    #[serde(borrow)]
    details: Option<Details<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Details<'a> {
    command: Option<Name>,
    time_limit_ms: u64,
    dir: Option<Name>,
    env: Option<Name>,
    #[serde(borrow, with = "serde_bytes")]
    stdin: Option<Cow<'a, [u8]>>,
}

#[derive(Serialize, Deserialize)]
struct Report<'a> {
    exit_code: i32,
    reason: Option<Name>,
    #[serde(borrow, with = "serde_bytes")]
    output: Option<Cow<'a, [u8]>>,
    output_file: Option<Name>,
    run_ms: Option<u64>,
    left_behind: u32,
}

impl<'a> From<&'a engine::Change> for Change<'a> {
    fn from(change: &'a engine::Change) -> Self {
        use engine::Change as Of;
        match change {
            Of::Added { id, task, needs, adopted } => Self::Added {
                id: *id,
                task: (&**task).into(),
                needs: needs.into(),
                adopted: *adopted,
            },
            Of::Missing { id, name } => Self::Missing { id: *id, name: name.clone() },
            Of::Needs { task, needs } => Self::Needs { task: *task, needs: needs.into() },
            Of::Worker { id, who: engine::Who { name, id: client, host, key } } => Self::Worker {
                id: *id,
                name: name.clone(),
                client: *client,
                host: host.clone(),
                key: key.clone(),
            },
            Of::Host { id, host } => Self::Host { id: *id, host: host.clone() },
            Of::Key { id, key } => Self::Key { id: *id, key: key.clone() },
            Of::Leased { task, attempt, worker, client, number, term_ms } => Self::Leased {
                task: *task,
                attempt: *attempt,
                worker: *worker,
                client: *client,
                number: *number,
                term_ms: *term_ms,
            },
            Of::Back { task, attempt, failures, reclaims } => Self::Back {
                task: *task,
                attempt: *attempt,
                failures: *failures,
                reclaims: *reclaims,
            },
            Of::Ended { task, attempt, worker, how, report } => Self::Ended {
                task: *task,
                attempt: *attempt,
                worker: *worker,
                how: *how as u8,
                report: report.into(),
            },
            Of::Finished { task, state, attempt, failures, reclaims, blame } => Self::Finished {
                task: *task,
                state: *state as u8,
                attempt: *attempt,
                failures: *failures,
                reclaims: *reclaims,
                blame: *blame,
            },
            Of::Reopened { task } => Self::Reopened { task: *task },
            Of::Blamed { task, blame } => Self::Blamed { task: *task, blame: *blame },
            Of::Adjusted { task, held, priority } => {
                Self::Adjusted { task: *task, held: *held, priority: *priority }
            }
            Of::Told { number, tag, progress, reply } => Self::Told {
                number: *number,
                key: tag.key.clone(),
                token: tag.token,
                sum: tag.sum,
                after: progress.after,
                counts: progress.counts,
                reply: reply.as_deref().map(Cow::Borrowed),
            },
            Of::Untold { number } => Self::Untold { number: *number },
        }
    }
}

impl<'a> From<&'a engine::NewTask> for Task<'a> {
    fn from(task: &'a engine::NewTask) -> Self {
        let details = task.details.as_ref().map(|details| Details {
            command: details.command.clone(),
            time_limit_ms: details.time_limit_ms,
            dir: details.dir.clone(),
            env: details.env.clone(),
            stdin: details.stdin.as_deref().map(Cow::Borrowed),
        });
        Self {
            name: task.name.clone(),
            definition: task.definition,
            priority: task.priority,
            retries: task.retries,
            details,
        }
    }
}

impl<'a> From<&'a engine::Report> for Report<'a> {
    fn from(report: &'a engine::Report) -> Self {
        Self {
            exit_code: report.exit_code,
            reason: report.reason.clone(),
            output: report.output.as_deref().map(Cow::Borrowed),
            output_file: report.output_file.clone(),
            run_ms: report.run_ms,
            left_behind: report.left_behind,
        }
    }
}

impl Change<'_> {
    /// None: it says a state, or an end, that there is not.
    fn into_engine(self) -> Option<engine::Change> {
        use engine::Change as To;
        Some(match self {
            Self::Added { id, task, needs, adopted } => {
                let (task, needs) = (Box::new(task.into_engine()), needs.into_owned());
                To::Added { id, task, needs, adopted }
            }
            Self::Missing { id, name } => To::Missing { id, name },
            Self::Needs { task, needs } => To::Needs { task, needs: needs.into_owned() },
            Self::Worker { id, name, client, host, key } => {
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
                let how = engine::Ended::from_number(how)?;
                To::Ended { task, attempt, worker, how, report: report.into_engine() }
            }
            Self::Finished { task, state, attempt, failures, reclaims, blame } => {
                let state = engine::State::from_number(state)?;
                To::Finished { task, state, attempt, failures, reclaims, blame }
            }
            Self::Reopened { task } => To::Reopened { task },
            Self::Blamed { task, blame } => To::Blamed { task, blame },
            Self::Adjusted { task, held, priority } => To::Adjusted { task, held, priority },
            Self::Told { number, key, token, sum, after, counts, reply } => To::Told {
                number,
                tag: engine::Tag { key, token, sum },
                progress: engine::Progress { after, counts },
                reply: reply.map(owned),
            },
            Self::Untold { number } => To::Untold { number },
        })
    }
}

impl Task<'_> {
    fn into_engine(self) -> engine::NewTask {
        let details = self.details.map(|details| {
            Box::new(engine::Details {
                command: details.command,
                time_limit_ms: details.time_limit_ms,
                dir: details.dir,
                env: details.env,
                stdin: details.stdin.map(owned),
            })
        });
        let Self { name, definition, priority, retries, .. } = self;
        engine::NewTask { name, needs: Vec::new(), definition, priority, retries, details }
    }
}

impl Report<'_> {
    fn into_engine(self) -> engine::Report {
        engine::Report {
            exit_code: self.exit_code,
            reason: self.reason,
            output: self.output.map(owned),
            output_file: self.output_file,
            run_ms: self.run_ms,
            left_behind: self.left_behind,
        }
    }
}

fn owned(bytes: Cow<[u8]>) -> Box<[u8]> {
    bytes.into_owned().into()
}
