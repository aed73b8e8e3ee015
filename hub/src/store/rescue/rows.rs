//! The tables of a file that is damaged, as far as their rows can be read; tasks also where only the
//! indices say that they are there.

use std::ops::RangeInclusive;
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::table::{Lost, NAMES, UNDONE, copy, fit};
use super::{Rescued, known, leaves, turned};
use crate::store::tables::columns::{ATTEMPTS, Kind, LEASES, TASKS, Table, WORKERS};

const OTHERS: [Table; 3] = [WORKERS, LEASES, ATTEMPTS];

/// Where nothing says how many there are.
const KEYS_GUESSED: i64 = 1 << 20;

/// Of a row that the first version wrote.
const COLUMNS_MIN: usize = 14;

/// Copies all rows that can be read.
pub fn save(
    from: &Connection,
    path: &Path,
    to: &Connection,
    rescued: &mut Rescued,
) -> rusqlite::Result<()> {
    let transaction = to.unchecked_transaction()?;
    let last = number(from, "SELECT max(id) FROM tasks")
        .or_else(|| number(from, &format!("SELECT max(id) FROM ({NAMES})")));
    // What else has numbers of tasks does not have the last ones.
    let last_task = last.unwrap_or(KEYS_GUESSED);
    let lost = copy(from, to, &TASKS, last_task)?;
    if !lost.ranges.is_empty() {
        read_leaves(from, path, to, &lost.ranges)?;
    }
    name_lost(from, to, &lost, rescued)?;
    for table in OTHERS {
        let last = match table.name {
            "workers" => number(from, "SELECT max(id) FROM workers")
                .or_else(|| number(from, "SELECT max(worker) FROM attempts"))
                .unwrap_or(KEYS_GUESSED),
            _ => last_task,
        };
        let lost = copy(from, to, &table, last)?;
        if !lost.ranges.is_empty() {
            let ranges: Vec<_> = lost.ranges.iter().map(words).collect();
            rescued.lost.push(format!("{} of numbers {}", table.what, ranges.join(", ")));
        }
        if lost.refused > 0 {
            rescued.lost.push(format!("{} of {}, which make no sense", lost.refused, table.what));
        }
    }
    rescued.turned = turned::find(from, to)?;
    transaction.commit()
}

/// Tasks whose pages are sound, though nothing leads there. A page that is not used any more looks
/// the same, so a row counts only if both indices say that it is of now.
fn read_leaves(
    from: &Connection,
    path: &Path,
    to: &Connection,
    lost: &[RangeInclusive<i64>],
) -> rusqlite::Result<()> {
    to.execute_batch(
        "CREATE TEMP TABLE names (id INTEGER PRIMARY KEY, name TEXT);
         CREATE TEMP TABLE undone (id INTEGER PRIMARY KEY, state INTEGER)",
    )?;
    let fill = |select: &str, insert: &str| -> rusqlite::Result<()> {
        let (mut select, mut insert) = (from.prepare(select)?, to.prepare(insert)?);
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            insert.execute((row.get::<_, Value>(0)?, row.get::<_, Value>(1)?))?;
        }
        Ok(())
    };
    let filled = fill(NAMES, "INSERT OR IGNORE INTO temp.names VALUES (?1, ?2)")
        .and_then(|()| fill(UNDONE, "INSERT OR IGNORE INTO temp.undone VALUES (?1, ?2)"));
    if filled.is_err() {
        return Ok(());
    }
    let mut is_of_now = to.prepare(
        "SELECT 1 FROM temp.names n LEFT JOIN temp.undone u USING (id)
         WHERE id = ?1 AND n.name = ?2 AND coalesce(u.state, 5) = ?3",
    )?;
    let kinds: Vec<Kind> = TASKS.columns.iter().map(|(_, kind)| *kind).collect();
    leaves::each_row(path, |id, mut values| {
        let count = values.len();
        let is_lost = lost.iter().any(|range| range.contains(&id));
        if !is_lost || count < COLUMNS_MIN || count > TASKS.columns.len() {
            return Ok(());
        }
        values[0] = Value::Integer(id);
        if fit(&kinds, &values) && is_of_now.exists((id, &values[1], &values[2]))? {
            let columns: Vec<_> = TASKS.columns[..count].iter().map(|(name, _)| *name).collect();
            let columns = columns.join(", ");
            let places: Vec<_> = (1..=count).map(|i| format!("?{i}")).collect();
            let places = places.join(", ");
            to.prepare_cached(&format!(
                "INSERT OR IGNORE INTO tasks ({columns}) VALUES ({places})"
            ))?
            .execute(params_from_iter(values))?;
        }
        Ok(())
    })
}

fn number(db: &Connection, sql: &str) -> Option<i64> {
    db.query_row(sql, [], |row| row.get::<_, Option<i64>>(0)).ok().flatten()
}

pub fn words(range: &RangeInclusive<i64>) -> String {
    match range.start() == range.end() {
        true => range.start().to_string(),
        false => format!("{} to {}", range.start(), range.end()),
    }
}

/// Tasks are lost by name, where that is known: the index has some that the table has not.
fn name_lost(
    from: &Connection,
    to: &Connection,
    lost: &Lost,
    rescued: &mut Rescued,
) -> rusqlite::Result<()> {
    // A page of the table that is older than the index lacks rows, and can be read.
    let is_whole = known::note(from, to)?;
    if lost.ranges.is_empty() && lost.refused == 0 {
        return Ok(());
    }
    if !is_whole && lost.ranges.is_empty() {
        rescued.lost.push(format!(
            "{} tasks that make no sense, not all of whose names are known",
            lost.refused
        ));
    } else if !is_whole {
        let ranges: Vec<_> = lost.ranges.iter().map(words).collect();
        rescued.lost.push(format!(
            "tasks of numbers {}, not all of whose names are known",
            ranges.join(", ")
        ));
    }
    Ok(())
}
