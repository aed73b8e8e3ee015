//! From an answer to a reply.

use dhub_proto::limits::*;
use dhub_proto::wire::{self, reply};

use super::info::{self, environment};
use crate::engine::message::*;
use crate::engine::message::{AttemptRow, TaskView};

pub fn phase(phase: Phase) -> wire::Phase {
    match phase {
        Phase::Empty => wire::Phase::Empty,
        Phase::Active => wire::Phase::Active,
        Phase::Stuck => wire::Phase::Stuck,
        Phase::Finished => wire::Phase::Finished,
    }
}

fn code(code: Code) -> wire::ErrorCode {
    match code {
        Code::Limit => wire::ErrorCode::ErrorLimit,
        Code::NotFound => wire::ErrorCode::ErrorNotFound,
        Code::Conflict => wire::ErrorCode::ErrorConflict,
        Code::Cycle => wire::ErrorCode::ErrorCycle,
        Code::Stale => wire::ErrorCode::ErrorStale,
        Code::State => wire::ErrorCode::ErrorState,
        Code::Busy => wire::ErrorCode::ErrorBusy,
        Code::Invalid => wire::ErrorCode::ErrorInvalid,
        Code::Damaged => wire::ErrorCode::ErrorDamaged,
        Code::Disk => wire::ErrorCode::ErrorDisk,
    }
}

fn refused(refused: &Refused) -> wire::Refused {
    wire::Refused {
        name: refused.name.to_string(),
        attempt: refused.attempt,
        code: code(refused.code).into(),
        message: refused.message.clone().into_owned(),
    }
}

fn all_refused(all: &[Refused]) -> Vec<wire::Refused> {
    all.iter().map(refused).collect()
}

fn lost(lost: &[(Name, u32)]) -> Vec<wire::Attempt> {
    let attempt = |(name, attempt): &(Name, u32)| wire::Attempt {
        name: name.to_string(),
        attempt: *attempt,
        started: false,
    };
    lost.iter().map(attempt).collect()
}

/// `details` fetches what the store has for a lease. One without them is not told.
fn stolen<E>(
    stolen: &Stolen,
    details: &mut impl FnMut(&Leased) -> Result<Option<Details>, E>,
) -> Result<wire::Stolen, E> {
    let mut leases = Vec::with_capacity(stolen.leases.len());
    for lease in &stolen.leases {
        let details = match lease.has_details {
            true => details(lease)?,
            false => Some(Details::default()),
        };
        let Some(details) = details else { continue };
        leases.push(wire::Lease {
            name: lease.name.to_string(),
            attempt: lease.attempt,
            command: details.command.map(String::from).unwrap_or_default(),
            time_limit_ms: details.time_limit_ms,
            term_ms: lease.term_ms,
            dir: details.dir.map(String::from).unwrap_or_default(),
            env: environment(details.env.as_deref()),
            stdin: details.stdin.map(Vec::from).unwrap_or_default(),
            suspect: lease.is_suspect,
        });
    }
    Ok(wire::Stolen {
        leases,
        phase: phase(stolen.phase).into(),
        not_done: stolen.not_done,
        lost: lost(&stolen.lost),
        drain: stolen.order != Order::None,
        stop: stolen.order == Order::Stop,
        away_ms: if stolen.away { AWAY_MS } else { 0 },
    })
}

