//! A connection to the tables: how SQLite is set up, and its log kept small.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use dhub_proto::private;
use rusqlite::config::DbConfig;
use rusqlite::hooks::Wal;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, OpenFlags, ffi};

use crate::store::access::Access;
use crate::store::disk::{fail_in_hook, is_busy};
use crate::store::error::OpenError;
use crate::store::files::Files;
use crate::store::files::alone::Alone;
use crate::store::files::mark::had_checksums;
use crate::store::files::paths::wal_path;
use crate::store::tables::meta::{APPLICATION_ID, VERSION, version};
use crate::store::tables::version::create;

/// Pages of SQLite kept in memory, in KiB.
const CACHE_KIB: i64 = 64 * 1024;

/// The connection, and whether nothing was there.
pub(super) fn open_connection(
    file: &Path,
    access: Access,
    absent: bool,
    files: Option<&Files>,
    alone: Option<&Alone>,
) -> Result<(Connection, bool), OpenError> {
    let unusable = |source| OpenError::Unusable { file: file.to_owned(), source };
    let mut flags = OpenFlags::default();
    flags.set(OpenFlags::SQLITE_OPEN_NOFOLLOW, access.vfs.is_none());
    // It is there: one that was removed just now is not to be made anew.
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, access.vfs.is_some());
    let mut db = dhub_checksum::open(file, flags, access.vfs).map_err(unusable)?;
    // What is open now is what was looked at.
    let gone = |gone| OpenError::Gone { file: file.to_owned(), gone };
    files.map_or(Ok(()), Files::look).map_err(gone)?;
    if access.mends {
        dhub_checksum::mend_in_place(&db);
    }
    let new = set_up(&mut db, file, access, absent, alone).map_err(|error| error.or_disk(&db))?;
    Ok((db, new))
}

/// Looks at what it is and prepares the connection; whether nothing was there.
fn set_up(
    db: &mut Connection,
    file: &Path,
    access: Access,
    absent: bool,
    alone: Option<&Alone>,
) -> Result<bool, OpenError> {
    let unusable = |source| OpenError::Unusable { file: file.to_owned(), source };
    // Before the first access, so that the log's index lives in memory, not in a mapped file.
    db.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(unusable)?;
    // Only a clean stop moves the log into the file. If the file is not ours, or refused, that is not
    // ours to do; and a hub that stops for a fault leaves things as they are.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(unusable)?;
    let mut new = absent;
    if absent {
        dhub_checksum::reserve(db).map_err(unusable)?;
    } else {
        let application: i64 =
            db.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(unusable)?;
        let version = version(db).map_err(unusable)?;
        // A hub that died at its first start leaves a database with nothing in it.
        new = application == 0 && version == 0 && is_empty(db, file).map_err(unusable)?;
        if application != APPLICATION_ID && !new {
            return Err(OpenError::Foreign { file: file.to_owned() });
        }
        if version > VERSION {
            return Err(OpenError::Newer { file: file.to_owned(), found: version });
        }
        alone.map_or(Ok(()), |alone| alone.fits(db, file))?;
    }
    let (journal, synchronous) = if access.network { ("delete", "EXTRA") } else { ("wal", "FULL") };
    use_journal(db, journal).map_err(unusable)?;
    db.pragma_update(None, "synchronous", synchronous).map_err(unusable)?;
    if new {
        create(db).map_err(unusable)?;
    } else {
        settle(db, file, access.network)?;
    }
    prepare(db).map_err(unusable)?;
    move_log(db, access.checkpoint_pages, None).map_err(unusable)?;
    Ok(new)
}

/// Moves all of SQLite's log into the file, when it is known that it belongs there.
pub(super) fn empty_log(db: &Connection, file: &Path, access: Access) -> Result<(), OpenError> {
    let unusable = |source| OpenError::Unusable { file: file.to_owned(), source };
    if !access.network {
        // So that what a write left behind that was cut off is not taken for damage later.
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(unusable)?;
    }
    // Not before: the first page may have been cut off when the log was moved last.
    if !dhub_checksum::is_summed(db) && had_checksums(db).map_err(unusable)? {
        return Err(OpenError::Header { file: file.to_owned() });
    }
    Ok(())
}

