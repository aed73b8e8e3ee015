//! A request does what it asks for, and to nothing else: what is to come of it is worked out before it
//! is carried out.

use std::collections::BTreeSet;

use dhub::engine::message::*;
use dhub::engine::scheduler::State;

use super::{Check, name_of};
use crate::store::Rows;

pub enum Expected {
    /// These leases end, and no others.
    Released(BTreeSet<TaskId>),
    /// What a worker held ends, all of it.
    Exited,
    /// Failures end a task or they do not.
    Failures(Vec<Outcome>),
    /// Attempts that earlier steals were given and that nobody may have heard of: they are told again.
    Unheard(BTreeSet<(Name, u32)>),
    Anything,
}

impl Expected {
    /// `worker`: the one who asks, if it is known.
    pub fn of(request: &Request, rows: &Rows, worker: Option<WorkerId>) -> Self {
        match &request.body {
            Body::Release { attempts, .. } => {
                let held = attempts.iter().filter_map(|attempt| {
                    let row = rows.find(&attempt.name)?;
                    let lease = rows.leases.get(&row.id)?;
                    let is_it = attempt.attempt == 0 || attempt.attempt == lease.attempt;
                    (is_it && rows.may_act(&request.who, lease.worker)).then_some(row.id)
                });
                Self::Released(held.collect())
            }
            Body::Exit => Self::Exited,
            Body::Complete { outcomes, .. } => {
                let failed = outcomes.iter().filter(|it| it.verdict == Verdict::Failed);
                Self::Failures(failed.cloned().collect())
            }
            Body::Steal(steal) if steal.replaces > 0 => {
                let is_unheard = |lease: &crate::store::LeaseRow| {
                    Some(lease.worker) == worker
                        && lease.client == steal.client
                        && (steal.replaces..steal.number).contains(&lease.number)
                };
                let leases = rows.leases.iter().filter(|(_, lease)| is_unheard(lease));
                let name = |id| rows.get(id).map(|row| row.name.clone()).unwrap_or_default();
                Self::Unheard(leases.map(|(&id, lease)| (name(id), lease.attempt)).collect())
            }
            _ => Self::Anything,
        }
    }

    /// `rows` as they were before. True if something was told again.
    pub fn check(
        &self,
        rows: &Rows,
        answer: Option<&Answer>,
        changes: &[Change],
    ) -> Result<bool, String> {
        match self {
            Self::Released(held) => released(rows, held, answer, changes).map(|()| false),
            Self::Exited => exited(rows, answer, changes).map(|()| false),
            Self::Failures(outcomes) => failures(rows, outcomes, changes).map(|()| false),
            Self::Unheard(unheard) => told_again(unheard, answer),
            Self::Anything => Ok(false),
        }
    }
}

/// The tasks that are open again.
fn back(changes: &[Change]) -> BTreeSet<TaskId> {
    let back = changes.iter().filter_map(|change| match change {
        Change::Back { task, .. } => Some(*task),
        _ => None,
    });
    back.collect()
}

fn released(
    rows: &Rows,
    held: &BTreeSet<TaskId>,
    answer: Option<&Answer>,
    changes: &[Change],
) -> Check {
    let Some(Answer::Released { released, .. }) = answer else {
        return match back(changes).first() {
            Some(&task) => {
                Err(format!("'{}' is given back, and it is refused", name_of(rows, task)))
            }
            None => Ok(()),
        };
    };
    let more_needs = |change: &Change| match change {
        Change::Needs { task, .. } => Some(*task).filter(|task| !held.contains(task)),
        _ => None,
    };
    if let Some(task) = changes.iter().find_map(more_needs) {
        return Err(format!(
            "'{}' is not given back, and gets more to wait for",
            name_of(rows, task)
        ));
    }
    let back = back(changes);
    if let Some(&task) = back.symmetric_difference(held).next() {
        let name = name_of(rows, task);
        return Err(match held.contains(&task) {
            true => format!("'{name}' is to be given back and is not"),
            false => format!("'{name}' is given back, and nobody asked for it"),
        });
    }
    match *released == held.len() as u64 {
        true => Ok(()),
        false => Err(format!("{released} are told released, and {} were", held.len())),
    }
}

fn exited(rows: &Rows, answer: Option<&Answer>, changes: &[Change]) -> Check {
    let Some(Answer::Exited { released, .. }) = answer else {
        return Ok(());
    };
    let back = back(changes);
    let holders = back.iter().filter_map(|task| rows.leases.get(task)).map(|lease| lease.worker);
    let holders: BTreeSet<WorkerId> = holders.collect();
    let held = rows.leases.iter().filter(|(_, lease)| holders.contains(&lease.worker));
    if let Some((&task, _)) = held.into_iter().find(|(task, _)| !back.contains(task)) {
        return Err(format!("'{}' stays with a worker that left", name_of(rows, task)));
    }
    match holders.len() <= 1 && *released == back.len() as u64 {
        true => Ok(()),
        false => {
            Err(format!("{released} of one worker are released, {back:?} of {holders:?} were"))
        }
    }
}

/// By the retries that are left, and by whether its worker wants another try.
fn failures(rows: &Rows, outcomes: &[Outcome], changes: &[Change]) -> Check {
    for change in changes {
        let Change::Ended { task, attempt, how: Ended::Failed, .. } = *change else {
            continue;
        };
        let Some(row) = rows.get(task) else {
            continue;
        };
        let is_it = |outcome: &&Outcome| {
            outcome.name == row.name && (outcome.attempt == 0 || outcome.attempt == attempt)
        };
        let is_final = outcomes.iter().find(is_it).is_some_and(|outcome| outcome.is_final);
        let is_over = is_final || row.failures + 1 > row.retries;
        let is_finished = changes.iter().any(|change| {
            matches!(change, Change::Finished { task: it, state: State::Failed, .. } if *it == task)
        });
        if is_over != is_finished {
            return Err(format!(
                "'{}' failed {} times before, of {} retries, final: {is_final}; is over: {is_finished}",
                row.name, row.failures, row.retries
            ));
        }
    }
    Ok(())
}

fn told_again(unheard: &BTreeSet<(Name, u32)>, answer: Option<&Answer>) -> Result<bool, String> {
    let told = match answer {
        Some(Answer::Stolen(stolen)) => stolen,
        // It came too late, or there is no room for it.
        Some(_) => return Ok(false),
        None if unheard.is_empty() => return Ok(false),
        None => return Err(format!("{unheard:?} may be unheard of, and the steal is parked")),
    };
    if unheard.is_empty() {
        return Ok(false);
    }
    let leases = told.leases.iter().map(|lease| (lease.name.clone(), lease.attempt));
    let leases: BTreeSet<(Name, u32)> = leases.collect();
    match leases == *unheard && !told.fresh {
        true => Ok(true),
        false => Err(format!("{unheard:?} may be unheard of, and {leases:?} are told")),
    }
}
