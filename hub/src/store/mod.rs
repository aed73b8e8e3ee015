//! The store: one SQLite file, one connection, one transaction a turn.
//!
//! `commit` either holds all changes when it returns, or the hub must stop: there is no undo.
//! With WAL and `synchronous=FULL` what it returned for survives a loss of power.

mod check;
mod copy;
mod lock;
mod open;
mod read;

use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, params};

pub use copy::{CopyError, Copying, copy_file};
pub use lock::{FileLock, LockError};
pub use open::{Access, OpenError, Opened};
pub use read::{AttemptRow, FailureRow, Page, TaskRow};

use crate::scheduler::message::*;
use crate::scheduler::{Counts, State};

/// How the store names an open task, whether it waits, is ready or runs.
const OPEN: i64 = 2;

/// Finished states, whose totals are stored.
pub const FINISHED: [State; 4] = [State::Done, State::Failed, State::Skipped, State::Cancelled];

pub struct Store {
    /// Shared with a copy that is being made, which goes on between two commits.
    db: Rc<Connection>,
    file: Option<std::path::PathBuf>,
    totals: Counts,
    _lock: Option<FileLock>,
}

/// The disk did not take a change. What was acknowledged is safe; nothing more can be.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", if *.reading { "cannot read" } else { "cannot commit" })]
pub struct StoreError {
    reading: bool,
    source: rusqlite::Error,
}

impl From<rusqlite::Error> for StoreError {
    fn from(source: rusqlite::Error) -> Self {
        Self { reading: true, source }
    }
}

/// Milliseconds since 1970, for people: nothing is decided by it.
pub fn unix_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as i64)
}

impl Store {
    /// Stores all of it or fails.
    pub fn commit(&mut self, changes: &[Change], counts: &Counts) -> Result<(), StoreError> {
        self.try_commit(changes, counts).map_err(|source| StoreError { reading: false, source })
    }

    fn try_commit(&mut self, changes: &[Change], counts: &Counts) -> rusqlite::Result<()> {
        let now = unix_ms();
        let transaction = self.db.unchecked_transaction()?;
        for change in changes {
            write(&transaction, change, now)?;
        }
        for state in FINISHED {
            if counts.of(state) != self.totals.of(state) {
                transaction
                    .prepare_cached("UPDATE totals SET count = ?2 WHERE state = ?1")?
                    .execute(params![state as i64, counts.of(state) as i64])?;
            }
        }
        transaction.commit()?;
        self.totals = *counts;
        Ok(())
    }

    /// Moves the log into the file, at a clean stop.
    pub fn close(self) -> Result<(), StoreError> {
        let close = || -> rusqlite::Result<()> {
            if self.file.is_some() {
                self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            }
            match Rc::try_unwrap(self.db) {
                Ok(db) => db.close().map_err(|(_, error)| error),
                // A copy was under way; it is cut off, and closes the connection as it is dropped.
                Err(_) => Ok(()),
            }
        };
        close().map_err(|source| StoreError { reading: false, source })
    }

    pub fn file(&self) -> Option<&std::path::Path> {
        self.file.as_deref()
    }
}

/// One change, in one or two statements.
fn write(db: &Connection, change: &Change, now: i64) -> rusqlite::Result<()> {
    match change {
        Change::Added { id, task, needs, adopted } => {
            let details = task.details.as_deref();
            let command = details.and_then(|details| details.command.as_deref());
            let limit = details.map_or(0, |details| details.time_limit_ms as i64);
            db.prepare_cached(if *adopted {
                "UPDATE tasks SET name = ?2, state = ?3, definition = ?4, priority = ?5, retries = ?6,
                    time_limit_ms = ?7, created_ms = ?8, needs = ?9, command = ?10 WHERE id = ?1"
            } else {
                "INSERT INTO tasks (id, name, state, definition, priority, retries, time_limit_ms,
                    created_ms, needs, command) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
            })?
            .execute(params![
                *id as i64,
                task.name,
                OPEN,
                task.definition as i64,
                task.priority,
                task.retries,
                limit,
                now,
                id_list(needs),
                command
            ])?;
        }
        Change::Missing { id, name } => {
            db.prepare_cached(
                "INSERT INTO tasks (id, name, state, created_ms) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![*id as i64, name, State::Missing as i64, now])?;
        }
        Change::Needs { task, needs } => {
            db.prepare_cached(
                "UPDATE tasks SET needs = coalesce(needs || ',', '') || ?2 WHERE id = ?1",
            )?
            .execute(params![*task as i64, id_list(needs)])?;
        }
        Change::Worker { id, who } => {
            db.prepare_cached(
                "INSERT INTO workers (id, name, client, seen_ms) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![id, who.name, who.id, now])?;
        }
        Change::Leased { task, attempt, worker, client, number, term_ms } => {
            db.prepare_cached(
                "INSERT INTO leases (task, attempt, worker, client, number, term_ms, started_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                *task as i64,
                attempt,
                worker,
                client,
                *number as i64,
                *term_ms as i64,
                now
            ])?;
        }
        Change::Back { task, attempt, failures, reclaims } => {
            end_lease(db, *task)?;
            db.prepare_cached(
                "UPDATE tasks SET attempt = ?2, failures = ?3, reclaims = ?4 WHERE id = ?1",
            )?
            .execute(params![*task as i64, attempt, failures, reclaims])?;
        }
        Change::Ended { task, attempt, worker, how, report } => {
            db.prepare_cached(
                "INSERT OR REPLACE INTO attempts
                    (task, attempt, worker, started_ms, run_ms, outcome, exit_code, reason, output)
                 SELECT ?1, ?2, ?3, started, max(0, ?4 - started), ?5, ?6, ?7, ?8 FROM (
                    SELECT coalesce((SELECT started_ms FROM leases WHERE task = ?1 AND attempt = ?2),
                        (SELECT started_ms FROM attempts WHERE task = ?1 AND attempt = ?2), ?4) AS started)",
            )?
            .execute(params![
                *task as i64,
                attempt,
                worker,
                now,
                *how as i64,
                report.exit_code,
                report.reason,
                report.output
            ])?;
        }
        Change::Finished { task, state, attempt, failures, reclaims, blame } => {
            if *attempt > 0 {
                end_lease(db, *task)?;
            }
            let blame = (*state == State::Skipped).then_some(*blame as i64);
            db.prepare_cached(
                "UPDATE tasks SET state = ?2, attempt = ?3, failures = ?4, reclaims = ?5, blame = ?6
                 WHERE id = ?1",
            )?
            .execute(params![*task as i64, *state as i64, attempt, failures, reclaims, blame])?;
        }
        Change::Reopened { task } => {
            db.prepare_cached(
                "UPDATE tasks SET state = ?2, failures = 0, reclaims = 0, blame = NULL WHERE id = ?1",
            )?
            .execute(params![*task as i64, OPEN])?;
        }
        Change::Blamed { task, blame } => {
            db.prepare_cached("UPDATE tasks SET blame = ?2 WHERE id = ?1")?
                .execute(params![*task as i64, *blame as i64])?;
        }
    }
    Ok(())
}

fn end_lease(db: &Connection, task: TaskId) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM leases WHERE task = ?1")?.execute([task as i64])?;
    Ok(())
}

fn id_list(ids: &[TaskId]) -> Option<String> {
    if ids.is_empty() {
        return None;
    }
    let mut list = String::with_capacity(ids.len() * 8);
    for id in ids {
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(&id.to_string());
    }
    Some(list)
}