/// Says which journal is to be used and makes sure that it is: if the disk does not take it, SQLite
/// stays with the one it has, or says so only after it has named the other.
fn use_journal(db: &Connection, wanted: &str) -> rusqlite::Result<()> {
    let mut pragma = db.prepare(&format!("PRAGMA journal_mode = {wanted}"))?;
    let mut rows = pragma.query([])?;
    let mut used = String::new();
    while let Some(row) = rows.next()? {
        used = row.get(0)?;
    }
    if used == wanted {
        return Ok(());
    }
    let why = format!("its journal stays '{used}', where '{wanted}' is needed");
    Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR), Some(why)))
}

/// Makes safe what a start finds. A hub that died, or whose sync failed, may have left a commit that
/// the system shows and the disk does not have. A client that repeats its request is told that it is
/// done, with nothing to commit and so nothing to sync; and later commits would rest on that one.
fn settle(db: &Connection, file: &Path, network: bool) -> Result<(), OpenError> {
    if network {
        // Any transaction writes its journal over the old one, and syncs it.
        let unusable = |source| OpenError::Unusable { file: file.to_owned(), source };
        let same = version(db).map_err(unusable)?;
        return db.pragma_update(None, "user_version", same).map_err(unusable);
    }
    let path = wal_path(file);
    let Some(wal) = private::look(&path, None)? else { return Ok(()) };
    rewrite(&wal.file).map_err(|source| OpenError::Io { path, source })
}

/// Writes the same bytes again: after a sync that failed, the system holds them for written, and the
/// next one would do nothing.
fn rewrite(file: &File) -> io::Result<()> {
    let mut bytes = vec![0; 1 << 20];
    let mut at = 0;
    loop {
        let size = file.read_at(&mut bytes, at)?;
        if size == 0 {
            return file.sync_all();
        }
        file.write_all_at(&bytes[..size], at)?;
        at += size as u64;
    }
}

/// A database without a table; not some other file that is too short to be one.
fn is_empty(db: &Connection, file: &Path) -> rusqlite::Result<bool> {
    let pages: i64 = db.pragma_query_value(None, "page_count", |row| row.get(0))?;
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let is_database = pages > 0 || std::fs::metadata(file).is_ok_and(|meta| meta.len() == 0);
    Ok(is_database && tables == 0)
}

/// Moves the log into the file whenever it has grown to this. SQLite would do so by itself, but
/// say nothing of a disk that fails meanwhile; here it fails the commit, and that stops the hub.
/// Nothing is moved of files that are gone or cut.
pub(super) fn move_log(
    db: &mut Connection,
    pages_max: u32,
    files: Option<Arc<Files>>,
) -> rusqlite::Result<()> {
    db.wal_hook(Some(move |log: &mut Wal, pages: i32| {
        let is_gone = files.as_ref().is_some_and(|files| files.look().is_err());
        if is_gone || i64::from(pages) < i64::from(pages_max) {
            return Ok(());
        }
        // Nothing stays in it: a frame that is damaged later would bring back what its page was before.
        let mut checkpoint = || log.checkpoint_v2(CheckpointMode::TRUNCATE).map(drop);
        let moved = match &files {
            Some(files) => files.changed_by(checkpoint),
            None => checkpoint(),
        };
        match moved {
            // Somebody is reading: after the next commit, then.
            Err(error) if is_busy(&error) => Ok(()),
            moved => moved.map_err(fail_in_hook),
        }
    }))
}

pub(super) fn prepare(db: &Connection) -> rusqlite::Result<()> {
    // A plan that depends on no value. Else SQLite compiles some statements anew each time that they are run.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.pragma_update(None, "cache_size", -CACHE_KIB)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(())
}
