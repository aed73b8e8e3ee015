//! What rows that were saved one by one do not agree on.

use rusqlite::Connection;

use super::{Rescued, known, turned};
use crate::engine::message::Ended;
use crate::engine::scheduler::{DAMAGED, State};
use crate::store::tables::read::damaged_rows;
use crate::store::tables::sum::GIVEN_UP;
use crate::store::{FINISHED, OPEN, unix_ms};

/// Attempts that may have been given out and are known to nobody now: what is given out next has a
/// higher number, so that their outcomes are stale.
const ATTEMPTS_UNKNOWN: i64 = 100;

/// Makes one whole of it, and lists what is given up for that.
pub fn mend(db: &Connection, rescued: &mut Rescued) -> rusqlite::Result<()> {
    let transaction = db.unchecked_transaction()?;
    known::save(db, rescued)?;
    turned::tell(db, rescued)?;
    fail_damaged(db, rescued)?;
    let mut drop = |sql: &str, what: &str| -> rusqlite::Result<()> {
        match db.execute(sql, [])? {
            0 => {}
            rows => rescued.doubt.push(format!("{rows} {what}")),
        }
        Ok(())
    };
    drop(
        "DELETE FROM leases WHERE task NOT IN (SELECT id FROM tasks WHERE state = 2)
            OR worker NOT IN (SELECT id FROM workers)
            OR attempt <= (SELECT t.attempt FROM tasks t WHERE t.id = leases.task)",
        "tasks that ran are given out again, as it is not known who held them",
    )?;
    drop(
        "DELETE FROM attempts WHERE task NOT IN (SELECT id FROM tasks)",
        "attempts at tasks that are lost",
    )?;
    add_needed(db)?;
    if !rescued.is_whole() {
        db.execute(
            "UPDATE tasks SET attempt = attempt + ?1
             WHERE state = 2 AND id NOT IN (SELECT task FROM leases)",
            [ATTEMPTS_UNKNOWN],
        )?;
    }
    for state in FINISHED {
        db.execute(
            "INSERT OR REPLACE INTO totals
             VALUES (?1, (SELECT count(*) FROM tasks WHERE state = ?1))",
            [state as i64],
        )?;
    }
    transaction.commit()
}

/// Tasks whose rows are not what was written: as a hub does it, those that are open fail.
fn fail_damaged(db: &Connection, rescued: &mut Rescued) -> rusqlite::Result<()> {
    for (id, name) in damaged_rows(db)? {
        db.execute(
            "INSERT OR IGNORE INTO attempts
                (task, attempt, worker, started_ms, run_ms, outcome, exit_code, reason)
             SELECT id, attempt + 1, 0, ?2, 0, ?3, 0, ?4 FROM tasks WHERE id = ?1 AND state = ?5",
            (id, unix_ms(), Ended::Failed as i64, DAMAGED, OPEN),
        )?;
        db.execute(
            "UPDATE tasks SET state = ?2, attempt = attempt + 1 WHERE id = ?1 AND state = ?3",
            (id, State::Failed as i64, OPEN),
        )?;
        // Nor is it to be run because somebody tries it again.
        db.execute("UPDATE tasks SET needs = NULL, sum = ?2 WHERE id = ?1", [id, GIVEN_UP])?;
        rescued.lost.push(format!("what task {name} was to run, or what it needs"));
    }
    Ok(())
}

/// Tasks that are lost and that others need: as names that nobody added yet.
fn add_needed(db: &Connection) -> rusqlite::Result<()> {
    let mut select = db.prepare(
        "SELECT DISTINCT need.value FROM tasks t, json_each('[' || t.needs || ']') need
         WHERE NOT EXISTS (SELECT 1 FROM tasks n WHERE n.id = need.value)",
    )?;
    let ids = select.query_map([], |row| row.get::<_, i64>(0))?;
    let ids = ids.collect::<rusqlite::Result<Vec<_>>>()?;
    for id in ids {
        let name = known::name(db, id)?;
        let insert = "INSERT INTO tasks (id, name, state, created_ms) VALUES (?1, ?2, ?3, ?4)";
        let add = |name: &str| db.execute(insert, (id, name, State::Missing as i64, unix_ms()));
        let unknown = || format!("lost-{id}");
        // Somebody else may have the name by now.
        if add(&name.unwrap_or_else(unknown)).is_err() {
            add(&unknown())?;
        }
    }
    Ok(())
}
