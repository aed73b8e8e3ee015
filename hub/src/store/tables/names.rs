//! Names of tasks whose rows cannot be read, by the index of the names.
//!
//! That has them in their own order, so whoever wants one by its number has to read all of it; then those of many
//! numbers are kept, for damage comes in pages, and people list what is beside each other.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use rusqlite::Connection;

use super::lost::lost_name;
use crate::engine::message::TaskId;
use crate::store::Store;
use crate::store::damage::unless_damaged;

/// Numbers of which the names are kept: some megabytes.
const KEPT: TaskId = 50_000;

#[derive(Default)]
pub struct Names {
    /// None: of no numbers yet.
    ids: Option<RangeInclusive<TaskId>>,
    names: HashMap<TaskId, String>,
}

impl Names {
    fn read(db: &Connection, id: TaskId) -> rusqlite::Result<Self> {
        let first = id - id % KEPT;
        let ids = first..=first + KEPT - 1;
        let mut names = HashMap::new();
        let mut read = || -> rusqlite::Result<()> {
            let mut select = db.prepare_cached(
                "SELECT id, name FROM tasks INDEXED BY sqlite_autoindex_tasks_1
                 WHERE id BETWEEN ?1 AND ?2",
            )?;
            let mut rows = select.query([*ids.start() as i64, *ids.end() as i64])?;
            while let Some(row) = rows.next()? {
                names.insert(row.get::<_, i64>(0)? as TaskId, row.get(1)?);
            }
            Ok(())
        };
        // That index may be damaged too; what comes before that counts.
        unless_damaged(read())?;
        Ok(Self { ids: Some(ids), names })
    }
}

impl Store {
    /// What a task is called whose row cannot be read, or what stands for that.
    pub(crate) fn name_by_index(&self, db: &Connection, id: TaskId) -> rusqlite::Result<String> {
        if let Some(Some(name)) = self.lost.borrow().get(&id) {
            return Ok(name.clone());
        }
        let mut names = self.names.borrow_mut();
        if names.ids.as_ref().is_none_or(|ids| !ids.contains(&id)) {
            *names = Names::read(db, id)?;
        }
        Ok(names.names.get(&id).cloned().unwrap_or_else(|| lost_name(id).into()))
    }
}
