//! Tasks whose rows cannot be read, and what the indices and the redo log still say of them: the name, the state, and
//! for which one it was skipped. Those that were finished are saved with that, so that what needs them goes on.

use rusqlite::{Connection, OptionalExtension};

use super::Rescued;
use super::table::{NAMES, UNDONE};
use crate::engine::message::TaskId;
use crate::engine::scheduler::State;
use crate::store::tables::sum::GIVEN_UP;
use crate::store::{OPEN, unix_ms};

/// Names that a line has.
const NAMES_MAX: usize = 5;

const BLAMES: &str = "SELECT id, blame FROM tasks INDEXED BY tasks_skipped WHERE blame IS NOT NULL";

/// The first of them, for a line.
pub fn first(names: &[String]) -> String {
    let more = if names.len() > NAMES_MAX { ", …" } else { "" };
    format!("{}{more}", names[..names.len().min(NAMES_MAX)].join(", "))
}

/// Notes in a table of its own what the indices have and the tasks that could be read have not. True if all names
/// could be read.
pub fn note(from: &Connection, to: &Connection) -> rusqlite::Result<bool> {
    to.execute_batch(
        "CREATE TEMP TABLE lost (id INTEGER PRIMARY KEY, name TEXT, state INTEGER, blame INTEGER)",
    )?;
    let mut there = to.prepare("SELECT 1 FROM tasks WHERE id = ?1")?;
    let mut add = to.prepare("INSERT OR IGNORE INTO temp.lost (id, name) VALUES (?1, ?2)")?;
    let mut are_all = true;
    // From both ends: a page that cannot be read is in between.
    for order in ["ASC", "DESC"] {
        let mut read = || -> rusqlite::Result<()> {
            let mut select = from.prepare(&format!("{NAMES} {order}"))?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                let id: i64 = row.get(0)?;
                if !there.exists([id])? {
                    // What makes no sense may be the name.
                    let name = row.get_ref(1)?.as_bytes().map(String::from_utf8_lossy);
                    add.execute((id, name.unwrap_or_else(|_| format!("number {id}").into())))?;
                }
            }
            Ok(())
        };
        are_all &= read().is_ok();
    }
    let fill = |select: &str, update: &str| -> rusqlite::Result<()> {
        let (mut select, mut update) = (from.prepare(select)?, to.prepare(update)?);
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            update.execute((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))?;
        }
        Ok(())
    };
    // That a task is done is said by its absence, so only if all of the index can be read.
    if fill(UNDONE, "UPDATE temp.lost SET state = ?2 WHERE id = ?1").is_ok() {
        to.execute("UPDATE temp.lost SET state = ?1 WHERE state IS NULL", [State::Done as i64])?;
    }
    // Without that it is skipped for nothing that is known.
    let _ = fill(BLAMES, "UPDATE temp.lost SET blame = ?2 WHERE id = ?1");
    Ok(are_all)
}

pub fn has_any(db: &Connection) -> rusqlite::Result<bool> {
    db.prepare("SELECT 1 FROM temp.sqlite_schema WHERE name = 'lost'")?.exists([])
}

pub fn name(db: &Connection, id: i64) -> rusqlite::Result<Option<String>> {
    match has_any(db)? {
        true => db
            .query_row("SELECT name FROM temp.lost WHERE id = ?1", [id], |row| row.get(0))
            .optional(),
        false => Ok(None),
    }
}

/// Notes what became of one later, if anything is told. False: it is none of these.
pub fn became(db: &Connection, id: TaskId, state: Option<i64>) -> rusqlite::Result<bool> {
    if !has_any(db)? {
        return Ok(false);
    }
    let sql = "UPDATE temp.lost SET state = coalesce(?2, state) WHERE id = ?1";
    Ok(db.prepare_cached(sql)?.execute((id as i64, state))? > 0)
}

/// Saves those that were finished, and the names that nobody added; the others are lost, by name.
pub fn save(db: &Connection, rescued: &mut Rescued) -> rusqlite::Result<()> {
    if !has_any(db)? {
        return Ok(());
    }
    // Nobody is to run one by its name alone, when it is tried again.
    db.execute(
        "INSERT OR IGNORE INTO tasks (id, name, state, attempt, blame, created_ms, sum)
         SELECT id, name, state, (SELECT coalesce(max(attempt), 0) FROM attempts WHERE task = l.id),
            blame, ?1, iif(state = ?2, NULL, ?3)
         FROM temp.lost l WHERE state = ?2 OR state BETWEEN ?4 AND ?5",
        (unix_ms(), State::Missing as i64, GIVEN_UP, State::Done as i64, State::Cancelled as i64),
    )?;
    let mut select = db.prepare(
        "SELECT l.name FROM temp.lost l JOIN tasks t ON t.id = l.id AND t.name = l.name
         WHERE t.sum = ?1 AND t.state <> ?2",
    )?;
    let names = select.query_map([GIVEN_UP, OPEN], |row| row.get(0))?;
    let names = names.collect::<rusqlite::Result<Vec<String>>>()?;
    if let count @ 1.. = names.len() {
        let tasks = if count == 1 { "task" } else { "tasks" };
        rescued.lost.push(format!(
            "what {count} finished {tasks} had run; saved with name and state: {}",
            first(&names)
        ));
    }
    let mut select = db.prepare(
        "SELECT name FROM temp.lost l WHERE NOT EXISTS (SELECT 1 FROM tasks WHERE id = l.id)",
    )?;
    let names = select.query_map([], |row| row.get(0))?;
    rescued.tasks = names.collect::<rusqlite::Result<_>>()?;
    Ok(())
}
