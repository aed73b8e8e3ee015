//! The turns of the redo log, on tables that may lack what they rest on.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::doubts::Doubts;
use super::{Rescued, known};
use crate::engine::message::*;
use crate::engine::scheduler::State;
use crate::store::log::{Records, decode};
use crate::store::{Batch, OPEN, fold};

/// Adds them to the tables, which end with the turn `base`; the last turn there was.
pub fn replay(
    db: &Connection,
    records: &Records,
    base: Turn,
    is_sound: bool,
    rescued: &mut Rescued,
) -> rusqlite::Result<Turn> {
    if !is_sound {
        bring_back(db, records, base)?;
    }
    let mut last = base;
    let mut doubts = Doubts::default();
    // What joins is applied as it is, and what comes behind a gap as far as it fits.
    let mut joins = is_sound;
    for (&turn, body) in records.turns().range(base + 1..) {
        if turn != last + 1 {
            rescued.lost.push(turns(last + 1, turn - 1));
            joins = false;
        }
        last = turn;
        let Some(batch) = decode(turn, body) else {
            rescued.lost.push(turns(turn, turn));
            joins = false;
            continue;
        };
        let batches = [batch];
        if joins && fold(db, &batches).is_ok() {
            continue;
        }
        joins = false;
        let [batch] = batches;
        for change in batch.changes.clone() {
            match fit(db, &batch, change)? {
                Fit::Doubtful { about, what } => doubts.add(turn, about, what),
                Fit::Unknown(id) => doubts.add_unknown(turn, id),
                Fit::Applied | Fit::Known => {}
            }
        }
    }
    rescued.doubt.extend(doubts.lines());
    if records.safe > last {
        rescued.lost.push(turns(last + 1, records.safe));
        last = records.safe;
    } else if let Some(doubt) = records.doubt(base) {
        rescued.doubt.push(doubt.to_string());
    }
    Ok(last)
}

fn turns(first: Turn, last: Turn) -> String {
    match first == last {
        true => format!("turn {first} of the redo log"),
        false => format!("turns {first} to {last} of the redo log"),
    }
}

/// Tasks whose rows are lost may have been added so late that the log still has all about them: that
/// is so if no turn is missing since.
fn bring_back(db: &Connection, records: &Records, base: Turn) -> rusqlite::Result<()> {
    let mut first = base + 1;
    for (&turn, _) in records.turns().range(..=base).rev() {
        if turn + 1 != first {
            break;
        }
        first = turn;
    }
    let mut brought = HashSet::new();
    for (&turn, body) in records.turns().range(first..base + 1) {
        let Some(batch) = decode(turn, body) else { return Ok(()) };
        for change in batch.changes.clone() {
            let id = about(&change);
            let is_added = matches!(change, Change::Added { .. } | Change::Missing { .. });
            if is_added && id.is_some_and(|id| !brought.contains(&id)) {
                if let Fit::Applied = fit(db, &batch, change)? {
                    brought.extend(id);
                }
            } else if id.is_none_or(|id| brought.contains(&id)) {
                fit(db, &batch, change)?;
            }
        }
    }
    Ok(())
}

/// Which task it is about; None: a worker, or a request.
fn about(change: &Change) -> Option<TaskId> {
    Some(match change {
        Change::Added { id, .. } | Change::Missing { id, .. } => *id,
        Change::Worker { .. } | Change::Host { .. } | Change::Key { .. } => return None,
        Change::Told { .. } | Change::Untold { .. } => return None,
        Change::Needs { task, .. }
        | Change::Leased { task, .. }
        | Change::Back { task, .. }
        | Change::Ended { task, .. }
        | Change::Finished { task, .. }
        | Change::Reopened { task }
        | Change::Blamed { task, .. }
        | Change::Adjusted { task, .. } => *task,
    })
}

/// What became of a change.
enum Fit {
    Applied,
    /// The tables have it, or something newer; or it is of a task that is lost, and that is told.
    Known,
    /// The tables do not have such a task.
    Unknown(TaskId),
    Doubtful {
        about: String,
        what: String,
    },
}

impl Fit {
    fn doubtful(name: &str, what: impl Into<String>) -> Self {
        Self::Doubtful { about: format!("task {name}"), what: what.into() }
    }
}

