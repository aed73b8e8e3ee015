//! Checksums for the file of an older version: a new one is made of it beside it, and takes its place.
//!
//! Each page has to move, as the checksums need room in it. The old file stays as it is until the new one is whole
//! and on disk; then it is replaced in one step. That takes as much space again as the file has.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dhub_checksum::PAGE_BYTES;
use rusqlite::Connection;

use super::check::problems;
use super::copy::new_part;
use super::files::Files;
use super::{Store, StoreError, move_wal, thread_ended};
use crate::store::access::Access;
use crate::store::connection::open_connection;
use crate::store::error::OpenError;
use crate::store::files::mark::mark_checksums;
use crate::store::files::part::{Part, parent, remove_left};
use crate::store::files::paths::{beside, wal_path};

/// The end of the name of the directory that the copy is in.
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
    #[error(
        "it is not sound: {0}\n  dhub check says more; save what can be read to a new file with dhub rescue, and if that lacks too much, go on from a backup"
    )]
    Unsound(String),
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
        let Some(files) = self.files.clone() else { return Ok(()) };
        drop(self.db()?);
        let mut db = match self.db.get_mut().take().map(Rc::try_unwrap) {
            Some(Ok(db)) => db,
            _ => return Err(thread_ended()),
        };
        if !dhub_checksum::is_summed(&db) {
            let copied = copy_summed(&mut db, &real, stop);
            let replaced = match copied {
                Ok(part) => {
                    // What else has its name by now is not to be replaced, and what is open has all.
                    if let Err(gone) = files.look() {
                        *self.db.get_mut() = Some(Rc::new(db));
                        return Err(gone.into());
                    }
                    close(db, &real)?;
                    files.look()?;
                    let replaced = files.replace(part);
                    sync_dir(&real).map_err(StoreError::Commit)?;
                    db = open_again(&files, network)?;
                    replaced.map_err(Without::Io)
                }
                Err(without) => Err(without),
            };
            let file = real.display();
            match replaced {
                Ok(()) => tracing::info!("the pages of {file} have checksums now"),
                Err(without) => tracing::warn!("the pages of {file} have no checksums: {without}"),
            }
        } else {
            // Of a hub that was killed when the copy had taken its place.
            if let Err(error) = remove_left(&beside(&real, PART)) {
                tracing::warn!("{error}");
            }
        }
        *self.db.get_mut() = Some(Rc::new(db));
        Ok(())
    }
}

/// Leaves one file that has everything: no log of SQLite's that the next file would take for its own, not even after a
/// loss of power, for SQLite cuts it without a sync.
fn close(db: Connection, real: &Path) -> Result<(), StoreError> {
    move_wal(&db).map_err(StoreError::Fold)?;
    db.close().map_err(|(_, error)| StoreError::Fold(error))?;
    let sync = || match File::open(wal_path(real)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        log => {
            let log = log?;
            log.sync_all()?;
            match log.metadata()?.len() {
                0 => Ok(()),
                _ => Err(io::Error::other("SQLite's log could not be moved into the file")),
            }
        }
    };
    sync().and_then(|()| sync_dir(real)).map_err(StoreError::Commit)
}

fn open_again(files: &Files, network: bool) -> Result<Connection, StoreError> {
    let access = Access { network, mends: true, ..Access::default() };
    let opened = open_connection(files.real(), access, false, Some(files), None);
    let (db, _) = opened.map_err(|error| match error {
        OpenError::Gone { gone, .. } => gone.into(),
        error => StoreError::Commit(io::Error::other(error)),
    })?;
    Ok(db)
}

fn sync_dir(file: &Path) -> io::Result<()> {
    File::open(parent(file))?.sync_all()
}

/// The whole copy, with checksums and on disk.
fn copy_summed(db: &mut Connection, real: &Path, stop: &Arc<AtomicBool>) -> Result<Part, Without> {
    // Of a hub that was killed meanwhile; its room may be what lacks.
    let part = Part::named(real, PART)?;
    let bytes = file_bytes(db)?;
    let disk = rustix::fs::statvfs(parent(real)).map_err(io::Error::from)?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    // A page holds a little less than before.
    let needed = bytes + bytes / 64 + ROOM_BYTES;
    if free < needed {
        return Err(Without::NoRoom { needed, free });
    }
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
    let copied = copy_sound(db, &part);
    db.progress_handler(0, None::<fn() -> bool>)?;
    copied?;
    let new = new_part(&part)?;
    mark_checksums(&new)?;
    new.close().map_err(|(_, error)| error)?;
    part.be_like(real)?;
    Ok(part)
}

/// Only of a file that is sound: a checksum over what is wrong would call it right from then on.
fn copy_sound(db: &Connection, part: &Path) -> Result<(), Without> {
    if let Some(problem) = problems(db)?.into_iter().next() {
        return Err(Without::Unsound(problem));
    }
    db.pragma_update(None, "page_size", PAGE_BYTES as i64)?;
    // SQLite's way to ask for it says no where the file has none, and does it in the copy.
    let _ = dhub_checksum::reserve(db);
    db.execute("VACUUM INTO ?1", [part.to_string_lossy()])?;
    Ok(())
}

fn file_bytes(db: &Connection) -> rusqlite::Result<u64> {
    let number = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    Ok((number("page_count")? * number("page_size")?) as u64)
}
