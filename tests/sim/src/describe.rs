//! Requests, answers and changes in a few words, for the trace.

use std::fmt::{self, Display};

use dhub::engine::message::*;

use crate::message::Ask;

pub struct Brief<'a, T>(pub &'a T);

fn attempts<'a>(
    f: &mut fmt::Formatter,
    list: impl IntoIterator<Item = (&'a Name, u32)>,
) -> fmt::Result {
    list.into_iter().try_for_each(|(name, attempt)| write!(f, " {name}#{attempt}"))
}

fn steal(f: &mut fmt::Formatter, steal: &Steal) -> fmt::Result {
    write!(f, "n={} number={} wait={}", steal.n, steal.number, steal.wait_ms)?;
    match steal.replaces {
        0 => Ok(()),
        first => write!(f, " replaces {first}"),
    }
}

fn stolen(f: &mut fmt::Formatter, stolen: &Stolen) -> fmt::Result {
    write!(f, "{:?}, leases:", stolen.phase)?;
    attempts(f, stolen.leases.iter().map(|lease| (&lease.name, lease.attempt)))?;
    if !stolen.lost.is_empty() {
        write!(f, ", lost:")?;
        attempts(f, stolen.lost.iter().map(|(name, attempt)| (name, *attempt)))?;
    }
    match stolen.order {
        Order::None => Ok(()),
        order => write!(f, ", {order:?}"),
    }
}

fn refusals(f: &mut fmt::Formatter, refused: &[Refused]) -> fmt::Result {
    let mut refused = refused.iter();
    refused.try_for_each(|one| {
        write!(f, ", refused {}#{}: {:?}, {}", one.name, one.attempt, one.code, one.message)
    })
}

impl Display for Brief<'_, Ask> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.0 {
            Ask::Request(request) => Brief(request).fmt(f),
            Ask::Sweep { selection, deed } => write!(f, "{deed:?} all {selection:?}"),
            Ask::Retry { selection, done } => write!(f, "retry {selection:?} done={done}"),
            Ask::Steer { workers, order } => write!(f, "{order:?} {workers:?}"),
        }
    }
}

impl Display for Brief<'_, Request> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Request { who, body, .. } = self.0;
        match body {
            Body::Create { tasks, merge } => {
                write!(f, "create{}", if *merge { " (merge)" } else { "" })?;
                tasks
                    .iter()
                    .try_for_each(|task| write!(f, " {}({})", task.name, task.needs.join(",")))
            }
            Body::Steal(asked) => {
                write!(f, "steal by {} ", who.name)?;
                steal(f, asked)
            }
            Body::Complete { outcomes, want } => {
                write!(f, "complete by {}", who.name)?;
                for outcome in outcomes {
                    write!(f, " {}#{} {:?}", outcome.name, outcome.attempt, outcome.verdict)?;
                }
                want.as_ref().map_or(Ok(()), |want| {
                    write!(f, ", want ")?;
                    steal(f, want)
                })
            }
            Body::Release { attempts: list, needs } => {
                write!(f, "release by {}", who.name)?;
                attempts(f, list.iter().map(|one| (&one.name, one.attempt)))?;
                write!(f, " {needs:?}")
            }
            Body::Heartbeat { attempts: list } => {
                write!(f, "heartbeat of {}", who.name)?;
                attempts(f, list.iter().map(|one| (&one.name, one.attempt)))
            }
            Body::Exit => write!(f, "exit of {}", who.name),
            Body::Steer { workers, order } => write!(f, "{order:?} {workers:?}"),
            Body::Cancel { names } => write!(f, "cancel {}", names.join(" ")),
            Body::Adjust { names, to } => write!(f, "adjust {} to {to:?}", names.join(" ")),
            Body::Await { names, wait_ms, .. } => {
                write!(f, "wait {wait_ms} for {}", names.join(" "))
            }
            Body::Revive { tasks } => {
                write!(f, "revive")?;
                tasks.iter().try_for_each(|one| write!(f, " {}", one.task.name))
            }
            Body::Hasten { names } => write!(f, "hasten {}", names.join(" ")),
            Body::Revoked { keys } => write!(f, "revoked {}", keys.join(" ")),
            Body::Marked { old, key } => write!(f, "{old} is {key}"),
            Body::Wait { wait_ms } => write!(f, "wait {wait_ms}"),
            Body::Undelivered { leases } => {
                write!(f, "undelivered")?;
                attempts(f, leases.iter().map(|(name, attempt)| (name, *attempt)))
            }
            Body::Damaged { names } => write!(f, "damaged {}", names.join(" ")),
            Body::Forget { tickets } => write!(f, "forget {} requests", tickets.len()),
            Body::Tick => write!(f, "tick"),
        }
    }
}

impl Display for Brief<'_, Answer> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.0 {
            Answer::Stolen(told) => {
                write!(f, "stolen: ")?;
                stolen(f, told)
            }
            Answer::Completed { refused, stolen: told } => {
                write!(f, "completed")?;
                refusals(f, refused)?;
                told.as_ref().map_or(Ok(()), |told| {
                    write!(f, "; stolen: ")?;
                    stolen(f, told)
                })
            }
            Answer::Released { released, refused } => {
                write!(f, "released {released}")?;
                refusals(f, refused)
            }
            Answer::Cancelled { cancelled, refused } => {
                write!(f, "cancelled {cancelled}")?;
                refusals(f, &refused.first)
            }
            Answer::Revived { retried, unskipped, refused } => {
                write!(f, "revived {retried}, unskipped {unskipped}")?;
                refusals(f, &refused.first)
            }
            Answer::Error { code, message, .. } => write!(f, "error {code:?}: {message}"),
            other => write!(f, "{other:?}"),
        }
    }
}

impl Display for Brief<'_, Change> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.0 {
            Change::Added { id, task, needs, adopted } => {
                let adopted = if *adopted { ", adopted" } else { "" };
                write!(f, "added {id}={} needs {needs:?}{adopted}", task.name)
            }
            Change::Ended { task, attempt, worker, how, .. } => {
                write!(f, "ended {task}#{attempt} {how:?} by worker {worker}")
            }
            Change::Leased { task, attempt, worker, number, term_ms, .. } => {
                write!(
                    f,
                    "leased {task}#{attempt} to worker {worker}, number {number}, {term_ms} ms"
                )
            }
            other => write!(f, "{other:?}"),
        }
    }
}
