//! Rows that cannot be read, or not as they were written.

use std::error;
use std::path::Path;

use dhub_proto::disk::chain;
use dhub_proto::shell;
use rusqlite::{Error, ErrorCode};

use super::StoreError;
use crate::engine::message::Change;

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

/// That, or an error that comes from it.
pub fn comes_from_damage(error: &(dyn error::Error + 'static)) -> bool {
    chain(error).any(|error| {
        error.downcast_ref().is_some_and(is_damage) || error.is::<dhub_checksum::Damage>()
    })
}

/// What to do about damage: what loses least first.
pub fn advice(file: &Path) -> String {
    format!(
        "save what can be read to a new file, with a list of what cannot: {}\n  if that lacks too much, go on from a backup",
        shell::rescue(file)
    )
}

/// The same where something else loses nothing.
pub fn advice_after(first: &str, file: &Path) -> String {
    format!("{first}; if that cannot be, {}", advice(file))
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
