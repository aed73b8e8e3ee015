//! What SQLite says of a disk that takes nothing, in the words that all programs have for it.

use std::cell::RefCell;
use std::error::Error;
use std::path::Path;

use dhub_proto::disk::{DiskError, Fault, chain};
use rusqlite::{Connection, ErrorCode, ffi};

use super::{Store, StoreError};

/// Errors of I/O that say more of the file, or of SQLite, than of the disk.
const NOT_THE_DISK: [i32; 5] = [
    ffi::SQLITE_IOERR_SHORT_READ,
    ffi::SQLITE_IOERR_NOMEM,
    ffi::SQLITE_IOERR_DATA,
    ffi::SQLITE_IOERR_CORRUPTFS,
    ffi::SQLITE_IOERR_BLOCKED,
];

/// What is wrong with the disk, if that is what an error comes from.
pub fn fault(error: &(dyn Error + 'static)) -> Option<Fault> {
    Fault::of(error).or_else(|| chain(error).find_map(|error| of_sqlite(error.downcast_ref()?)))
}

/// What is wrong with the disk and what to do, or what the error says by itself.
pub fn words(error: &(dyn Error + 'static)) -> String {
    match (fault(error), error.downcast_ref()) {
        (Some(fault), _) => fault.to_string(),
        (None, Some(error)) => dhub_proto::disk::words(error),
        (None, None) => error.to_string(),
    }
}

fn of_sqlite(error: &ffi::Error) -> Option<Fault> {
    match error.code {
        ErrorCode::DiskFull => Some(Fault::Full),
        ErrorCode::ReadOnly => Some(Fault::ReadOnly),
        ErrorCode::SystemIoFailure if !NOT_THE_DISK.contains(&error.extended_code) => {
            Some(Fault::Failing)
        }
        _ => None,
    }
}

/// The same with what the system said to the connection: SQLite has one word for most of it.
pub fn fault_of(db: &Connection, error: &rusqlite::Error) -> Option<Fault> {
    let is_of_system = matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen)
    );
    let said = is_of_system.then(|| Fault::of_errno(system_errno(db))).flatten();
    said.or_else(|| fault(error))
}

/// The same with the file.
pub fn disk_error(db: &Connection, file: &Path, error: &rusqlite::Error) -> Option<DiskError> {
    fault_of(db, error).map(|fault| DiskError { path: file.to_owned(), fault })
}

#[allow(unsafe_code, reason = "rusqlite does not hand it through")]
fn system_errno(db: &Connection) -> i32 {
    // SAFETY: the handle is that of an open connection, which is borrowed as long as the call takes and is used by
    // this thread alone; a number is read from it.
    unsafe { ffi::sqlite3_system_errno(db.handle()) }
}

thread_local! {
    /// Why SQLite's log could not be moved: of what fails in a hook SQLite says only that it failed.
    static IN_HOOK: RefCell<Option<rusqlite::Error>> = const { RefCell::new(None) };
}

/// Fails the commit that the hook is part of.
pub fn fail_in_hook(error: rusqlite::Error) -> rusqlite::Error {
    let code = error.sqlite_error().copied();
    IN_HOOK.set(Some(error));
    rusqlite::Error::SqliteFailure(code.unwrap_or(ffi::Error::new(ffi::SQLITE_ERROR)), None)
}

/// What failed in the hook of this commit, if anything did.
pub fn or_in_hook(error: rusqlite::Error) -> rusqlite::Error {
    IN_HOOK.take().unwrap_or(error)
}

impl Store {
    /// The tables did not take a change.
    pub(super) fn failed(&self, db: &Connection, error: rusqlite::Error) -> StoreError {
        let file = self.lock.as_ref().map(|lock| lock.file());
        match file.and_then(|file| disk_error(db, file, &error)) {
            Some(disk) => StoreError::Disk(disk),
            None => StoreError::Fold(error),
        }
    }

    /// The same with the file, if it is the disk that is at fault and no file is named yet.
    pub fn named(&self, error: StoreError) -> StoreError {
        let is_nameless = matches!(error, StoreError::Read(_) | StoreError::Fold(_));
        let fault = fault(&error).filter(|_| is_nameless);
        match fault.zip(self.lock.as_ref()) {
            Some((fault, lock)) => DiskError { path: lock.file().to_owned(), fault }.into(),
            None => error,
        }
    }
}

pub fn is_busy(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sqlite_says_of_the_disk_is_told_from_what_it_says_of_the_file() {
        let of = |code| {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            fault(&StoreError::Fold(error))
        };
        assert_eq!(of(ffi::SQLITE_FULL), Some(Fault::Full));
        assert_eq!(of(ffi::SQLITE_READONLY), Some(Fault::ReadOnly));
        for code in [ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_READ] {
            assert_eq!(of(code), Some(Fault::Failing));
        }
        for code in [ffi::SQLITE_IOERR_SHORT_READ, ffi::SQLITE_CORRUPT, ffi::SQLITE_BUSY] {
            assert_eq!(of(code), None);
        }
    }

    /// A limit of file sizes is another matter than a disk that fails.
    #[test]
    fn what_the_system_said_is_told_with_the_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let db = Connection::open(dir.path().join("missing/a.db"));
        assert_eq!(fault(&db.expect_err("no directory")), None);
        let db = Connection::open_in_memory().expect("a database");
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_WRITE), None);
        let told = disk_error(&db, Path::new("run.db"), &error).expect("a fault");
        assert_eq!(told.to_string(), format!("run.db: {}", Fault::Failing));
    }
}
