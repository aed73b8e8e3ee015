//! What is read back, by name and by id.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::lost::{id_by_index, state_by_index};
use super::restore::{DETAILS_BYTES, stored_task};
use super::row::*;
use super::sum::{GIVEN_UP, fits_needs, fits_run, of_run};
use crate::engine::message::TaskRow;
use crate::engine::message::*;
use crate::engine::scheduler::State;
use crate::store::damage::unless_damaged;
use crate::store::files::paths::wal_path;
use crate::store::tables::meta::version;
use crate::store::tables::row::{parse_ids, try_need};
use crate::store::{OPEN, Store, StoreError, unix_ms};

/// The most frequent of all.
pub(crate) const LOOK_UP: &str = "SELECT t.id, t.state, t.definition, t.attempt, t.blame, a.worker
     FROM tasks t LEFT JOIN attempts a ON a.task = t.id AND a.attempt = t.attempt
     WHERE t.name = ?1";

impl Store {
    /// A worker that memory has forgotten or never knew in this life of the hub, and its host.
    pub fn find_worker(&self, who: &Who) -> Result<Option<(WorkerId, Name)>, StoreError> {
        let db = self.db()?;
        let mut select = db.prepare_cached(
            "SELECT id, host FROM workers WHERE key = ?2 AND coalesce(client, name) = ?1",
        )?;
        let known = |row: &Row| {
            let host: Option<String> = row.get(1)?;
            Ok((row.get(0)?, host.unwrap_or_default().into()))
        };
        let id = match who.id {
            Some(client) => select.query_row(params![client, &*who.key], known).optional()?,
            None => select.query_row(params![&*who.name, &*who.key], known).optional()?,
        };
        Ok(id)
    }

    /// A task that memory lacks: finished, or a name that nothing waits for any more.
    pub fn look_up(&self, name: &str) -> Result<Option<PastTask>, StoreError> {
        let db = self.db()?;
        let found = db
            .prepare_cached(LOOK_UP)?
            .query_row([name], |row| {
                let id = row.get::<_, i64>(0)? as TaskId;
                Ok(PastTask {
                    id,
                    // Open ones are in memory and are not asked for.
                    state: state(row.get(1)?).unwrap_or(State::Missing),
                    definition: row.get::<_, i64>(2)? as u64,
                    attempt: row.get(3)?,
                    blame: row.get::<_, Option<i64>>(4)?.map_or(id, |blame| blame as TaskId),
                    holder: row.get(5)?,
                })
            })
            .optional();
        if let Some(past) = unless_damaged(found)? {
            return Ok(past);
        }
        let Some(id) = id_by_index(&db, name)? else { return Ok(None) };
        let state = state_by_index(&db, id)?;
        Ok(Some(PastTask { id, state, definition: 0, attempt: 0, blame: id, holder: None }))
    }

    /// What a worker needs besides the name; None: the row is not the one that was written.
    pub fn details(&self, id: TaskId) -> Result<Option<Details>, StoreError> {
        if let Some(details) = self.details.get(id) {
            return Ok(Some(details.clone()));
        }
        let db = self.db()?;
        let found = db
            .prepare_cached(
                "SELECT command, time_limit_ms, dir, env, stdin, name, definition, retries, sum
                 FROM tasks WHERE id = ?1",
            )?
            .query_row([id as i64], |row| {
                let (details, is_sound) = stored_details(row, id)?;
                Ok(is_sound.then_some(details))
            });
        Ok(unless_damaged(found)?.flatten())
    }

    pub fn name(&self, id: TaskId) -> Result<String, StoreError> {
        let db = self.db()?;
        match unless_damaged(try_need(&db, id).optional())?.flatten() {
            Some(need) => Ok(need.name.into()),
            None => Ok(self.name_by_index(&db, id)?),
        }
    }

    /// A finished task, with all that its retry needs. None: it is not finished, or its row is not what was
    /// written, and nobody knows what it would run.
    pub fn revived(&self, id: TaskId, dependent: bool) -> Result<Option<Revived>, StoreError> {
        let db = self.db()?;
        let found = db
            .prepare_cached(&format!(
                "SELECT t.id, t.name, t.definition, t.priority, t.retries, t.failures, t.reclaims, t.attempt,
                    {DETAILS_BYTES}, t.needs, NULL, NULL, t.held, t.state, t.sum
                 FROM tasks t WHERE t.id = ?1 AND t.state > 2"
            ))?
            .query_row([id as i64], |row| {
                let needs = parse_ids(row.get_ref(9)?.as_str_or_null()?);
                let sum = row.get::<_, Option<i64>>(14)?;
                let is_sound = |needs: &Vec<_>| sum.is_none_or(|sum| fits_needs(sum, id, needs));
                let state = state(row.get(13)?).unwrap_or(State::Done);
                Ok((stored_task(row, Vec::new())?, needs.filter(is_sound), state))
            })
            .optional();
        let Some((mut task, Some(needs), state)) = unless_damaged(found)?.flatten() else {
            return Ok(None);
        };
        if self.details(id)?.is_none() {
            return Ok(None);
        }
        for need in needs {
            task.needs.push(self.need_or_lost(&db, need)?);
        }
        Ok(Some(Revived { task, state, dependent }))
    }

