//! SQLite's log, as SQLite calls it: all is handed on, but it is noticed when it was cut.
//!
//! SQLite writes a log from its begin to its end. A write that begins behind the end leaves a hole, and a file
//! that is as long as before: who looks at its length alone finds nothing, and the hole is moved into the
//! database file as if it were pages.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Of each log that was cut, how long it was to be and how long it was.
static CUT: Mutex<Option<HashMap<PathBuf, (u64, u64)>>> = Mutex::new(None);

/// Whether something was written behind the end of this log: how long it was to be, and how long it was.
pub fn cut(log: &Path) -> Option<(u64, u64)> {
    CUT.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.get(log).copied()
}

/// Something is about to be written there. The first such write counts.
pub(crate) fn note(log: &Path, at: u64, size: u64) {
    if at > size {
        let mut cut = CUT.lock().unwrap_or_else(PoisonError::into_inner);
        cut.get_or_insert_default().entry(log.to_owned()).or_insert((at, size));
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use rusqlite::Connection;

    use super::*;

    /// A database with a log of this name, which moves into the file only when it is told to.
    fn database(dir: &Path) -> (Connection, PathBuf) {
        let file = dir.canonicalize().expect("its name").join("run.db");
        let db = crate::open(&file, Default::default(), None).expect("a database");
        crate::reserve(&db).expect("room");
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x)",
        )
        .expect("a table");
        (db, file.with_file_name("run.db-wal"))
    }

    fn add(db: &Connection, rows: usize) {
        for _ in 0..rows {
            db.execute("INSERT INTO t VALUES (zeroblob(4000))", []).expect("a row");
        }
    }

    fn size(log: &Path) -> u64 {
        log.metadata().expect("the log").len()
    }

    fn set_size(log: &Path, bytes: u64) {
        let log = File::options().write(true).open(log).expect("the log");
        log.set_len(bytes).expect("its size");
    }

    #[test]
    fn a_log_that_was_cut_and_filled_up_again_is_told_wherever_it_was_cut() {
        for n in 0..25 {
            let dir = tempfile::tempdir().expect("a directory");
            let (db, log) = database(dir.path());
            add(&db, 3 + 2 * n);
            assert_eq!(cut(&log), None);
            let from = size(&log);
            // Of one byte SQLite says that there is none.
            let to = [0, 2, 32, 33, 56, 4152, from / 3, from / 2, from - 4120, from - 1];
            let to = to[n % to.len()];
            set_size(&log, to);
            // Whoever looks at its length alone finds what was there.
            add(&db, 1);
            assert!(size(&log) > from, "{n}");
            assert_eq!(cut(&log), Some((from, to)), "{n}");
            // The first one stays told.
            set_size(&log, 100);
            add(&db, 1);
            assert_eq!(cut(&log), Some((from, to)), "{n}");
        }
    }

    #[test]
    fn a_log_that_sqlite_moves_into_the_file_was_not_cut() {
        let dir = tempfile::tempdir().expect("a directory");
        let (db, log) = database(dir.path());
        for how in ["TRUNCATE", "RESTART", "PASSIVE", "FULL", "TRUNCATE"] {
            add(&db, 20);
            let sql = format!("PRAGMA wal_checkpoint({how})");
            db.query_row(&sql, [], |_| Ok(())).expect("a checkpoint");
            add(&db, 10);
            // A transaction that is taken back leaves frames that are written over.
            db.execute_batch("PRAGMA cache_size = 1; BEGIN").expect("a transaction");
            add(&db, 20);
            db.execute_batch("ROLLBACK").expect("its end");
            add(&db, 1);
            assert_eq!(cut(&log), None, "{how}");
        }
    }

    #[test]
    fn a_log_is_empty_until_something_is_committed_and_again_when_all_of_it_was_moved() {
        let dir = tempfile::tempdir().expect("a directory");
        let (db, log) = database(dir.path());
        assert!(!crate::log_is_empty(&db), "the table");
        for _ in 0..3 {
            db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("a checkpoint");
            assert!(crate::log_is_empty(&db) && size(&log) == 0);
            db.execute_batch("BEGIN; INSERT INTO t VALUES (1)").expect("a transaction");
            assert!(crate::log_is_empty(&db), "not before the commit");
            db.execute_batch("COMMIT").expect("its end");
            assert!(!crate::log_is_empty(&db));
        }
        for journal in ["DELETE", "TRUNCATE", "MEMORY"] {
            db.pragma_update(None, "journal_mode", journal).expect("another journal");
            add(&db, 1);
            assert!(!crate::log_is_empty(&db), "{journal}");
        }
        let memory = Connection::open_in_memory().expect("a database");
        assert!(!crate::log_is_empty(&memory));
    }

    #[test]
    fn a_write_at_the_end_or_before_it_is_no_hole() {
        let log = Path::new("nowhere/run.db-wal");
        note(log, 0, 0);
        note(log, 100, 100);
        note(log, 0, 100);
        assert_eq!(cut(log), None);
        note(log, 101, 100);
        note(log, 300, 200);
        assert_eq!(cut(log), Some((101, 100)));
    }
}
