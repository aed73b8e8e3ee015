//! Tables that are damaged, read row by row: what can be reached from before and from behind a
//! damaged page, and in between by each key on its own.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, Statement, params_from_iter};

use super::image::is_damage;
use super::{Rescued, leaves};

struct Table {
    name: &'static str,
    key: &'static str,
    /// All of this version; older files lack some.
    columns: &'static [&'static str],
    what: &'static str,
}

const TASKS: Table = Table {
    name: "tasks",
    key: "id",
    columns: &[
        "id",
        "name",
        "state",
        "definition",
        "priority",
        "retries",
        "time_limit_ms",
        "attempt",
        "failures",
        "reclaims",
        "blame",
        "created_ms",
        "needs",
        "command",
        "dir",
        "env",
        "stdin",
        "held",
    ],
    what: "tasks",
};

const OTHERS: [Table; 3] = [
    Table {
        name: "workers",
        key: "id",
        columns: &["id", "name", "client", "seen_ms", "host", "key"],
        what: "what is known of workers",
    },
    Table {
        name: "leases",
        key: "task",
        columns: &["task", "attempt", "worker", "client", "number", "term_ms", "started_ms"],
        what: "who held the tasks",
    },
    Table {
        name: "attempts",
        key: "task",
        columns: &[
            "task",
            "attempt",
            "worker",
            "started_ms",
            "run_ms",
            "outcome",
            "exit_code",
            "reason",
            "output",
            "output_file",
        ],
        what: "attempts at the tasks",
    },
];

/// Keys tried one by one, in all: more would take hours.
const TRIES_MAX: usize = 4_000_000;
/// Where nothing says how many there are.
const KEYS_GUESSED: i64 = 1 << 20;
/// Names of tasks, by the index that has them too.
const NAMES: &str = "SELECT id, name FROM tasks INDEXED BY sqlite_autoindex_tasks_1 ORDER BY name";

/// Those that are not done, in the same way.
const UNDONE: &str =
    "SELECT id, state FROM tasks INDEXED BY tasks_undone WHERE state <> 5 ORDER BY state, id";
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
        .or_else(|| number(from, &format!("SELECT max(id) FROM ({NAMES})")))
        .or_else(|| number(from, "SELECT max(task) FROM attempts"));
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
    leaves::each_row(path, |id, mut values| {
        let count = values.len();
        let is_lost = lost.iter().any(|range| range.contains(&id));
        if !is_lost || count < COLUMNS_MIN || count > TASKS.columns.len() {
            return Ok(());
        }
        values[0] = Value::Integer(id);
        if is_task(&values) && is_of_now.exists((id, &values[1], &values[2]))? {
            let columns = TASKS.columns[..count].join(", ");
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

fn words(range: &RangeInclusive<i64>) -> String {
    match range.start() == range.end() {
        true => range.start().to_string(),
        false => format!("{} to {}", range.start(), range.end()),
    }
}

/// What could not be copied.
#[derive(Default)]
struct Lost {
    ranges: Vec<RangeInclusive<i64>>,
    /// Rows that can be read and cannot be.
    refused: usize,
}

/// Tasks are lost by name, where that is known: the index has some that the table has not.
fn name_lost(
    from: &Connection,
    to: &Connection,
    lost: &Lost,
    rescued: &mut Rescued,
) -> rusqlite::Result<()> {
    if lost.ranges.is_empty() && lost.refused == 0 {
        return Ok(());
    }
    to.execute_batch("CREATE TEMP TABLE lost (id INTEGER PRIMARY KEY, name TEXT)")?;
    let mut there = to.prepare("SELECT 1 FROM tasks WHERE id = ?1")?;
    let mut note = to.prepare("INSERT OR IGNORE INTO temp.lost VALUES (?1, ?2)")?;
    let mut is_whole = true;
    for order in ["ASC", "DESC"] {
        let mut read = || -> rusqlite::Result<()> {
            let mut select = from.prepare(&format!("{NAMES} {order}"))?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                let (id, name): (i64, String) = (row.get(0)?, row.get(1)?);
                if !there.exists([id])? {
                    note.execute((id, &name))?;
                }
            }
            Ok(())
        };
        is_whole &= read().is_ok();
    }
    if !is_whole {
        let ranges: Vec<_> = lost.ranges.iter().map(words).collect();
        rescued.lost.push(format!(
            "tasks of numbers {}, not all of whose names are known",
            ranges.join(", ")
        ));
    }
    Ok(())
}

fn copy(from: &Connection, to: &Connection, table: &Table, last: i64) -> rusqlite::Result<Lost> {
    let mut lost = Lost::default();
    match Copy::new(from, to, table) {
        Ok(mut copy) => {
            copy.range(1, last.max(1), &mut lost)?;
            lost.refused = copy.refused;
        }
        Err(error) if is_damage(&error) || is_schema(&error) => lost.ranges.push(1..=last),
        Err(error) => return Err(error),
    }
    Ok(lost)
}

/// The table is not there at all.
fn is_schema(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqlInputError { .. } | rusqlite::Error::SqliteFailure(..))
}

struct Copy<'a> {
    forward: Statement<'a>,
    backward: Statement<'a>,
    insert: Statement<'a>,
    is_tasks: bool,
    tries: usize,
    refused: usize,
}

