//! What is still known of tasks whose rows cannot be read.
//!
//! The index of the names has their ids, and that of the states has those that are not done. So others can go
//! on: what they need that is done counts as done, and what nobody can run any more as failed.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::row::{FailureRow, TASK_LARGE, TASK_ROW, task_row};
use crate::engine::archive::Page;
use crate::engine::message::TaskRow;
use crate::engine::message::*;
use crate::engine::scheduler::{DAMAGED, State};
use crate::store::damage::unless_damaged;
use crate::store::tables::row::{filter, try_need};
use crate::store::{FINISHED, OPEN, Store, StoreError, unix_ms};

/// Tasks that were open and cannot be read, by id; with their names, as far as these are known.
pub type Lost = BTreeMap<TaskId, Option<String>>;

/// Of a task that was finished before.
const UNREAD: &str = "its row cannot be read";

/// What stands for the name of a task that cannot be read.
pub fn lost_name(id: TaskId) -> Name {
    format!("task {id}, which cannot be read").into()
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
    Ok(if is_open(db, id)? { State::Failed } else { State::Done })
}

fn is_open(db: &Connection, id: TaskId) -> rusqlite::Result<bool> {
    let mut select = db.prepare_cached(
        "SELECT 1 FROM tasks INDEXED BY tasks_undone WHERE state = ?1 AND id = ?2 AND state <> 5",
    )?;
    select.exists([OPEN, id as i64])
}

/// The task of this name, by the index of the names.
pub fn id_by_index(db: &Connection, name: &str) -> rusqlite::Result<Option<TaskId>> {
    let mut select = db.prepare_cached("SELECT id FROM tasks WHERE name = ?1")?;
    let id = select.query_row([name], |row| row.get::<_, i64>(0)).optional()?;
    Ok(id.map(|id| id as TaskId))
}

/// These of them have names, by the index of the names.
pub fn name_lost(db: &Connection, ids: &[i64]) -> rusqlite::Result<Lost> {
    let mut lost: Lost = ids.iter().map(|&id| (id as TaskId, None)).collect();
    let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(lost) };
    let mut name = || -> rusqlite::Result<()> {
        let mut select = db.prepare(
            "SELECT id, name FROM tasks INDEXED BY sqlite_autoindex_tasks_1
             WHERE id BETWEEN ?1 AND ?2",
        )?;
        let mut rows = select.query([first, last])?;
        while let Some(row) = rows.next()? {
            if let Some(name) = lost.get_mut(&(row.get::<_, i64>(0)? as TaskId)) {
                *name = Some(row.get(1)?);
            }
        }
        Ok(())
    };
    // That index may be damaged too.
    unless_damaged(name())?;
    Ok(lost)
}

/// How many tasks are finished in each way, by the indices: what was written of damaged rows may have been left out.
pub fn count_finished(db: &Connection) -> rusqlite::Result<Vec<(State, u64)>> {
    let count = |sql: &str, state| {
        db.query_row(sql, [state], |row| row.get::<_, i64>(0)).map(|count| count.max(0) as u64)
    };
    let all = "SELECT count(*) FROM tasks INDEXED BY sqlite_autoindex_tasks_1 WHERE ?1 > 0";
    let undone = "SELECT count(*) FROM tasks INDEXED BY tasks_undone WHERE state <> 5 AND ?1 > 0";
    let of = "SELECT count(*) FROM tasks INDEXED BY tasks_undone WHERE state <> 5 AND state = ?1";
    let counted = |state| match state {
        State::Done => Ok((state, count(all, 1)?.saturating_sub(count(undone, 1)?))),
        state => Ok((state, count(of, state as i64)?)),
    };
    FINISHED.into_iter().map(counted).collect()
}

/// Why it is skipped, by the index of those that are.
fn blame_by_index(db: &Connection, id: TaskId) -> rusqlite::Result<Option<TaskId>> {
    let mut select = db.prepare_cached(
        "SELECT blame FROM tasks INDEXED BY tasks_skipped WHERE blame IS NOT NULL AND id = ?1",
    )?;
    let blame = select.query_row([id as i64], |row| row.get::<_, i64>(0)).optional()?;
    Ok(blame.map(|blame| blame as TaskId))
}

impl Store {
    /// A dependency, also one that cannot be read, or is not there at all.
    pub(crate) fn need_or_lost(&self, db: &Connection, id: TaskId) -> rusqlite::Result<Need> {
        let state = match unless_damaged(try_need(db, id).optional())? {
            Some(Some(need)) => return Ok(need),
            Some(None) => State::Failed,
            None => state_by_index(db, id)?,
        };
        Ok(Need { id, name: self.name_by_index(db, id)?.into(), state, blame: id })
    }

