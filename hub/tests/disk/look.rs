//! What a file says, read by SQLite alone; and whether a hub on it is sound.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::Path;

use dhub::engine::archive::Page;
use dhub::store::{Access, Store};
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::load::{self, Load};
use crate::model::Image;

/// All that is stored, but for times.
const TABLES: [&str; 5] = [
    "SELECT 'task', id, name, state, definition, priority, retries, time_limit_ms, attempt, failures,
        reclaims, blame, needs, length(command) FROM tasks ORDER BY id",
    "SELECT 'worker', id, name, client FROM workers ORDER BY id",
    "SELECT 'lease', task, attempt, worker, client, number, term_ms FROM leases ORDER BY task",
    "SELECT 'attempt', task, attempt, worker, outcome, exit_code, reason, length(output)
        FROM attempts ORDER BY task, attempt",
    "SELECT 'total', state, count FROM totals ORDER BY state",
];

/// What a start would find in this file, without touching it. Empty: nothing yet.
pub fn at(file: &Path) -> String {
    let dir = file.with_file_name("look");
    fs::create_dir_all(&dir).expect("a directory");
    let copies = load::companions(&dir.join("copy.db"));
    for (from, to) in load::companions(file).iter().zip(&copies) {
        let _ = fs::remove_file(to);
        let _ = fs::copy(from, to);
    }
    let db = dhub_checksum::open(&copies[0], Default::default(), None).expect("a copy");
    let exists: bool = db
        .query_row("SELECT count(*) > 0 FROM sqlite_schema", [], |row| row.get(0))
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    if !exists {
        return String::new();
    }
    drop(db);
    let access = Access { alone: true, region_bytes: 64 * 1024, ..Access::default() };
    let opened = Store::open_with(&copies[0], "now", access);
    let opened = opened.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    opened.store.close().expect("a copy");
    let db = Connection::open(&copies[0]).expect("a copy");
    let mut text = String::new();
    for sql in TABLES {
        let mut select = db.prepare(sql).expect("a table");
        let columns = select.column_count();
        let mut rows = select.query([]).expect("rows");
        while let Some(row) = rows.next().expect("a row") {
            for column in 0..columns {
                text += &match row.get_ref(column).expect("a value") {
                    ValueRef::Text(bytes) => format!("{} ", String::from_utf8_lossy(bytes)),
                    other => format!("{other:?} "),
                };
            }
            text.push('\n');
        }
    }
    text
}

/// The lines that only one of two states has.
pub fn difference(left: &str, right: &str) -> String {
    let only = |a: &str, b: &str, sign: &str| -> Vec<String> {
        let b: Vec<&str> = b.lines().collect();
        a.lines().filter(|line| !b.contains(line)).map(|line| format!("{sign} {line}")).collect()
    };
    [only(left, right, "-"), only(right, left, "+")].concat().join("\n")
}

pub fn is_sound(load: &mut Load, when: &str) {
    load.fold().expect("the disk works");
    let problems = load.store().check().expect("the file can be read");
    assert!(problems.is_empty(), "{when}: {problems:?}");
}

/// Every task has come to the end that is meant for it.
pub fn is_at_its_end(load: &mut Load) {
    is_sound(load, "at the end");
    let rows = load.store().page(Page::All, 0, 1000).expect("all tasks");
    assert_eq!(rows.len(), load::TASKS);
    for row in rows {
        assert_eq!(row.finished, Some(load::end(&row.name)), "{}", row.name);
    }
}

pub fn fingerprint(image: &Image) -> u64 {
    let mut hasher = DefaultHasher::new();
    image.hash(&mut hasher);
    hasher.finish()
}