impl<'a> Copy<'a> {
    fn new(from: &'a Connection, to: &'a Connection, table: &Table) -> rusqlite::Result<Self> {
        let Table { name, key, .. } = table;
        let mut columns = from.prepare("SELECT name FROM pragma_table_info(?1)")?;
        let there = columns.query_map([name], |row| row.get::<_, String>(0))?;
        let there = there.collect::<rusqlite::Result<HashSet<_>>>()?;
        let columns = table.columns.iter().filter(|column| there.contains(**column));
        let columns: Vec<_> = columns.copied().collect();
        let list = columns.join(", ");
        let select = |order| {
            let sql = format!(
                "SELECT {key}, {list} FROM {name} WHERE {key} BETWEEN ?1 AND ?2 ORDER BY {key} {order}"
            );
            from.prepare(&sql)
        };
        let places: Vec<_> = (1..=columns.len()).map(|i| format!("?{i}")).collect();
        let sql = format!("INSERT INTO {name} ({list}) VALUES ({})", places.join(", "));
        Ok(Self {
            forward: select("ASC")?,
            backward: select("DESC")?,
            insert: to.prepare(&sql)?,
            is_tasks: *name == "tasks",
            tries: 0,
            refused: 0,
        })
    }

    /// Rows from one key to another; which keys cannot be read.
    fn range(&mut self, first: i64, last: i64, lost: &mut Lost) -> rusqlite::Result<()> {
        // Ranges yet to be tried, the first on top.
        let mut ranges = vec![(first, last)];
        while let Some((first, last)) = ranges.pop() {
            self.tries += 1;
            let Some(low) = self.rows(false, first, last)? else { continue };
            let first = low.map_or(first, |key| key + 1);
            if first > last {
                continue;
            }
            let Some(high) = self.rows(true, first, last)? else { continue };
            let last = high.map_or(last, |key| key - 1);
            if first > last {
                continue;
            }
            if first == last || self.tries > TRIES_MAX {
                match lost.ranges.last_mut().filter(|range| range.end() + 1 == first) {
                    Some(range) => *range = *range.start()..=last,
                    None => lost.ranges.push(first..=last),
                }
                continue;
            }
            let middle = first + (last - first) / 2;
            ranges.push((middle + 1, last));
            ranges.push((first, middle));
        }
        Ok(())
    }

    /// None: all were read. Else the last key before the damage, if there was one.
    fn rows(&mut self, back: bool, first: i64, last: i64) -> rusqlite::Result<Option<Option<i64>>> {
        let select = if back { &mut self.backward } else { &mut self.forward };
        let mut rows = select.query([first, last])?;
        let mut reached = None;
        loop {
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(None),
                Err(error) if is_damage(&error) => return Ok(Some(reached)),
                Err(error) => return Err(error),
            };
            let count = row.as_ref().column_count();
            let values = (1..count).map(|i| row.get::<_, Value>(i));
            // A text that is none: the row is damaged, and the next one may not be.
            let key = row.get::<_, i64>(0).ok().filter(|key| (first..=last).contains(key));
            let Some(key) = key else { return Ok(Some(reached)) };
            reached = Some(key);
            let Ok(values) = values.collect::<rusqlite::Result<Vec<_>>>() else {
                self.refused += 1;
                continue;
            };
            let is_sane = !self.is_tasks || is_task(&values);
            match is_sane.then(|| self.insert.execute(params_from_iter(values))) {
                Some(Ok(_)) => {}
                // Read from both ends, or twice the same name.
                Some(Err(error)) if is_there(&error) => {}
                Some(Err(error)) if error.sqlite_error_code().is_none() => return Err(error),
                _ => self.refused += 1,
            }
        }
    }
}

fn is_there(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_extended_error_code();
    matches!(
        code,
        Some(rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY | rusqlite::ffi::SQLITE_CONSTRAINT_ROWID)
    )
}

/// Number, name and state, and what it needs: as every version has them.
fn is_task(values: &[Value]) -> bool {
    let state = matches!(values.get(2), Some(Value::Integer(1 | 2 | 5..=8)));
    let name = matches!(values.get(1), Some(Value::Text(name)) if !name.is_empty());
    let needs = match values.get(12) {
        Some(Value::Text(needs)) => needs.split(',').all(|id| id.parse::<u64>().is_ok()),
        Some(Value::Null) => true,
        _ => false,
    };
    state && name && needs
}
