//! Each change, before it is written: legal from where the store stands, and with a reason.

use dhub::engine::message::*;
use dhub::engine::scheduler::State;

use super::{Cause, Check, name_of};
use crate::store::{Moment, Row, Rows};

pub fn check(rows: &Rows, change: &Change, cause: Cause, at: Moment) -> Check {
    match change {
        Change::Added { id, task, adopted, .. } => name_is_new(rows, *id, &task.name, *adopted),
        Change::Missing { id, name } => name_is_new(rows, *id, name, false),
        Change::Needs { task, .. } => is_open(rows, *task).map(drop),
        Change::Worker { id, who } => worker_is_new(rows, *id, who),
        Change::Host { id, host } => match rows.workers.get(id) {
            Some(who) if who.host.is_empty() && !host.is_empty() => Ok(()),
            other => Err(format!("worker {id} is said to be at '{host}', stored: {other:?}")),
        },
        Change::Key { id, key } => match rows.workers.get(id) {
            Some(who) if who.key == UNKNOWN && key != UNKNOWN => Ok(()),
            other => Err(format!("worker {id} is said to be of '{key}', stored: {other:?}")),
        },
        Change::Leased { task, attempt, client, number, .. } => {
            let row = is_open(rows, *task)?;
            lease_is_the_only_one(rows, row)?;
            attempt_is_the_next(row, *attempt)?;
            dependencies_are_done(rows, row)?;
            is_not_held(row)?;
            number_is_granted_once(rows, client.as_ref(), *number, at)
        }
        Change::Back { task, attempt, .. } => {
            let row = is_open(rows, *task)?;
            attempt_is_the_newest(row, *attempt)?;
            lease_ends_for_a_reason(rows, row, cause)
        }
        Change::Ended { task, attempt, how, .. } => {
            let row = is_open(rows, *task)?;
            match cause == Cause::Damaged && !rows.leases.contains_key(task) {
                // Nobody made it.
                true => attempt_is_the_next(row, *attempt)?,
                false => attempt_is_the_newest(row, *attempt)?,
            }
            outcome_is_the_first(row, *attempt)?;
            attempt_counts(row, *attempt, *how)?;
            outcome_has_a_reason(row, *how, cause)?;
            reclaim_is_due(rows, row, cause, at)
        }
        Change::Finished { task, state, attempt, blame, .. } => {
            let row = is_open(rows, *task)?;
            attempt_is_the_newest(row, *attempt)?;
            end_has_its_outcome(row, *state, cause)?;
            skip_has_a_dead_dependency(rows, row, *state, *blame)
        }
        Change::Adjusted { task, held, .. } => match cause {
            Cause::Adjust => is_open(rows, *task).map(drop),
            // With its end.
            _ if !held && rows.get(*task).is_some_and(|row| row.held) => Ok(()),
            _ => Err(format!("'{}' is adjusted by a {cause:?}", name_of(rows, *task))),
        },
        Change::Reopened { task } => done_is_never_undone(rows, *task, cause),
        Change::Blamed { task, blame } => blame_can_be_retried(rows, *task, *blame),
        Change::Told { .. } | Change::Untold { .. } => {
            Err("the scheduler keeps no requests".into())
        }
    }
}

fn name_is_new(rows: &Rows, id: TaskId, name: &str, adopted: bool) -> Check {
    match (rows.get(id), rows.find(name)) {
        (None, None) if !adopted => Ok(()),
        (Some(row), Some(found))
            if adopted && row.id == found.id && row.state == State::Missing =>
        {
            Ok(())
        }
        _ => {
            Err(format!("'{name}' is added as task {id}, adopted: {adopted}; name or id is taken"))
        }
    }
}

fn worker_is_new(rows: &Rows, id: WorkerId, who: &Who) -> Check {
    if rows.workers.contains_key(&id) || rows.worker(who).is_some() {
        return Err(format!("worker {id} '{}' is stored a second time", who.name));
    }
    Ok(())
}

fn is_open(rows: &Rows, id: TaskId) -> Result<&Row, String> {
    match rows.get(id) {
        Some(row) if row.is_open() => Ok(row),
        Some(row) => Err(format!("'{}' is changed, yet it is {:?}", row.name, row.state)),
        None => Err(format!("task {id} is changed, yet there is none")),
    }
}

fn lease_is_the_only_one(rows: &Rows, row: &Row) -> Check {
    match rows.leases.get(&row.id) {
        Some(lease) => Err(format!(
            "'{}' is leased again while worker {} holds attempt {}",
            row.name, lease.worker, lease.attempt
        )),
        None => Ok(()),
    }
}

/// Never reset, never used twice: it fences.
fn attempt_is_the_next(row: &Row, attempt: u32) -> Check {
    if attempt != row.leased + 1 {
        return Err(format!("'{}' got attempt {attempt} after {}", row.name, row.leased));
    }
    Ok(())
}

fn attempt_is_the_newest(row: &Row, attempt: u32) -> Check {
    if attempt != row.leased {
        return Err(format!(
            "'{}': attempt {attempt} is written, the newest is {}",
            row.name, row.leased
        ));
    }
    Ok(())
}

fn dependencies_are_done(rows: &Rows, row: &Row) -> Check {
    let blocks = |need: &&Row| need.state != State::Done && !need.redone;
    match rows.needs(row).find(blocks) {
        Some(need) => Err(format!(
            "'{}' is given out, yet it needs '{}', which is {:?}",
            row.name, need.name, need.state
        )),
        None => Ok(()),
    }
}

