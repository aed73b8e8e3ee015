//! Rows of tasks that are older than the rest, as where a page of SQLite's log cannot be read: open in the table, while
//! an attempt of later, or the index of the tasks that are not done, says otherwise.

use std::collections::BTreeSet;

use rusqlite::Connection;

use super::{Rescued, known};
use crate::store::OPEN;

/// Those of `to`, before the redo log says more of them; `from` has the index.
pub fn find(from: &Connection, to: &Connection) -> rusqlite::Result<BTreeSet<i64>> {
    let mut turned = ids(
        to,
        "SELECT id FROM tasks t WHERE state = ?1
         AND EXISTS (SELECT 1 FROM attempts a WHERE a.task = t.id AND a.attempt > t.attempt)",
    )?;
    // What is not in the index is not open any more, if all of it can be read.
    let indexed = "SELECT id FROM tasks INDEXED BY tasks_undone WHERE state <> 5 AND state = ?1";
    if let Ok(indexed) = ids(from, indexed) {
        let open = ids(to, "SELECT id FROM tasks WHERE state = ?1")?;
        turned.extend(open.difference(&indexed));
    }
    Ok(turned)
}

/// Tells those that are open still.
pub fn tell(db: &Connection, rescued: &mut Rescued) -> rusqlite::Result<()> {
    if rescued.turned_back.is_empty() {
        return Ok(());
    }
    let mut select = db.prepare("SELECT name FROM tasks WHERE id = ?1 AND state = ?2")?;
    let mut names = Vec::new();
    for id in &rescued.turned_back {
        let found = select.query_map((id, OPEN), |row| row.get(0))?;
        names.extend(found.collect::<rusqlite::Result<Vec<String>>>()?);
    }
    if let count @ 1.. = names.len() {
        let tasks = if count == 1 { "task" } else { "tasks" };
        rescued.doubt.push(format!(
            "{count} {tasks} open in the table and not by what else can be read; what was done is run again: {}",
            known::first(&names)
        ));
    }
    Ok(())
}

fn ids(db: &Connection, sql: &str) -> rusqlite::Result<BTreeSet<i64>> {
    db.prepare(sql)?.query_map([OPEN], |row| row.get(0))?.collect()
}