    /// Tasks skipped because of `blame`, with what they need, from an id on.
    pub fn skipped_for(
        &self,
        blame: TaskId,
        after: TaskId,
        most: usize,
    ) -> Result<Vec<(TaskId, Vec<TaskId>)>, StoreError> {
        let db = self.db()?;
        let mut select = db.prepare_cached(
            "SELECT id, needs FROM tasks WHERE blame = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
        )?;
        let rows = select.query_map(params![blame as i64, after as i64, most as i64], |row| {
            let needs = parse_ids(row.get_ref(1)?.as_str_or_null()?);
            Ok((row.get::<_, i64>(0)? as TaskId, needs.unwrap_or_default()))
        })?;
        if let Some(rows) = unless_damaged(rows.collect())? {
            return Ok(rows);
        }
        // By the index alone, and each by itself.
        let mut select = db.prepare_cached(
            "SELECT id FROM tasks WHERE blame = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
        )?;
        let values = params![blame as i64, after as i64, most as i64];
        let ids = select.query_map(values, |row| row.get::<_, i64>(0))?;
        let needing = |id: rusqlite::Result<i64>| {
            let id = id? as TaskId;
            Ok((id, self.needs(id)?))
        };
        ids.map(needing).collect()
    }

    /// One task, whatever its state.
    pub fn task(&self, name: &str) -> Result<Option<TaskRow>, StoreError> {
        let db = self.db()?;
        let mut select =
            db.prepare_cached(&format!("SELECT {TASK_LARGE}, {TASK_ROW} WHERE t.name = ?2"))?;
        let found = select.query_row(params![unix_ms(), name], task_row).optional();
        if let Some(row) = unless_damaged(found)? {
            return Ok(row);
        }
        let Some(id) = id_by_index(&db, name)? else { return Ok(None) };
        Ok(Some(TaskRow { name: name.into(), ..self.lost_row(&db, id)? }))
    }

    pub fn task_by_id(&self, id: TaskId) -> Result<Option<TaskRow>, StoreError> {
        let db = self.db()?;
        let mut select =
            db.prepare_cached(&format!("SELECT {TASK_LARGE}, {TASK_ROW} WHERE t.id = ?2"))?;
        let found = select.query_row(params![unix_ms(), id as i64], task_row).optional();
        match unless_damaged(found)? {
            Some(row) => Ok(row),
            None => Ok(Some(self.lost_row(&db, id)?)),
        }
    }

    /// Beside another task: all but what may be large.
    pub fn neighbour(&self, id: TaskId) -> Result<Option<TaskRow>, StoreError> {
        let db = self.db()?;
        let sql = format!("SELECT {TASK_BRIEF}, {TASK_ROW} WHERE t.id = ?2");
        let mut select = db.prepare_cached(&sql)?;
        let found = select.query_row(params![unix_ms(), id as i64], task_row).optional();
        match unless_damaged(found)? {
            Some(row) => Ok(row),
            None => Ok(Some(self.lost_row(&db, id)?)),
        }
    }

    /// Ids of the tasks that a task needs.
    pub fn needs(&self, id: TaskId) -> Result<Vec<TaskId>, StoreError> {
        let db = self.db()?;
        let mut select = db.prepare_cached("SELECT needs FROM tasks WHERE id = ?1")?;
        let needs =
            select.query_row([id as i64], |row| Ok(parse_ids(row.get_ref(0)?.as_str_or_null()?)));
        Ok(unless_damaged(needs)?.flatten().unwrap_or_default())
    }

    /// With SQLite's log, where the newest rows are until it is moved into the file.
    pub fn file_bytes(&self) -> u64 {
        let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
        self.file().map_or(0, |file| bytes(file) + bytes(&wal_path(file)))
    }
}

/// What is run, and whether it is what was written.
fn stored_details(row: &Row, id: TaskId) -> rusqlite::Result<(Details, bool)> {
    let text =
        |index| Ok::<_, rusqlite::Error>(row.get::<_, Option<String>>(index)?.map(Name::from));
    let details = Details {
        command: text(0)?,
        time_limit_ms: row.get::<_, i64>(1)?.max(0) as u64,
        dir: text(2)?,
        env: text(3)?,
        stdin: row.get::<_, Option<Vec<u8>>>(4)?.map(Vec::into_boxed_slice),
    };
    let (name, definition): (String, i64) = (row.get(5)?, row.get(6)?);
    let run = of_run(id, &name, definition as u64, row.get(7)?, Some(&details));
    let is_sound = row.get::<_, Option<i64>>(8)?.is_none_or(|stored| fits_run(stored, run));
    Ok((details, is_sound))
}

/// The ids and names of all tasks whose rows do not have their sums, but for those that were given up.
pub(crate) fn damaged_rows(db: &Connection) -> rusqlite::Result<Vec<(i64, String)>> {
    if version(db)? < 6 {
        return Ok(Vec::new());
    }
    let mut select = db.prepare(
        "SELECT command, time_limit_ms, dir, env, stdin, name, definition, retries, sum, id, needs
         FROM tasks WHERE sum IS NOT NULL AND (sum <> ?1 OR state = ?2)",
    )?;
    let mut rows = select.query([GIVEN_UP, OPEN])?;
    let mut damaged = Vec::new();
    while let Some(row) = rows.next()? {
        let id = row.get::<_, i64>(9)?;
        if !unless_damaged(is_as_written(row, id as TaskId))?.unwrap_or(false) {
            let name = row.get_ref(5)?.as_bytes().unwrap_or(b"?");
            damaged.push((id, String::from_utf8_lossy(name).into()));
        }
    }
    Ok(damaged)
}

fn is_as_written(row: &Row, id: TaskId) -> rusqlite::Result<bool> {
    let (_, is_run) = stored_details(row, id)?;
    let needs = parse_ids(row.get_ref(10)?.as_str_or_null()?);
    let sum = row.get(8)?;
    Ok(is_run && needs.is_some_and(|needs| fits_needs(sum, id, &needs)))
}
