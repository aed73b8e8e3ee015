//! Saving what can be read: from a file, SQLite's log and the redo log into a new file, with a list
//! of what cannot. The originals are only read.
//!
//! The tables are taken as they are where they are sound, else row by row around the damage. Then
//! come the turns of the redo log, all of them if they join, else what of them fits. The new file
//! grows beside `TO` and gets its name when it is sound and on disk.

mod doubts;
mod image;
mod known;
mod leaves;
mod mend;
mod original;
mod replay;
mod rows;
mod schema;
mod table;
mod turned;

use std::io;
use std::path::{Path, PathBuf};

use dhub_proto::disk::Fault;
use dhub_proto::private::Mode;
use rusqlite::Connection;

use super::check::problems;
use super::copy::{new_part, open_plain_part};
use super::disk::{fault_of, words};
use super::saved::Newer;
use super::{FileLock, LockError};
use crate::engine::message::Turn;
use crate::store::files::lock::LOCK;
use crate::store::files::mark;
use crate::store::files::orphans::Orphans;
use crate::store::files::part::Part;
use crate::store::files::paths::{beside, redo_path, wal_path};
use crate::store::log::{REGION_BYTES, Records};
use crate::store::tables::version::{create, migrate};

use image::{Image, Originals};

#[derive(Debug, thiserror::Error)]
pub enum RescueError {
    #[error("{} exists already; nothing was written", .0.display())]
    Exists(PathBuf),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("{}: {}", .path.display(), words(.source))]
    Io { path: PathBuf, source: io::Error },
    #[error("{} can be written by others, so what is in it may be theirs; if you trust it, mend it with: chmod go-w {}", .0.display(), dhub_proto::shell::file(.0))]
    Writable(PathBuf),
    #[error("{} is a link, which is not followed, to {}; name that file itself, or remove the link", .path.display(), .to.display())]
    Link { path: PathBuf, to: PathBuf },
    #[error("neither {} nor a log of it is there", .0.display())]
    Absent(PathBuf),
    #[error(transparent)]
    Orphans(#[from] Orphans),
    #[error("{} has no task that can be read; nothing was written", .0.display())]
    Nothing(PathBuf),
    #[error("{} is not a file of dhub", .0.display())]
    Foreign(PathBuf),
    #[error("{} is of version {found}; use the newer dhub that wrote it", .file.display())]
    Newer { file: PathBuf, found: i64 },
    #[error("cannot write {}: {}", .to.display(), words(.source))]
    Write { to: PathBuf, source: rusqlite::Error },
    #[error("cannot write {}: {fault}", .to.display())]
    Disk {
        to: PathBuf,
        #[source]
        fault: Fault,
    },
    #[error("what was saved is not sound:\n  {}\n  nothing was written; please report this", .0.join("\n  "))]
    Unsound(Vec<String>),
}

/// What became of it.
#[derive(Debug, Default)]
pub struct Rescued {
    /// Names of tasks that were there and cannot be read.
    pub tasks: Vec<String>,
    /// What else is lost, a line each.
    pub lost: Vec<String>,
    /// What may be lost, or may be otherwise than it was.
    pub doubt: Vec<String>,
    /// The files that it is saved from.
    pub used: Vec<PathBuf>,
    /// Those that it does without, each with the reason; but for those that something is lost by.
    pub unused: Vec<String>,
    /// Tasks whose rows are older than the rest.
    turned: turned::Turned,
    /// What a hub saved when the file was gone.
    pub saved: Option<Newer>,
}

impl Rescued {
    pub fn is_whole(&self) -> bool {
        self.tasks.is_empty() && self.lost.is_empty() && self.doubt.is_empty()
    }
}

/// Saves what can be read of `file` to the new file `to`.
pub fn rescue(file: &Path, to: &Path, mode: Mode, since: &str) -> Result<Rescued, RescueError> {
    // What is met on the way is in copies that nobody knows, and may be read in another way; what comes of it is told.
    let quiet = tracing::subscriber::NoSubscriber::default();
    tracing::subscriber::with_default(quiet, || save(file, to, mode, since))
}

fn save(file: &Path, to: &Path, mode: Mode, since: &str) -> Result<Rescued, RescueError> {
    if to.symlink_metadata().is_ok() {
        return Err(RescueError::Exists(to.to_owned()));
    }
    // As a hub resolves it: what belongs to it lies beside the real one.
    let real = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let lock = match FileLock::take(&real, since) {
        Err(error @ LockError::InUse { .. }) => return Err(error.into()),
        lock => lock,
    };
    let mut originals = Originals::open(&real)?;
    let write = |source| RescueError::Write { to: to.to_owned(), source };
    let io = |source| RescueError::Io { path: to.to_owned(), source };
    let mut rescued = Rescued::default();
    // Where nothing can be written no hub runs either; and one that runs has its lock there.
    if let Err(LockError::Denied { .. }) = lock
        && beside(&real, LOCK).exists()
    {
        rescued.doubt.push(format!(
            "{} cannot be locked, as you may not write beside it: a hub may run on it, and what that did meanwhile may be missing",
            real.display()
        ));
    }

    let image = originals.image(to, &mut rescued)?;
    let part = Part::new(to).map_err(io)?;
    // A sound image is copied page by page, with checksums or without.
    let copied = image.as_ref().filter(|image| image.is_sound);
    let is_summed = copied.is_none_or(|image| dhub_checksum::is_summed(&image.db));
    let mut db = open_scratch(&part, is_summed).map_err(write)?;
    part.check().map_err(io)?;
    match fill(&mut db, &real, originals, image, is_summed, &mut rescued) {
        Err(Unfilled::Sqlite(source)) => {
            return Err(match fault_of(&db, &source) {
                Some(fault) => RescueError::Disk { to: to.to_owned(), fault },
                None => write(source),
            });
        }
        Err(Unfilled::Rescue(error)) => return Err(error),
        Ok(()) => {}
    }
    db.close().map_err(|(_, source)| write(source))?;
    part.keep(to, mode).map_err(io)?;
    Ok(rescued)
}

