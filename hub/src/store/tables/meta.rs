//! What the file says of itself: its version, and numbers that the hub keeps.

use rusqlite::{Connection, params};

/// "dhub" in ASCII: marks the file as ours.
pub const APPLICATION_ID: i64 = 0x6468_7562;

pub const VERSION: i64 = 7;

pub fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// A number that the hub keeps for itself.
pub fn set(db: &Connection, key: &str, value: u64) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
        .execute(params![key, value as i64])?;
    Ok(())
}
