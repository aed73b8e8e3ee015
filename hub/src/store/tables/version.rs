//! The version of a file: made, told, and brought to the newest.

use rusqlite::Connection;

use crate::store::files::mark::{begin_log, mark_checksums};
use crate::store::tables::meta::{APPLICATION_ID, VERSION, set, version};
use crate::store::{Store, StoreError};

const TABLES: &str = include_str!("schema.sql");

const VIEWS: &str = include_str!("views.sql");

impl Store {
    /// Brings the file to this version, for a hub that is going to run on it; the version that it had, if that was an
    /// older one. What only looks at a file leaves it as it is.
    pub fn upgrade(&self) -> Result<Option<i64>, StoreError> {
        let db = self.db()?;
        let upgrade = || -> rusqlite::Result<Option<i64>> {
            let found = version(&db)?;
            if found == VERSION {
                return Ok(None);
            }
            let transaction = db.unchecked_transaction()?;
            let is_first = dhub_checksum::log_is_empty(&db);
            migrate(&db)?;
            if is_first {
                begin_log(&db)?;
            }
            transaction.commit()?;
            Ok(Some(found))
        };
        upgrade().map_err(|error| self.failed(&db, error))
    }
}

/// The schema comes with its version in one transaction: a file is of a version or still empty.
pub fn create(db: &mut Connection) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.execute_batch(VIEWS)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    if dhub_checksum::is_summed(&transaction) {
        mark_checksums(&transaction)?;
    }
    transaction.commit()
}

/// Brings a file of an older version to this one; in a transaction of the caller's.
pub fn migrate(db: &Connection) -> rusqlite::Result<()> {
    let found = version(db)?;
    if found < 2 {
        db.execute_batch(
            "CREATE TABLE meta (
                key   TEXT    PRIMARY KEY,
                value INTEGER NOT NULL
            ) WITHOUT ROWID;
            INSERT INTO meta VALUES ('turn', 0), ('redo', 0), ('clean', 1);
            DROP INDEX tasks_open;
            DROP INDEX tasks_dead;
            CREATE INDEX tasks_undone  ON tasks (state, id) WHERE state <> 5;",
        )?;
    }
    if found < 3 {
        db.execute_batch(
            "ALTER TABLE tasks    ADD COLUMN dir         TEXT;
            ALTER TABLE tasks    ADD COLUMN env         TEXT;
            ALTER TABLE tasks    ADD COLUMN stdin       BLOB;
            ALTER TABLE workers  ADD COLUMN host        TEXT;
            ALTER TABLE attempts ADD COLUMN output_file TEXT;",
        )?;
    }
    if found < 4 {
        db.execute_batch("ALTER TABLE tasks ADD COLUMN held INTEGER NOT NULL DEFAULT 0")?;
    }
    if found < 5 {
        db.execute_batch(
            "ALTER TABLE workers ADD COLUMN key TEXT NOT NULL DEFAULT '';
            -- What they have handed in is nobody's: it must not be believed as if it were the owner's.
            UPDATE workers SET key = '?';
            DROP INDEX workers_key;
            CREATE UNIQUE INDEX workers_key ON workers (key, coalesce(client, name));",
        )?;
    }
    if found < 6 {
        db.execute_batch(
            "ALTER TABLE tasks ADD COLUMN sum INTEGER;
            CREATE TABLE requests (
                number INTEGER PRIMARY KEY,
                key    TEXT    NOT NULL,
                token  BLOB    NOT NULL,
                sum    INTEGER NOT NULL,
                upto   INTEGER NOT NULL,
                done   INTEGER NOT NULL,
                more   INTEGER NOT NULL,
                reply  BLOB
            );",
        )?;
    }
    if found < 7 {
        db.execute_batch("ALTER TABLE attempts ADD COLUMN left_behind INTEGER NOT NULL DEFAULT 0")?;
    }
    if found < VERSION {
        db.execute_batch(VIEWS)?;
        db.pragma_update(None, "user_version", VERSION)?;
    }
    Ok(())
}

/// From now on the file needs its redo log.
pub fn mark_in_use(db: &Connection, id: u64) -> rusqlite::Result<()> {
    let transaction = db.unchecked_transaction()?;
    let is_first = dhub_checksum::log_is_empty(db);
    migrate(db)?;
    if is_first {
        begin_log(db)?;
    }
    set(db, "redo", id)?;
    set(db, "clean", 0)?;
    transaction.commit()
}
