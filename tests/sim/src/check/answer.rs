//! Nothing is said that is not committed.

use dhub::engine::message::*;
use dhub::engine::scheduler::State;

use super::Check;
use crate::message::Ask;
use crate::store::{Row, Rows};

/// An answer about to leave, beside what the store would have after a loss of power.
pub fn is_committed(ask: &Ask, answer: &Answer, committed: &Rows) -> Check {
    let Ask::Request(Request { who, body, .. }) = ask else {
        return Ok(());
    };
    match (body, answer) {
        (Body::Create { tasks, merge }, Answer::Created { .. }) => {
            tasks.iter().try_for_each(|task| task_is_there(committed, task, *merge))
        }
        (Body::Create { tasks, .. }, Answer::Error { code: Code::Cycle, names, .. }) => {
            cycle_is_real(committed, tasks, names)
        }
        (Body::Create { tasks, .. }, Answer::Error { code: Code::Conflict, names, .. }) => {
            names.iter().try_for_each(|name| conflict_is_real(committed, tasks, name))
        }
        (Body::Steal(steal), Answer::Stolen(stolen)) => {
            leases_are_there(committed, who, steal, stolen)
        }
        (Body::Complete { outcomes, want }, Answer::Completed { refused, stolen }) => {
            for outcome in outcomes {
                let same = |refused: &&Refused| {
                    refused.name == outcome.name && refused.attempt == outcome.attempt
                };
                if refused.iter().find(same).is_none() {
                    outcome_is_there(committed, who, outcome)?;
                }
            }
            match (want, stolen) {
                (Some(steal), Some(stolen)) => leases_are_there(committed, who, steal, stolen),
                (None, None) => Ok(()),
                _ => Err("a Completed has leases that nobody wanted, or lacks them".into()),
            }
        }
        (Body::Release { attempts, .. }, Answer::Released { .. }) => {
            attempts.iter().try_for_each(|attempt| lease_is_gone(committed, who, attempt))
        }
        (Body::Cancel { names }, Answer::Cancelled { refused, .. }) => {
            let taken = names.iter().filter(|name| !refused.first.iter().any(|r| r.name == **name));
            taken.into_iter().try_for_each(|name| match committed.find(name) {
                Some(row) if row.cancels > 0 => Ok(()),
                _ => Err(format!("'{name}' is told cancelled and is not")),
            })
        }
        (Body::Adjust { names, to }, Answer::Adjusted { refused, .. }) => {
            let taken = names.iter().filter(|name| !refused.first.iter().any(|r| r.name == **name));
            // Or it was so before, and another has changed it since.
            let is_so = |row: &Row| match *to {
                Adjustment::Held(held) => row.held == held,
                Adjustment::Priority(priority) => row.priority == priority,
            };
            taken.into_iter().try_for_each(|name| match committed.find(name) {
                Some(row) if is_so(row) || row.adjusts > 0 => Ok(()),
                _ => Err(format!("'{name}' is told adjusted and is not")),
            })
        }
        (Body::Await { names, .. }, Answer::Awaited { finished, unknown, .. }) => {
            finished.iter().try_for_each(|name| was_finished(committed, name))?;
            match finished.iter().chain(unknown).find(|name| !names.contains(name)) {
                Some(name) => Err(format!("'{name}' is told of, and was not asked for")),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// It is, or a person has had it run again since.
fn was_finished(rows: &Rows, name: &Name) -> Check {
    match rows.find(name) {
        Some(row) if row.state.is_finished() || row.reopens > 0 => Ok(()),
        _ => Err(format!("'{name}' is told finished and is not")),
    }
}

fn task_is_there(rows: &Rows, task: &NewTask, merge: bool) -> Check {
    match rows.find(&task.name) {
        Some(row) if row.state == State::Missing => {
            Err(format!("'{}' is told created and is missing", task.name))
        }
        Some(row) if merge || row.definition == task.definition => Ok(()),
        Some(_) => Err(format!("'{}' is told created with another definition", task.name)),
        None => Err(format!("'{}' is told created and is not stored", task.name)),
    }
}

/// Stored as told, or used up since.
fn leases_are_there(rows: &Rows, who: &Who, steal: &Steal, stolen: &Stolen) -> Check {
    // What earlier steals were given is told however little this one wants.
    if stolen.fresh && stolen.leases.len() > steal.n as usize {
        return Err(format!("{} leases for a steal of {}", stolen.leases.len(), steal.n));
    }
    let worker = rows.worker(who);
    for leased in &stolen.leases {
        let held = rows.leases.get(&leased.id).is_some_and(|lease| {
            // With client and number, or a repeat would not find it after a restart.
            let numbers = match steal.replaces {
                0 => steal.number..=steal.number,
                first => first..=steal.number,
            };
            (lease.client == steal.client && numbers.contains(&lease.number))
                && lease.attempt == leased.attempt
                && Some(lease.worker) == worker
        });
        let used = rows.get(leased.id).is_some_and(|row| row.attempt >= leased.attempt);
        if !held && !used {
            return Err(format!(
                "attempt {} of '{}' is told leased and is not stored",
                leased.attempt, leased.name
            ));
        }
    }
    Ok(())
}

/// An accepted outcome is the stored one of the attempt that it names.
fn outcome_is_there(rows: &Rows, who: &Who, outcome: &Outcome) -> Check {
    let how = match outcome.verdict {
        Verdict::Done => Ended::Done,
        Verdict::Failed => Ended::Failed,
    };
    let is_stored = rows.find(&outcome.name).is_some_and(|row| {
        row.attempts.iter().any(|ended| {
            ended.how == how
                && rows.may_act(who, ended.worker)
                && (outcome.attempt == 0 || outcome.attempt == ended.attempt)
        })
    });
    if !is_stored {
        return Err(format!(
            "{:?} of attempt {} of '{}' is told recorded and is not stored",
            outcome.verdict, outcome.attempt, outcome.name
        ));
    }
    Ok(())
}

/// Released or refused alike: the attempt is off the worker.
fn lease_is_gone(rows: &Rows, who: &Who, attempt: &AttemptRef) -> Check {
    let Some(row) = rows.find(&attempt.name) else {
        return Ok(());
    };
    match rows.leases.get(&row.id) {
        Some(lease) if lease.attempt == attempt.attempt && rows.may_act(who, lease.worker) => {
            Err(format!("'{}' is told released and is leased", attempt.name))
        }
        _ => Ok(()),
    }
}

fn cycle_is_real(rows: &Rows, tasks: &[NewTask], names: &[Name]) -> Check {
    let waits_for = |name: &Name, need: &Name| {
        let asked = tasks.iter().any(|task| task.name == *name && task.needs.contains(need));
        let stored = rows.find(name).zip(rows.find(need));
        asked || stored.is_some_and(|(row, need)| row.needs.contains(&need.id))
    };
    let is_closed = names.len() > 1 && names.first() == names.last();
    if !is_closed || !names.windows(2).all(|pair| waits_for(&pair[0], &pair[1])) {
        return Err(format!("a Create is refused for a cycle that is none: {names:?}"));
    }
    Ok(())
}

fn conflict_is_real(rows: &Rows, tasks: &[NewTask], name: &Name) -> Check {
    let mut definitions = tasks.iter().filter(|task| task.name == *name).map(|t| t.definition);
    let first = definitions.next();
    let stored = rows.find(name).filter(|row| row.state != State::Missing);
    let differs = |row: &Row| Some(row.definition) != first;
    if !stored.is_some_and(differs) && definitions.all(|other| Some(other) == first) {
        return Err(format!("'{name}' is refused for a conflict that is none"));
    }
    Ok(())
}

/// A repeat takes the place of its original, since only the repeat is waited for; a late copy of an
/// older steal takes nobody's. `kept` is the other of the two.
pub fn older_is_replaced(replaced: &Ask, kept: Option<&Ask>, replaced_is_new: bool) -> Check {
    let Some((who, old)) = replaced.steal() else {
        return Ok(());
    };
    let Some((_, kept)) = kept.and_then(Ask::steal) else {
        return Err(format!("steal {} of {} is dropped for no other", old.number, who.name));
    };
    let (old, kept) = (old.number, kept.number);
    if old > kept || (old == kept && replaced_is_new) {
        return Err(format!("steal {old} of {} is dropped for steal {kept}", who.name));
    }
    Ok(())
}