fn is_not_held(row: &Row) -> Check {
    match row.held {
        true => Err(format!("'{}' is given out, yet it is held", row.name)),
        false => Ok(()),
    }
}

/// The newest number of a client gets the same leases again, not others besides.
fn number_is_granted_once(
    rows: &Rows,
    client: Option<&ClientId>,
    number: u64,
    at: Moment,
) -> Check {
    if client.is_none() || number == 0 {
        return Ok(());
    }
    let same = |(_, lease): &(&TaskId, &crate::store::LeaseRow)| {
        lease.client.as_ref() == client && lease.number == number && lease.step != at.step
    };
    match rows.leases.iter().find(same) {
        Some((&task, _)) => Err(format!(
            "steal {number} of a client has '{}' already and is granted more",
            name_of(rows, task)
        )),
        None => Ok(()),
    }
}

fn lease_ends_for_a_reason(rows: &Rows, row: &Row, cause: Cause) -> Check {
    let has_ended = row.ended(row.leased).is_some();
    let given_back =
        matches!(cause, Cause::Release | Cause::Exit | Cause::Revoked | Cause::Undelivered);
    if rows.leases.contains_key(&row.id) && !has_ended && !given_back {
        return Err(format!("'{}' loses its lease by a {cause:?}", row.name));
    }
    Ok(())
}

/// One outcome an attempt; only a reclaim may be followed by what really came of it.
fn outcome_is_the_first(row: &Row, attempt: u32) -> Check {
    match row.ended(attempt) {
        Some(ended) if ended.how != Ended::Reclaimed => Err(format!(
            "'{}': attempt {attempt} ended a second time, after {:?}",
            row.name, ended.how
        )),
        _ => Ok(()),
    }
}

/// What was given back unstarted comes to nothing.
fn attempt_counts(row: &Row, attempt: u32, how: Ended) -> Check {
    match how {
        Ended::Done | Ended::Failed if row.given_back == attempt => {
            Err(format!("'{}': attempt {attempt} was given back, and is {how:?}", row.name))
        }
        _ => Ok(()),
    }
}

fn outcome_has_a_reason(row: &Row, how: Ended, cause: Cause) -> Check {
    let fits = match how {
        Ended::Done => cause == Cause::Complete,
        Ended::Failed => matches!(cause, Cause::Complete | Cause::Tick | Cause::Damaged),
        Ended::Reclaimed => cause == Cause::Tick,
        Ended::Cancelled => cause == Cause::Cancel,
    };
    if !fits {
        return Err(format!("'{}' is {how:?} by a {cause:?}", row.name));
    }
    Ok(())
}

/// Not before its term is over: since the last heartbeat that listed it, since the start of the
/// hub, and with each pause of the hub itself added. What the wall clock says does not count.
fn reclaim_is_due(rows: &Rows, row: &Row, cause: Cause, at: Moment) -> Check {
    if cause != Cause::Tick {
        return Ok(());
    }
    match rows.leases.get(&row.id) {
        None => Err(format!("'{}' is reclaimed, yet nobody holds it", row.name)),
        Some(lease) if lease.expires > at.now => Err(format!(
            "'{}' is reclaimed {} ms before its lease is over",
            row.name,
            lease.expires - at.now
        )),
        Some(_) => Ok(()),
    }
}

fn end_has_its_outcome(row: &Row, state: State, cause: Cause) -> Check {
    let how = row.ended(row.leased).map(|ended| ended.how);
    let fits = match state {
        State::Done => how == Some(Ended::Done),
        State::Failed => how == Some(Ended::Failed),
        State::Cancelled => cause == Cause::Cancel,
        State::Skipped => how != Some(Ended::Done) || row.redone,
        _ => false,
    };
    if !fits {
        return Err(format!("'{}' is {state:?}, its newest attempt {how:?}", row.name));
    }
    Ok(())
}

fn skip_has_a_dead_dependency(rows: &Rows, row: &Row, state: State, blame: TaskId) -> Check {
    if state != State::Skipped {
        return Ok(());
    }
    if !rows.needs(row).any(|need| need.state.is_dead()) {
        return Err(format!("'{}' is skipped, yet no dependency of it is dead", row.name));
    }
    blame_can_be_retried(rows, row.id, blame)
}

/// Failed or cancelled; or back by now, by a retry that has not come to this task yet, or never
/// will: one that was cut off, or a circle of skipped tasks.
fn blame_can_be_retried(rows: &Rows, task: TaskId, blame: TaskId) -> Check {
    match rows.get(blame).map(|row| row.state) {
        Some(State::Failed | State::Cancelled | State::Waiting | State::Done) => Ok(()),
        state => Err(format!(
            "'{}' is blamed on '{}', which is {state:?}",
            name_of(rows, task),
            name_of(rows, blame)
        )),
    }
}

fn done_is_never_undone(rows: &Rows, task: TaskId, cause: Cause) -> Check {
    let Some(row) = rows.get(task) else {
        return Err(format!("task {task} is brought back, yet there is none"));
    };
    match (row.state, cause) {
        (State::Failed | State::Skipped | State::Cancelled, Cause::Revive { .. }) => Ok(()),
        (State::Done, Cause::Revive { done: true }) => Ok(()),
        (state, cause) => Err(format!("'{}' was {state:?}; a {cause:?} brings it back", row.name)),
    }
}
