//! Rows that cannot be read, or not as they were written.

use rusqlite::{Error, ErrorCode};

use super::StoreError;
use crate::scheduler::message::Change;

/// The file says something that was never written; not that it cannot be read at all.
pub fn is_damage(error: &Error) -> bool {
    match error {
        Error::SqliteFailure(..) => matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        ),
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..)
        | Error::Utf8Error(..) => true,
        _ => false,
    }
}

/// What a row says, and None if it is damaged.
pub fn unless_damaged<T>(read: rusqlite::Result<T>) -> rusqlite::Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if is_damage(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

impl StoreError {
    /// It is the file that says what was never written; the disk may be sound.
    pub fn is_damage(&self) -> bool {
        matches!(self, StoreError::Read(error) | StoreError::Fold(error) if is_damage(error))
    }
}

/// With the page, which SQLite does not tell.
pub(super) fn told(error: &Error) -> String {
    match dhub_checksum::last_damage().filter(|_| is_damage(error)) {
        Some(damage) => format!("{error}: {damage}"),
        None => error.to_string(),
    }
}

/// A row that is there already, and that others can do without: what becomes of a task that cannot be read
/// makes no difference to them.
pub fn can_be_left(change: &Change) -> bool {
    matches!(
        change,
        Change::Needs { .. }
            | Change::Host { .. }
            | Change::Back { .. }
            | Change::Ended { .. }
            | Change::Finished { .. }
            | Change::Reopened { .. }
            | Change::Blamed { .. }
            | Change::Adjusted { .. }
    )
}
