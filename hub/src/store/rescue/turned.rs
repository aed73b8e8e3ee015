//! Rows of tasks that are older than the rest, as where a page of SQLite's log cannot be read: open in the table, while
//! an attempt of later, or the index of the tasks that are not done, says otherwise; or finished, while that says that
//! a person has had them run again.

use std::collections::BTreeSet;

use rusqlite::Connection;

use super::{Rescued, known};
use crate::store::OPEN;

/// By number.
#[derive(Debug, Default)]
pub struct Turned {
    to_open: BTreeSet<i64>,
    to_end: BTreeSet<i64>,
}

/// Those of `to`, before the redo log says more of them; `from` has the index.
pub fn find(from: &Connection, to: &Connection) -> rusqlite::Result<Turned> {
    let mut turned = Turned {
        to_open: ids(
            to,
            "SELECT id FROM tasks t WHERE state = ?1
             AND EXISTS (SELECT 1 FROM attempts a WHERE a.task = t.id AND a.attempt > t.attempt)",
        )?,
        to_end: BTreeSet::new(),
    };
    // What is not in the index is not open any more, if all of it can be read.
    let indexed = "SELECT id FROM tasks INDEXED BY tasks_undone WHERE state <> 5 AND state = ?1";
    if let Ok(indexed) = ids(from, indexed) {
        let open = ids(to, "SELECT id FROM tasks WHERE state = ?1")?;
        let all = ids(to, "SELECT id FROM tasks WHERE state <> ?1")?;
        turned.to_open.extend(open.difference(&indexed));
        turned.to_end.extend(all.intersection(&indexed));
    }
    Ok(turned)
}

/// Tells those that are so still.
pub fn tell(db: &Connection, rescued: &mut Rescued) -> rusqlite::Result<()> {
    let Turned { to_open, to_end } = std::mem::take(&mut rescued.turned);
    let tasks = |count| if count == 1 { "task" } else { "tasks" };
    let open = names(db, &to_open, "state = ?2")?;
    if let count @ 1.. = open.len() {
        rescued.doubt.push(format!(
            "{count} {} open in the table and not by what else can be read; what was done is run again: {}",
            tasks(count),
            known::first(&open)
        ));
    }
    let ended = names(db, &to_end, "state <> ?2")?;
    if let count @ 1.. = ended.len() {
        rescued.doubt.push(format!(
            "{count} {} finished in the table and not by what else can be read; what was to run again is not run, unless somebody says so anew (dquery retry): {}",
            tasks(count),
            known::first(&ended)
        ));
    }
    Ok(())
}

fn names(db: &Connection, ids: &BTreeSet<i64>, which: &str) -> rusqlite::Result<Vec<String>> {
    let mut select = db.prepare(&format!("SELECT name FROM tasks WHERE id = ?1 AND {which}"))?;
    let mut names = Vec::new();
    for id in ids {
        let found = select.query_map((id, OPEN), |row| row.get(0))?;
        names.extend(found.collect::<rusqlite::Result<Vec<String>>>()?);
    }
    Ok(names)
}

fn ids(db: &Connection, sql: &str) -> rusqlite::Result<BTreeSet<i64>> {
    db.prepare(sql)?.query_map([OPEN], |row| row.get(0))?.collect()
}
