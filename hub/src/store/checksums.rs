//! Checksums for the file of an older version: a new one is made of it beside it, and takes its place.
//!
//! Each page has to move, as the checksums need room in it. The old file stays as it is until the new one is whole
//! and on disk; then it is replaced in one step. That takes as much space again as the file has.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tempfile::TempPath;

use super::copy::{new_part, parent};
use super::mark::mark_checksums;
use super::open::{Access, beside, open_connection};
use super::{Store, StoreError, thread_ended};

/// The name of the copy until it has the file's.
const PART: &str = ".checksums";
/// A file that takes longer says how far it is so often.
const TELL: Duration = Duration::from_secs(5);
/// Steps of SQLite between two looks at the clock and at the signals.
const STEPS: i32 = 100_000;
/// What else is written beside the copy, and left for the hub to begin with.
const ROOM_BYTES: u64 = 64 << 20;

#[derive(Debug, thiserror::Error)]
enum Without {
    #[error("{} MiB have to be free on its disk for that, and {} are; they come at a start that finds them", .needed >> 20, .free >> 20)]
    NoRoom { needed: u64, free: u64 },
    #[error("{0}; the next start tries again")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}; the next start tries again")]
    Io(#[from] io::Error),
}

impl Store {
    /// Gives the pages of an older file checksums, if there is room for that; `stop` ends it. Without them the hub
    /// runs all the same, as hubs before it did.
    pub fn add_checksums(&mut self, stop: &Arc<AtomicBool>) -> Result<(), StoreError> {
        let Some((real, network)) = self.real.clone() else { return Ok(()) };
        drop(self.db()?);
        let mut db = match self.db.get_mut().take().map(Rc::try_unwrap) {
            Some(Ok(db)) => db,
            _ => return Err(thread_ended()),
        };
        let has_them = dhub_checksum::is_summed(&db);
        let part = match has_them {
            true => None,
            false => copy_summed(&mut db, &real, stop).map(Some).unwrap_or_else(|without| {
                let file = real.display();
                tracing::warn!("the pages of {file} have no checksums: {without}");
                None
            }),
        };
        let Some(part) = part else {
            *self.db.get_mut() = Some(Rc::new(db));
            return Ok(());
        };
        close(db, &real)?;
        let took_place = part.persist(&real).map_err(|error| error.error);
        took_place.and_then(|()| sync_dir(&real)).map_err(StoreError::Commit)?;
        let access = Access { network, mends: true, ..Access::default() };
        let (db, _) = open_connection(&real, access, false)
            .map_err(|error| StoreError::Commit(io::Error::other(error.to_string())))?;
        *self.db.get_mut() = Some(Rc::new(db));
        tracing::info!("the pages of {} have checksums now", real.display());
        Ok(())
    }
}

/// Leaves one file that has everything: no log of SQLite's that the next file would take for its own.
fn close(db: Connection, real: &Path) -> Result<(), StoreError> {
    let closed = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    let closed = closed.and_then(|()| db.close().map_err(|(_, error)| error));
    closed.map_err(StoreError::Fold)?;
    sync_dir(real).map_err(StoreError::Commit)
}

fn sync_dir(file: &Path) -> io::Result<()> {
    File::open(parent(file))?.sync_all()
}

/// The whole copy, with checksums and on disk.
fn copy_summed(
    db: &mut Connection,
    real: &Path,
    stop: &Arc<AtomicBool>,
) -> Result<TempPath, Without> {
    let meta = fs::metadata(real)?;
    // Of a hub that was killed meanwhile.
    remove(&beside(real, PART))?;
    let bytes = file_bytes(db)?;
    let disk = rustix::fs::statvfs(parent(real)).map_err(io::Error::from)?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    // A page holds a little less than before.
    let needed = bytes + bytes / 64 + ROOM_BYTES;
    if free < needed {
        return Err(Without::NoRoom { needed, free });
    }
    let part = empty(&beside(real, PART))?;
    // SQLite's way to ask for it says no where the file has none, and does it in the copy.
    let _ = dhub_checksum::reserve(db);
    let (name, copied, stop) = (real.display().to_string(), part.to_path_buf(), Arc::clone(stop));
    let mut told = Instant::now();
    let look = move || {
        if told.elapsed() >= TELL {
            told = Instant::now();
            let now = fs::metadata(&copied).map_or(0, |meta| meta.len()) >> 20;
            tracing::warn!("adding checksums to {name}: {now} of {} MiB", bytes >> 20);
        }
        stop.load(Ordering::Relaxed)
    };
    db.progress_handler(STEPS, Some(look))?;
    let copied = db.execute("VACUUM INTO ?1", [part.to_string_lossy()]);
    db.progress_handler(0, None::<fn() -> bool>)?;
    copied?;
    let new = new_part(&part)?;
    mark_checksums(&new)?;
    new.close().map_err(|(_, error)| error)?;
    let file = File::open(&part)?;
    file.set_permissions(fs::Permissions::from_mode(meta.permissions().mode() & 0o777))?;
    file.sync_all()?;
    Ok(part)
}

/// A file of its user's alone, that was not there before.
fn empty(path: &Path) -> io::Result<TempPath> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    TempPath::try_from_path(path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn file_bytes(db: &Connection) -> rusqlite::Result<u64> {
    let number = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    Ok((number("page_count")? * number("page_size")?) as u64)
}