    /// How many the start has found lost.
    pub fn lost_count(&self) -> usize {
        self.lost.borrow().len()
    }

    /// The first of them, by name.
    pub fn lost_names(&self, most: usize) -> Vec<String> {
        let lost = self.lost.borrow();
        let name = |(id, name): (&TaskId, &Option<String>)| {
            name.clone().unwrap_or_else(|| lost_name(*id).into())
        };
        lost.iter().take(most).map(name).collect()
    }

    /// In place of the row: what other tables and the indices have of it.
    pub(crate) fn lost_row(&self, db: &Connection, id: TaskId) -> Result<TaskRow, StoreError> {
        let name = self.name_by_index(db, id)?;
        let state = state_by_index(db, id)?;
        let mut row =
            TaskRow { id, name, finished: Some(state), is_lost: true, ..TaskRow::default() };
        if is_open(db, id)? {
            row.reason = DAMAGED.into();
            return Ok(row);
        }
        if state == State::Skipped {
            row.blame = unless_damaged(blame_by_index(db, id))?.flatten();
        }
        let last = self.last_attempt(id, false)?.unwrap_or_default();
        (row.attempt, row.worker, row.exit_code) = (last.attempt, last.worker, last.exit_code);
        (row.ended_ms, row.run_ms) = (last.ended_ms, last.ended_ms - last.started_ms);
        row.reason = last.reason;
        if row.reason.is_empty() && row.exit_code == 0 {
            row.reason = UNREAD.into();
        }
        Ok(row)
    }

    /// Puts those that are lost between the failed ones of a page.
    pub(crate) fn add_lost(
        &self,
        back: bool,
        end: i64,
        most: usize,
        page: &mut Vec<TaskRow>,
    ) -> Result<(), StoreError> {
        let upto = page.last().map(|row| row.id as i64);
        let ids = self.lost_between(back, end, upto);
        if ids.is_empty() {
            return Ok(());
        }
        let db = self.db()?;
        let ids: Vec<_> = match back {
            true => ids.into_iter().rev().take(most).collect(),
            false => ids.into_iter().take(most).collect(),
        };
        for id in ids {
            page.push(self.lost_row(&db, id)?);
        }
        page.sort_by_key(|row| row.id);
        if back {
            page.reverse();
        }
        page.truncate(most);
        Ok(())
    }

    /// From behind one id, or before it, to another one.
    fn lost_between(&self, back: bool, end: i64, upto: Option<i64>) -> Vec<TaskId> {
        let is_between = |id: &&TaskId| {
            let id = **id as i64;
            match back {
                true => id < end && upto.is_none_or(|upto| id > upto),
                false => id > end && upto.is_none_or(|upto| id < upto),
            }
        };
        self.lost.borrow().keys().filter(is_between).copied().collect()
    }

    /// Those with ids from one to another.
    pub(crate) fn lost_of(&self, first: i64, last: i64) -> Vec<TaskId> {
        self.lost_between(false, first - 1, Some(last + 1))
    }

    /// The newest failures, with those that are lost, each row by itself.
    pub(crate) fn failures_or_lost(&self, most: usize) -> Result<Vec<FailureRow>, StoreError> {
        let mut rows: Vec<TaskRow> = Vec::new();
        // A page ends with a row that can be read, if it has one: what is lost before that comes with the next.
        while rows.len() < most {
            let from = rows.last().map_or(TaskId::MAX, |row| row.id);
            let page = self.page_before(Page::Dead(State::Failed), from, most - rows.len())?;
            if page.is_empty() {
                break;
            }
            rows.extend(page);
        }
        let failure = |row: TaskRow| {
            let TaskRow { name, exit_code, reason, .. } = row;
            FailureRow { name, exit_code, reason }
        };
        Ok(rows.into_iter().map(failure).collect())
    }

    /// On from a row that cannot be read, each by itself, until one can be, or there are enough.
    pub(crate) fn read_one_by_one(
        &self,
        which: Page,
        back: bool,
        from: i64,
        most: usize,
        page: &mut Vec<TaskRow>,
    ) -> Result<(), StoreError> {
        let db = self.db()?;
        let sql = format!("SELECT {TASK_LARGE}, {TASK_ROW} WHERE t.id = ?2 AND {}", filter(which));
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
                    let row = self.lost_row(&db, id as TaskId)?;
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
        filter(which)
    );
    let found = db.prepare_cached(&sql)?.query_row([id], |row| row.get::<_, Option<i64>>(0))?;
    Ok(found.unwrap_or(0))
}