/// Why a new file could not be filled.
#[derive(Debug, thiserror::Error)]
enum Unfilled {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Rescue(#[from] RescueError),
}

/// With the tables as far as they can be read, and the turns of the redo log.
fn fill(
    db: &mut Connection,
    real: &Path,
    originals: Originals,
    image: Option<Image>,
    is_summed: bool,
    rescued: &mut Rescued,
) -> Result<(), Unfilled> {
    let is_sound = image.as_ref().is_some_and(|image| image.is_sound);
    let base = image.as_ref().map_or(0, |image| image.turn);
    match &image {
        Some(image) if is_sound => {
            image.copy_to(db)?;
            let transaction = db.unchecked_transaction()?;
            migrate(db)?;
            transaction.commit()?;
        }
        image => {
            create(db)?;
            if let Some(image) = image {
                rows::save(&image.db, &image.part, db, rescued)?;
            }
        }
    }
    drop(image);
    let turn = read_redo(real, &originals, db, base, is_sound, rescued)?;
    let id = originals.marks.map_or(0, |(id, ..)| id);
    rescued.saved = Newer::than(real, id, turn);
    if !is_sound && is_empty(db)? {
        return Err(RescueError::Nothing(real.to_owned()).into());
    }
    mend::mend(db, rescued)?;
    mark::mark_copy(db)?;
    if !is_summed {
        mark::mark_no_checksums(db)?;
    }
    crate::store::tables::meta::set(db, "turn", turn)?;
    db.pragma_update(None, "journal_mode", "DELETE")?;
    let problems = problems(db)?;
    if problems.is_empty() { Ok(()) } else { Err(RescueError::Unsound(problems).into()) }
}

fn is_empty(db: &Connection) -> rusqlite::Result<bool> {
    Ok(!db.prepare("SELECT 1 FROM tasks")?.exists([])?)
}

/// A file that is thrown away unless it is complete.
fn open_scratch(part: &Path, is_summed: bool) -> rusqlite::Result<Connection> {
    let db = if is_summed { new_part(part)? } else { open_plain_part(part)? };
    db.pragma_update(None, "journal_mode", "MEMORY")?;
    db.pragma_update(None, "synchronous", "OFF")?;
    Ok(db)
}

/// Adds what the redo log has, and says what it lacks; the last turn.
fn read_redo(
    file: &Path,
    originals: &Originals,
    db: &Connection,
    base: Turn,
    is_sound: bool,
    rescued: &mut Rescued,
) -> rusqlite::Result<Turn> {
    let (id, is_clean, _) = originals.marks.unwrap_or_default();
    let needs_one = originals.marks.is_some() && !is_clean;
    let records = match originals.redo.clone().map(|bytes| (bytes.len(), bytes)) {
        None => Err("is missing"),
        Some((0, _)) => Err("is empty"),
        Some((_, bytes)) => Ok(Records::of(bytes, REGION_BYTES)),
    };
    let records = records.and_then(|records| match records.owner() {
        Some(owner) => Ok((records, owner)),
        None if records.of_another_version => {
            Err("is of another version of dhub, which can start on it")
        }
        None => Err("cannot be read"),
    });
    let path = redo_path(file);
    let before = rescued.lost.len();
    let last = match records {
        Err(why) if needs_one => {
            rescued.lost.push(format!("{} {why}: what came after turn {base}", path.display()));
            base
        }
        Err(why) => {
            if originals.redo.as_ref().is_some_and(|redo| !redo.is_empty()) {
                rescued.unused.push(format!("{}: it {why}", path.display()));
            }
            base
        }
        // A log is written over, so after a clean stop nothing in it is newer than the tables.
        Ok((records, owner)) if owner != id && id != 0 => {
            if records.has_turns() {
                let text = format!("{} is of another file; nothing of it was used", path.display());
                rescued.doubt.push(text);
            } else {
                let text = format!("{}: it is of another file, and has no turns", path.display());
                rescued.unused.push(text);
            }
            base
        }
        // It says up to where the tables of its own file go, which another one may lack.
        Ok((records, owner))
            if originals.marks.is_some() && id == 0 && owner != 0 && !records.has_turns() =>
        {
            rescued.unused.push(format!("{}: it has no turns", path.display()));
            base
        }
        Ok((records, owner)) => {
            if id == 0 && owner != 0 && records.has_turns() {
                rescued.doubt.push(format!(
                    "{} has turns, and whether they are of this file cannot be told: it may be a copy that was put in the place of another; what of them fits was added",
                    path.display()
                ));
            }
            if needs_one && records.is_older_than(base) {
                rescued.doubt.push(format!(
                    "{} is of an older state of the file: it ends with turn {}, and the tables with turn {base}; what came after that may be lost",
                    path.display(),
                    records.last()
                ));
            }
            if records.folded > base && wal_path(file).exists() {
                rescued.doubt.push(format!(
                    "the tables had turn {}, and what can be read of them ends with turn {base}",
                    records.folded
                ));
            }
            rescued.used.push(path);
            replay::replay(db, &records, base, is_sound, rescued)?
        }
    };
    if needs_one && originals.lacks_wal && rescued.lost.len() > before {
        let wal = wal_path(file);
        rescued.lost.push(format!("{} is missing: what only it had of that", wal.display()));
    }
    Ok(last)
}
