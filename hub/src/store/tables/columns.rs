//! What each column of each table may have. SQLite takes anything anywhere; what the hub could not read in it is told by a
//! check, and a rescue leaves it out.

use std::collections::HashSet;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::store::tables::row::parse_ids;

/// As the hub reads it.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A number in this range.
    Number(i64, i64),
    NumberOrNull,
    State,
    /// Text that is not empty.
    Name,
    Text,
    TextOrNull,
    BytesOrNull,
    /// The id of a client, or a token.
    Sixteen,
    SixteenOrNull,
    /// Ids of tasks, or NULL.
    Ids,
}

use Kind::*;

const ANY: Kind = Number(i64::MIN, i64::MAX);
const ID: Kind = Number(1, i64::MAX);
const COUNT: Kind = Number(0, u32::MAX as i64);
const INT: Kind = Number(i32::MIN as i64, i32::MAX as i64);

impl Kind {
    pub fn fits(self, value: ValueRef) -> bool {
        let text = |value: ValueRef| value.as_str().ok().map(str::to_owned);
        match (self, value) {
            (Number(min, max), ValueRef::Integer(number)) => (min..=max).contains(&number),
            (State, ValueRef::Integer(number)) => matches!(number, 1 | 2 | 5..=8),
            (NumberOrNull, ValueRef::Integer(_) | ValueRef::Null) => true,
            (Name, value) => text(value).is_some_and(|text| !text.is_empty()),
            (TextOrNull | BytesOrNull | SixteenOrNull | Ids, ValueRef::Null) => true,
            (Text | TextOrNull, value) => text(value).is_some(),
            (BytesOrNull, ValueRef::Blob(_)) => true,
            (Sixteen | SixteenOrNull, ValueRef::Blob(bytes)) => bytes.len() == 16,
            (Ids, value) => value.as_str().is_ok_and(|ids| parse_ids(Some(ids)).is_some()),
            _ => false,
        }
    }
}

pub struct Table {
    pub name: &'static str,
    pub key: &'static str,
    /// All of this version; older files lack some.
    pub columns: &'static [(&'static str, Kind)],
    pub what: &'static str,
}

impl Table {
    /// The columns that this file has, in this order.
    pub fn columns_in(&self, db: &Connection) -> rusqlite::Result<Vec<(&'static str, Kind)>> {
        let mut columns = db.prepare("SELECT name FROM pragma_table_info(?1)")?;
        let there = columns.query_map([self.name], |row| row.get::<_, String>(0))?;
        let there = there.collect::<rusqlite::Result<HashSet<_>>>()?;
        Ok(self.columns.iter().filter(|(name, _)| there.contains(*name)).copied().collect())
    }

    /// What no hub can read in it: how many rows, the column of the first of them, and the name there is in that row.
    pub fn misfits(&self, db: &Connection) -> rusqlite::Result<Option<String>> {
        let columns = self.columns_in(db)?;
        let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
        let mut select = db.prepare(&format!("SELECT {} FROM {}", names.join(", "), self.name))?;
        let mut rows = select.query([])?;
        let (mut count, mut first) = (0, String::new());
        while let Some(row) = rows.next()? {
            let mut bad = None;
            for (at, (column, kind)) in columns.iter().enumerate() {
                if !kind.fits(row.get_ref(at)?) {
                    bad = Some(*column);
                    break;
                }
            }
            let Some(column) = bad else { continue };
            count += 1;
            if count == 1 {
                let name = names.iter().position(|name| *name == "name");
                let name = name.map(|at| row.get_ref(at)).transpose()?;
                first = match name.and_then(|name| name.as_bytes().ok()) {
                    Some(name) => format!("{column} of '{}'", String::from_utf8_lossy(name)),
                    None => column.to_owned(),
                };
            }
        }
        let told = format!("{count} rows of {} that make no sense, first in {first}", self.name);
        Ok((count > 0).then_some(told))
    }
}

pub const TASKS: Table = Table {
    name: "tasks",
    key: "id",
    columns: &[
        ("id", ID),
        ("name", Name),
        ("state", State),
        ("definition", ANY),
        ("priority", INT),
        ("retries", COUNT),
        ("time_limit_ms", ANY),
        ("attempt", COUNT),
        ("failures", COUNT),
        ("reclaims", COUNT),
        ("blame", NumberOrNull),
        ("created_ms", ANY),
        ("needs", Ids),
        ("command", TextOrNull),
        ("dir", TextOrNull),
        ("env", TextOrNull),
        ("stdin", BytesOrNull),
        ("held", ANY),
        ("sum", NumberOrNull),
    ],
    what: "tasks",
};

pub const WORKERS: Table = Table {
    name: "workers",
    key: "id",
    columns: &[
        ("id", COUNT),
        ("name", Text),
        ("client", SixteenOrNull),
        ("seen_ms", ANY),
        ("host", TextOrNull),
        ("key", Text),
    ],
    what: "what is known of workers",
};

pub const LEASES: Table = Table {
    name: "leases",
    key: "task",
    columns: &[
        ("task", ID),
        ("attempt", COUNT),
        ("worker", COUNT),
        ("client", SixteenOrNull),
        ("number", ANY),
        ("term_ms", ANY),
        ("started_ms", ANY),
    ],
    what: "who held the tasks",
};

pub const ATTEMPTS: Table = Table {
    name: "attempts",
    key: "task",
    columns: &[
        ("task", ID),
        ("attempt", COUNT),
        ("worker", COUNT),
        ("started_ms", ANY),
        ("run_ms", ANY),
        ("outcome", Number(1, 4)),
        ("exit_code", INT),
        ("reason", TextOrNull),
        ("output", BytesOrNull),
        ("output_file", TextOrNull),
        ("left_behind", COUNT),
    ],
    what: "attempts at the tasks",
};

pub const REQUESTS: Table = Table {
    name: "requests",
    key: "number",
    columns: &[
        ("number", ANY),
        ("key", Text),
        ("token", Sixteen),
        ("sum", ANY),
        ("upto", ANY),
        ("done", ANY),
        ("more", ANY),
        ("reply", BytesOrNull),
    ],
    what: "requests that may be sent again",
};
