//! What the file says of its logs: which redo log it has, and whether that is needed; and which log of SQLite's its
//! pages came by.

use std::hash::{BuildHasher, Hasher, RandomState};

use rusqlite::{Connection, OptionalExtension};

use super::meta_page::value;
use crate::engine::message::Turn;
use crate::store::tables::meta::{set, version};

/// Which redo log belongs to the file, whether the file can do without it, and the last turn that
/// the tables have.
pub fn marks(db: &Connection) -> rusqlite::Result<(u64, bool, Turn)> {
    if version(db)? < 2 {
        return Ok((0, true, 0));
    }
    let number = |key: &str| {
        let sql = "SELECT value FROM meta WHERE key = ?1";
        db.query_row(sql, [key], |row| row.get::<_, i64>(0)).map(|value| value as u64)
    };
    Ok((number("redo")?, number("clean")? != 0, number("turn")?))
}

/// A number that nothing has had: what says it belongs together.
pub fn new_id() -> u64 {
    // Its keys are random.
    RandomState::new().build_hasher().finish() | 1
}

/// The log of SQLite's by which these tables came to be as they are, and the one before it: that was moved into the file
/// when this one was begun. 0: of before these were noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logs {
    own: u64,
    before: u64,
}

impl Logs {
    pub fn of(db: &Connection) -> rusqlite::Result<Self> {
        Ok(Self { own: number_if_any(db, "log")?, before: number_if_any(db, "log_before")? })
    }

    /// As the page of `meta` says it, if it is one.
    pub fn on_page(page: &[u8]) -> Option<Self> {
        Some(Self { own: value(page, "log")?, before: value(page, "log_before")? })
    }

    /// The log goes on from what the file has by itself, or has been moved into it meanwhile.
    pub fn go_on_from(self, alone: Self) -> bool {
        [self.own, self.before].contains(&alone.own)
    }
}

/// One that files have had only since they were noted; 0: not yet.
fn number_if_any(db: &Connection, key: &str) -> rusqlite::Result<u64> {
    if version(db)? < 2 {
        return Ok(0);
    }
    let sql = "SELECT value FROM meta WHERE key = ?1";
    let value = db.query_row(sql, [key], |row| row.get::<_, i64>(0)).optional()?;
    Ok(value.unwrap_or(0) as u64)
}

/// This is what was saved when a file was gone that had this redo log.
pub fn mark_saved(db: &Connection, id: u64) -> rusqlite::Result<()> {
    if version(db)? < 2 { Ok(()) } else { set(db, "saved_from", id) }
}

pub fn saved_from(db: &Connection) -> rusqlite::Result<u64> {
    number_if_any(db, "saved_from")
}

/// In the first transaction of a log: its pages are of use over what the file has now, and over nothing else.
pub fn begin_log(db: &Connection) -> rusqlite::Result<()> {
    set(db, "log_before", Logs::of(db)?.own)?;
    set(db, "log", new_id())
}

/// The redo log is not needed any more.
pub fn mark_clean(db: &Connection) -> rusqlite::Result<()> {
    let transaction = db.unchecked_transaction()?;
    if dhub_checksum::log_is_empty(db) {
        begin_log(db)?;
    }
    set(db, "clean", 1)?;
    transaction.commit()
}

/// A copy has no logs, and those of what it was made of are not to be taken for its own.
pub fn mark_copy(db: &Connection) -> rusqlite::Result<()> {
    if version(db)? < 2 {
        return Ok(());
    }
    let transaction = db.unchecked_transaction()?;
    set(db, "redo", 0)?;
    set(db, "clean", 1)?;
    begin_log(db)?;
    transaction.commit()
}

/// The pages of this file have checksums: that is told apart from a first page that no longer says so.
pub fn mark_checksums(db: &Connection) -> rusqlite::Result<()> {
    set(db, "checksums", 1)?;
    // Each of them is another one.
    begin_log(db)
}

/// A copy of them has none, however that came about.
pub fn mark_no_checksums(db: &Connection) -> rusqlite::Result<()> {
    db.execute("DELETE FROM meta WHERE key = 'checksums'", []).map(drop)
}

/// Whether its pages were given checksums, once and for all.
pub fn had_checksums(db: &Connection) -> rusqlite::Result<bool> {
    Ok(number_if_any(db, "checksums")? != 0)
}
