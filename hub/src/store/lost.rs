//! What is still known of tasks whose rows cannot be read.
//!
//! The index of the names has their ids, and that of the states has those that are not done. So others can go
//! on: what they need that is done counts as done, and what nobody can run any more as failed.

use rusqlite::{Connection, OptionalExtension, params};

use super::damage::unless_damaged;
use super::read::Page;
use super::restore::try_need;
use super::row::{TASK_LARGE, TASK_ROW, TaskRow, task_row};
use super::{OPEN, Store, StoreError, unix_ms};
use crate::scheduler::message::*;
use crate::scheduler::{DAMAGED, State};

/// What stands for the name of a task that cannot be read.
pub fn lost_name(id: TaskId) -> Name {
    format!("task {id}, which cannot be read").into()
}

/// A dependency, also one that cannot be read.
pub fn need_or_lost(db: &Connection, id: TaskId) -> rusqlite::Result<Need> {
    match unless_damaged(try_need(db, id))? {
        Some(need) => Ok(need),
        None => Ok(Need { id, name: lost_name(id), state: state_by_index(db, id)?, blame: id }),
    }
}

/// The state of a task whose row cannot be read, by the index of those that are not done. One that is open counts as
/// failed: nobody knows what it was to run.
pub fn state_by_index(db: &Connection, id: TaskId) -> rusqlite::Result<State> {
    let mut select = db.prepare_cached(
        "SELECT 1 FROM tasks INDEXED BY tasks_undone WHERE state = ?1 AND id = ?2 AND state <> 5",
    )?;
    for state in [State::Missing, State::Skipped, State::Cancelled, State::Failed] {
        if select.exists([state as i64, id as i64])? {
            return Ok(state);
        }
    }
    let is_open = select.exists([OPEN, id as i64])?;
    Ok(if is_open { State::Failed } else { State::Done })
}

/// The task of this name, by the index of the names.
pub fn id_by_index(db: &Connection, name: &str) -> rusqlite::Result<Option<TaskId>> {
    let mut select = db.prepare_cached("SELECT id FROM tasks WHERE name = ?1")?;
    let id = select.query_row([name], |row| row.get::<_, i64>(0)).optional()?;
    Ok(id.map(|id| id as TaskId))
}

/// In place of the row.
pub fn lost_row(db: &Connection, id: TaskId) -> rusqlite::Result<TaskRow> {
    let finished = Some(state_by_index(db, id)?);
    let reason = DAMAGED.into();
    Ok(TaskRow { id, name: lost_name(id).into(), finished, reason, ..TaskRow::default() })
}

impl Store {
    /// On from a row that cannot be read, each by itself, until one can be, or there are enough.
    pub(super) fn read_one_by_one(
        &self,
        which: Page,
        back: bool,
        from: i64,
        most: usize,
        page: &mut Vec<TaskRow>,
    ) -> Result<(), StoreError> {
        let db = self.db()?;
        let sql = format!("SELECT {TASK_LARGE}, {TASK_ROW} WHERE t.id = ?2 AND {}", which.filter());
        let mut select = db.prepare_cached(&sql)?;
        let last: i64 =
            db.query_row("SELECT coalesce(max(id), 0) FROM tasks", [], |row| row.get(0))?;
        let mut id = if back { from.min(last + 1) } else { from };
        loop {
            id = next_id(&db, which, back, id)?;
            if id < 1 || id > last || page.len() >= most {
                return Ok(());
            }
            let found = select.query_row(params![unix_ms(), id], task_row).optional();
            match unless_damaged(found)? {
                Some(Some(row)) => {
                    page.push(row);
                    return Ok(());
                }
                Some(None) => {}
                None => {
                    let row = lost_row(&db, id as TaskId)?;
                    page.extend(which.has_finished(row.finished).then_some(row));
                }
            }
        }
    }
}

/// The next one to look at: by the index, where one has those that are meant, which is read without the rows. 0: none.
fn next_id(db: &Connection, which: Page, back: bool, id: i64) -> rusqlite::Result<i64> {
    if matches!(which, Page::Any | Page::All) {
        return Ok(if back { id - 1 } else { id + 1 });
    }
    let (end, than) = if back { ("max", "<") } else { ("min", ">") };
    let sql = format!(
        "SELECT {end}(t.id) FROM tasks t INDEXED BY tasks_undone WHERE {} AND t.id {than} ?1",
        which.filter()
    );
    let found = db.prepare_cached(&sql)?.query_row([id], |row| row.get::<_, Option<i64>>(0))?;
    Ok(found.unwrap_or(0))
}