struct Row {
    name: String,
    state: i64,
    attempt: u32,
}

/// Makes a change if the tables agree with it.
fn fit(db: &Connection, batch: &Batch, mut change: Change) -> rusqlite::Result<Fit> {
    let row = match about(&change) {
        Some(id) => db
            .query_row("SELECT name, state, attempt FROM tasks WHERE id = ?1", [id as i64], |row| {
                Ok(Row { name: row.get(0)?, state: row.get(1)?, attempt: row.get(2)? })
            })
            .optional()?,
        None => None,
    };
    let missing = State::Missing as i64;
    match (&mut change, row) {
        (Change::Added { task, adopted, .. }, Some(row)) => {
            if row.name != *task.name {
                return Ok(Fit::doubtful(&task.name, "the addition"));
            }
            if row.state != missing {
                return Ok(Fit::Known);
            }
            *adopted = true;
        }
        (Change::Added { adopted, .. }, None) => *adopted = false,
        (Change::Missing { .. }, Some(_)) => return Ok(Fit::Known),
        (Change::Missing { .. }, None) => {}
        (change, None) if about(change).is_none() => {}
        (change, None) => {
            let id = about(change).unwrap_or_default();
            let state = match change {
                Change::Finished { state, .. } => Some(*state as i64),
                Change::Reopened { .. } => Some(OPEN),
                _ => None,
            };
            return Ok(if known::became(db, id, state)? { Fit::Known } else { Fit::Unknown(id) });
        }
        (Change::Leased { task, attempt, .. }, Some(row)) => {
            if row.state != OPEN || *attempt <= row.attempt {
                return Ok(Fit::Known);
            }
            db.execute("DELETE FROM leases WHERE task = ?1", [*task as i64])?;
        }
        (Change::Back { attempt, .. }, Some(row))
            if row.state != OPEN || *attempt < row.attempt =>
        {
            return Ok(Fit::Known);
        }
        (Change::Finished { state, .. }, Some(row)) if row.state != OPEN => {
            return Ok(match row.state == *state as i64 {
                true => Fit::Known,
                false => Fit::doubtful(&row.name, format!("became {state:?}").to_lowercase()),
            });
        }
        (Change::Needs { needs, .. }, Some(row)) if row.state != OPEN => {
            return Ok(Fit::doubtful(&row.name, format!("{} more needs", needs.len())));
        }
        _ => {}
    }
    if let Change::Worker { id, .. } = &change
        && db.prepare("SELECT 1 FROM workers WHERE id = ?1")?.exists(params![id])?
    {
        return Ok(Fit::Known);
    }
    let (about, what) = (subject(&change), what(&change).to_owned());
    let (turn, at_ms, counts) = (batch.turn, batch.at_ms, batch.counts);
    let one = Batch { turn, at_ms, changes: vec![change], counts };
    Ok(match fold(db, &[one]) {
        Ok(()) => Fit::Applied,
        Err(_) => Fit::Doubtful { about, what },
    })
}

fn subject(change: &Change) -> String {
    match (change, about(change)) {
        (Change::Added { task, .. }, _) => format!("task {}", task.name),
        (Change::Missing { name, .. }, _) => format!("task {name}"),
        (_, Some(id)) => format!("task number {id}"),
        (Change::Told { .. } | Change::Untold { .. }, None) => "a request".into(),
        (_, None) => "a worker".into(),
    }
}

fn what(change: &Change) -> &'static str {
    match change {
        Change::Added { .. } | Change::Missing { .. } => "the addition",
        Change::Needs { .. } => "a dependency",
        Change::Worker { .. } => "the first request",
        Change::Host { .. } => "the machine",
        Change::Key { .. } => "the key",
        Change::Told { .. } | Change::Untold { .. } => "what was told",
        Change::Leased { .. } => "a lease",
        Change::Back { .. } => "the return",
        Change::Ended { .. } => "an attempt",
        Change::Finished { .. } => "the end",
        Change::Reopened { .. } => "the retry",
        Change::Blamed { .. } => "the reason to be skipped",
        Change::Adjusted { .. } => "a hold or priority",
    }
}