/// The reply to a command; None if nobody waits for it. `progress` tells the counts of now, and the
/// tasks done a second.
pub fn encode<E>(
    answer: &Answer,
    progress: impl FnOnce() -> (wire::Counts, f64),
    mut details: impl FnMut(&Leased) -> Result<Option<Details>, E>,
) -> Result<Option<reply::Body>, E> {
    use reply::Body;
    Ok(Some(match answer {
        Answer::Created { added, existing, ready } => {
            Body::Created(wire::Created { added: *added, existing: *existing, ready: *ready })
        }
        Answer::Stolen(answer) => Body::Stolen(stolen(answer, &mut details)?),
        Answer::Completed { refused, stolen: leases } => Body::Completed(wire::Completed {
            refused: all_refused(refused),
            stolen: leases.as_ref().map(|leases| stolen(leases, &mut details)).transpose()?,
        }),
        Answer::Released { released, refused } => {
            Body::Released(wire::Released { released: *released, refused: all_refused(refused) })
        }
        Answer::Heartbeaten { lost: attempts, order } => Body::Heartbeaten(wire::Heartbeaten {
            lost: lost(attempts),
            drain: *order != Order::None,
            stop: *order == Order::Stop,
        }),
        Answer::Exited { released, .. } => Body::Exited(wire::Exited { released: *released }),
        Answer::Cancelled { cancelled, refused } => Body::Cancelled(wire::Cancelled {
            cancelled: *cancelled,
            refused_total: refused.total,
            refused: all_refused(&refused.first),
        }),
        Answer::Revived { retried, unskipped, refused } => Body::Retried(wire::Retried {
            retried: *retried,
            unskipped: *unskipped,
            refused_total: refused.total,
            refused: all_refused(&refused.first),
        }),
        Answer::Adjusted { adjusted, refused } => Body::Adjusted(wire::Adjusted {
            adjusted: *adjusted,
            refused_total: refused.total,
            refused: all_refused(&refused.first),
        }),
        Answer::Waited { phase: at } => {
            let (counts, done_per_s) = progress();
            let phase = phase(*at).into();
            let counts = Some(counts);
            Body::Waited(wire::Waited { phase, counts, done_per_s, ..wire::Waited::default() })
        }
        Answer::Error { code: why, message, names } => Body::Error(wire::Error {
            code: code(*why).into(),
            message: message.clone(),
            names: names.iter().take(ERROR_NAMES_MAX).map(|name| name.to_string()).collect(),
        }),
        // These are read, and told by `told`.
        Answer::Listed { .. }
        | Answer::Exported { .. }
        | Answer::Counted { .. }
        | Answer::EndedTasks { .. }
        | Answer::Told { .. }
        | Answer::BackedUp { .. } => return Ok(None),
        // The job that asked says it, or one that is made for it.
        Answer::Steered
        | Answer::Awaited { .. }
        | Answer::Replaced
        | Answer::Joined { .. }
        | Answer::Forgotten => {
            return Ok(None);
        }
    }))
}

/// The reply to a request that took more than one turn.
pub fn told(answer: Answer) -> Option<reply::Body> {
    use reply::Body;
    let texts = |names: Vec<Name>| names.into_iter().map(String::from).collect();
    Some(match answer {
        Answer::Listed { tasks, next, unknown } => Body::Listed(wire::Listed {
            tasks: tasks.into_iter().map(info::task).collect(),
            next,
            unknown: texts(unknown),
        }),
        Answer::Exported { tasks, next, next_attempt, unknown } => Body::Exported(wire::Exported {
            tasks: tasks.into_iter().map(exported).collect(),
            next,
            next_attempt,
            unknown: texts(unknown),
        }),
        Answer::Counted { counts, held, begun, unknown } => Body::Counted(wire::Counted {
            counts: Some(info::counts(&counts, held)),
            begun,
            unknown: texts(unknown),
        }),
        Answer::EndedTasks { phase: at, counts, held, ended: all, unknown } => {
            let ended = |(task, attempt): (TaskView, Option<AttemptRow>)| wire::EndedTask {
                task: Some(info::task(task)),
                attempt: attempt.map(info::attempt),
            };
            Body::Waited(wire::Waited {
                phase: phase(at).into(),
                counts: Some(info::counts(&counts, held)),
                done_per_s: 0.0,
                ended: all.into_iter().map(ended).collect(),
                unknown: texts(unknown),
            })
        }
        Answer::Told { workers, total, unknown } => Body::Steered(wire::Steered {
            workers: texts(workers),
            workers_total: total,
            unknown: texts(unknown),
        }),
        Answer::BackedUp { bytes } => Body::BackedUp(wire::BackedUp { bytes }),
        answer => {
            let progress = || (wire::Counts::default(), 0.0);
            let details = |_: &Leased| Ok::<_, std::convert::Infallible>(None);
            let Ok(body) = encode(&answer, progress, details);
            return body;
        }
    })
}

fn exported(task: Exported) -> wire::ExportedTask {
    wire::ExportedTask {
        id: task.task.row.id,
        task: Some(info::task(task.task)),
        needs: task.needs,
        attempts: task.attempts.into_iter().map(info::attempt).collect(),
    }
}
