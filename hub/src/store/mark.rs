//! What the file says of its redo log: which one it is, and whether it is needed.

use rusqlite::{Connection, OptionalExtension};

use super::fold::set;
use super::version::{migrate, version};
use crate::scheduler::message::Turn;

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

/// From now on the file needs its redo log.
pub fn mark_in_use(db: &Connection, id: u64) -> rusqlite::Result<()> {
    let transaction = db.unchecked_transaction()?;
    migrate(db)?;
    set(db, "redo", id)?;
    set(db, "clean", 0)?;
    transaction.commit()
}

/// The redo log is not needed any more.
pub fn mark_clean(db: &Connection) -> rusqlite::Result<()> {
    set(db, "clean", 1)
}

/// A copy has no redo log.
pub fn mark_copy(db: &Connection) -> rusqlite::Result<()> {
    if version(db)? < 2 {
        return Ok(());
    }
    let transaction = db.unchecked_transaction()?;
    set(db, "redo", 0)?;
    set(db, "clean", 1)?;
    transaction.commit()
}

/// The pages of this file have checksums: that is told apart from a first page that no longer says so.
pub fn mark_checksums(db: &Connection) -> rusqlite::Result<()> {
    set(db, "checksums", 1)
}

/// A copy of them has none, however that came about.
pub fn mark_no_checksums(db: &Connection) -> rusqlite::Result<()> {
    db.execute("DELETE FROM meta WHERE key = 'checksums'", []).map(drop)
}

/// Whether its pages were given checksums, once and for all.
pub fn had_checksums(db: &Connection) -> rusqlite::Result<bool> {
    if version(db)? < 2 {
        return Ok(false);
    }
    db.query_row("SELECT 1 FROM meta WHERE key = 'checksums'", [], |_| Ok(()))
        .optional()
        .map(|it| it.is_some())
}
