//! Attempts that ended.

use rusqlite::{OptionalExtension, params};

use super::row::*;
use crate::engine::message::AttemptRow;
use crate::engine::message::*;
use crate::store::damage::unless_damaged;
use crate::store::{Store, StoreError};

impl Store {
    /// The last attempts of a task that ended, the oldest first.
    pub fn attempts(&self, task: TaskId, most: usize) -> Result<Vec<AttemptRow>, StoreError> {
        let db = self.db()?;
        let mut select = db.prepare_cached(&format!(
            "SELECT a.output, {ATTEMPT_ROW} WHERE a.task = ?1 ORDER BY a.attempt DESC LIMIT ?2"
        ))?;
        let rows = select.query_map(params![task as i64, most as i64], attempt_row)?;
        let attempts = rows.collect::<rusqlite::Result<Vec<_>>>();
        let mut attempts = unless_damaged(attempts)?.unwrap_or_default();
        attempts.reverse();
        Ok(attempts)
    }

    /// The attempt of a task that ended last.
    pub fn last_attempt(
        &self,
        task: TaskId,
        output: bool,
    ) -> Result<Option<AttemptRow>, StoreError> {
        let db = self.db()?;
        let output = if output { "a.output" } else { "NULL" };
        let mut select = db.prepare_cached(&format!(
            "SELECT {output}, {ATTEMPT_ROW} WHERE a.task = ?1 ORDER BY a.attempt DESC LIMIT 1"
        ))?;
        let attempt = select.query_row([task as i64], attempt_row).optional();
        Ok(unless_damaged(attempt)?.flatten())
    }

    /// Attempts of a task that ended, from a number on, without their output.
    pub fn attempts_after(
        &self,
        task: TaskId,
        attempt: u32,
        most: usize,
    ) -> Result<Vec<AttemptRow>, StoreError> {
        let db = self.db()?;
        let mut select = db.prepare_cached(&format!(
            "SELECT NULL, {ATTEMPT_ROW} WHERE a.task = ?1 AND a.attempt > ?2 ORDER BY a.attempt LIMIT ?3"
        ))?;
        let rows = select.query_map(params![task as i64, attempt, most as i64], attempt_row)?;
        Ok(unless_damaged(rows.collect::<rusqlite::Result<_>>())?.unwrap_or_default())
    }

    /// The newest failures, for grouping by reason.
    pub fn failures(&self, most: usize) -> Result<Vec<FailureRow>, StoreError> {
        let db = self.db()?;
        let mut select = db.prepare_cached(
            "SELECT t.name, a.exit_code, a.reason
             FROM tasks t LEFT JOIN attempts a ON a.task = t.id AND a.attempt = t.attempt
             WHERE t.state = 6 AND t.state <> 5 ORDER BY t.id DESC LIMIT ?1",
        )?;
        let rows = select.query_map([most as i64], |row| {
            Ok(FailureRow {
                name: row.get(0)?,
                exit_code: row.get::<_, Option<i32>>(1)?.unwrap_or(0),
                reason: row.get::<_, Option<String>>(2)?.unwrap_or_default(),
            })
        })?;
        match unless_damaged(rows.collect::<rusqlite::Result<_>>())? {
            Some(rows) if self.lost.borrow().is_empty() => Ok(rows),
            _ => self.failures_or_lost(most),
        }
    }
}
