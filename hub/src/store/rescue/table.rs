//! One table, row by row: what can be reached from before and from behind a damaged page, and in
//! between by each key on its own.

use std::ops::RangeInclusive;

use rusqlite::types::Value;
use rusqlite::{Connection, Statement, params_from_iter};

use super::image::is_damage;
use crate::store::tables::columns::{Kind, Table};

/// Keys tried one by one, in all: more would take hours.
const TRIES_MAX: usize = 4_000_000;
/// What could not be copied.
#[derive(Default)]
pub struct Lost {
    pub ranges: Vec<RangeInclusive<i64>>,
    /// Rows that can be read and cannot be.
    pub refused: usize,
}

/// Copies all rows of a table that can be read, with keys from 1 on.
pub fn copy(
    from: &Connection,
    to: &Connection,
    table: &Table,
    last: i64,
) -> rusqlite::Result<Lost> {
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
    kinds: Vec<Kind>,
    tries: usize,
    refused: usize,
}

impl<'a> Copy<'a> {
    fn new(from: &'a Connection, to: &'a Connection, table: &Table) -> rusqlite::Result<Self> {
        let Table { name, key, .. } = table;
        let (columns, kinds): (Vec<_>, Vec<_>) = table.columns_in(from)?.into_iter().unzip();
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
            kinds,
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
            match fit(&self.kinds, &values).then(|| self.insert.execute(params_from_iter(values))) {
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

/// Each has what a hub can read there.
pub fn fit(kinds: &[Kind], values: &[Value]) -> bool {
    kinds.iter().zip(values).all(|(kind, value)| kind.fits(value.into()))
}

/// Names of tasks, by the index that has them too.
pub(super) const NAMES: &str =
    "SELECT id, name FROM tasks INDEXED BY sqlite_autoindex_tasks_1 ORDER BY name";

/// Those that are not done, in the same way.
pub(super) const UNDONE: &str =
    "SELECT id, state FROM tasks INDEXED BY tasks_undone WHERE state <> 5 ORDER BY state, id";
