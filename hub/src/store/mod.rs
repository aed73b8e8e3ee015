//! The store: a redo log that makes a turn's changes safe, and tables in SQLite that they are
//! folded into a little later.
//!
//! `commit` either holds all changes when it returns, or the hub must stop: there is no undo. The
//! tables' connection is lent to a thread that folds; whoever wants to read gets it back first.

mod absent;
mod access;
mod catch_up;
mod check;
mod checksums;
mod connection;
mod copy;
mod damage;
mod disk;
mod error;
mod files;
mod folder;
pub mod log;
mod open;
mod rescue;
mod save;
mod saved;
mod scrub;
pub mod tables;
mod whose;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::TryRecvError;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dhub_proto::private::Mode;
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::engine::message::*;
use crate::engine::scheduler::{Counts, State};

use files::Files;
use files::made::Made;
use folder::{Folded, Folder, Job};
use log::{NOTE_MS, Redo, Room};
use scrub::Scrubbing;
use tables::fold::{Batch, fold};

pub use access::Access;
pub use check::Scanned;
pub use copy::{CopyError, Copying, copy_file};
pub use damage::advice;
pub use disk::fault;
pub use error::{OpenError, StoreError};
pub use files::lock::{FileLock, LockError};
pub use files::orphans::Orphans;
pub use files::paths::beside;
pub use log::Doubt;
pub use open::Opened;
pub use rescue::{RescueError, Rescued, rescue};
pub use save::Saved;
pub use saved::Newer;
pub use tables::details::NewDetails;
pub use tables::meta::VERSION as FILE_VERSION;
pub use tables::row::FailureRow;

/// How the store names an open task, whether it waits, is ready or runs.
const OPEN: i64 = 2;

/// Finished states, whose totals are stored.
pub const FINISHED: [State; 4] = [State::Done, State::Failed, State::Skipped, State::Cancelled];

/// Changes worth a transaction of the tables, and how long fewer of them wait for more.
const FOLD_CHANGES: usize = 2_000;

const FOLD_MS: u64 = 20;

/// Changes folded at a time: about 20 ms, for which the tables cannot be read.
const FOLD_CHANGES_MAX: usize = 8_000;

/// With more changes behind than this, commits wait for the tables.
const BEHIND_CHANGES_MAX: usize = 100_000;

pub struct Store {
    /// Shared with a copy that is being made, which goes on between two commits; away while the
    /// thread folds.
    db: RefCell<Option<Rc<Connection>>>,
    /// Started when there is something to fold.
    folder: Option<Folder>,
    /// Nothing is folded but by `settle`.
    alone: bool,
    /// None: the tasks are in memory, and nothing of them is kept.
    redo: Option<Redo>,
    /// The file says that it has a redo log.
    marked: bool,
    file: Option<std::path::PathBuf>,
    /// The file that is meant, and whether it may be on a network file system.
    real: Option<(std::path::PathBuf, bool)>,
    /// Of the file, and of copies that are made of it.
    mode: Mode,
    /// As they were at the last commit.
    totals: Counts,
    /// Committed and not folded, the oldest first.
    behind: VecDeque<Batch>,
    behind_changes: usize,
    behind_since: Instant,
    details: NewDetails,
    turn: Turn,
    /// When it was noted last that all before was safe.
    noted_at: Instant,
    folded: Cell<Turn>,
    lost: RefCell<tables::lost::Lost>,
    names: RefCell<tables::names::Names>,
    /// Committed turns that the tables did not take.
    unfolded: RefCell<Vec<Batch>>,
    /// None: in memory, or on a disk that a test has made.
    files: Option<Arc<Files>>,
    /// None: nobody looks at them again and again.
    looked_at: Option<Instant>,
    scrubbing: RefCell<Scrubbing>,
    /// Goes unless something is kept in it; before the lock does.
    made: Option<Made>,
    lock: Option<FileLock>,
}

/// Milliseconds since 1970, for people: nothing is decided by it.
pub fn unix_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as i64)
}

impl Store {
    /// Stores all of it or fails. `counts` are the tasks by state after it.
    pub fn commit(&mut self, changes: Vec<Change>, counts: &Counts) -> Result<Turn, StoreError> {
        self.mark()?;
        // One time for both, so that the tables are the same whether they were folded or recovered.
        let (turn, at_ms) = (self.turn + 1, unix_ms());
        let room = loop {
            let folded = self.folded.get();
            let Some(redo) = &mut self.redo else {
                break Room::Taken;
            };
            let write = |record| log::encode(at_ms, &changes, counts, record);
            match redo.append(turn, folded, write).map_err(StoreError::Commit)? {
                // All that is in it may be written over once it is folded.
                Room::Full if folded < self.turn => drop(self.settle()?),
                room => break room,
            }
        };
        self.details.note(turn, &changes);
        if self.behind.is_empty() {
            self.behind_since = Instant::now();
        }
        self.behind_changes += changes.len();
        self.behind.push_back(Batch { turn, at_ms, changes, counts: *counts });
        (self.turn, self.totals) = (turn, *counts);
        if room != Room::Taken || self.behind_changes > BEHIND_CHANGES_MAX {
            self.settle()?;
        }
        Ok(turn)
    }

    /// What this start has made stays.
    pub fn keep(&mut self) {
        if let Some(made) = self.made.take() {
            made.keep();
        }
        if let Some(lock) = &mut self.lock {
            lock.keep();
        }
    }

    /// Not before the first commit: a file that is only looked at stays as it is.
    fn mark(&mut self) -> Result<(), StoreError> {
        if self.marked || self.redo.is_none() {
            return Ok(());
        }
        let files = self.files.clone();
        if let Some(files) = &files {
            files.look()?;
            files.loosen();
        }
        if let Some(redo) = &mut self.redo {
            redo.begin().map_err(StoreError::Commit)?;
            let id = redo.id();
            // Even if this fails, it may have reached the disk: then the file needs its redo log.
            self.marked = true;
            self.keep();
            let db = self.db()?;
            tables::version::mark_in_use(&db, id).map_err(|error| self.failed(&db, error))?;
            // Into the file itself, so that without its log it still says what it lacks.
            move_wal(&db).map_err(|error| self.failed(&db, error))?;
        }
        files.map_or(Ok(()), |files| files.renew()).map_err(StoreError::Commit)
    }

    /// Hands what is behind to the thread that folds, if it has nothing to do and there is enough.
    /// The last turn that the tables have: not before then may memory forget its tasks.
    pub fn fold(&mut self) -> Result<Turn, StoreError> {
        if self.note_due().is_some_and(|due| due.is_zero()) {
            self.note()?;
        }
        if self.is_away() {
            match self.folder.as_ref().map(|folder| folder.folded.try_recv()) {
                Some(Ok(folded)) => self.take_back(folded)?,
                Some(Err(TryRecvError::Empty)) => return Ok(self.folded.get()),
                Some(Err(TryRecvError::Disconnected)) | None => return Err(thread_ended()),
            }
            self.details.folded(self.folded.get());
        }
        let enough = self.behind_changes >= FOLD_CHANGES;
        let due = self.fold_due().into_iter().chain(self.scrub_due()).min();
        if !self.alone && (enough || due.is_some_and(|due| due.is_zero())) {
            self.lend()?;
        }
        Ok(self.folded.get())
    }

    /// When `fold` has something to do, if nothing else happens.
    pub fn due(&self) -> Option<Duration> {
        let dues = [self.fold_due(), self.note_due(), self.look_due(), self.scrub_due()];
        dues.into_iter().flatten().min()
    }

    fn fold_due(&self) -> Option<Duration> {
        let wait = Duration::from_millis(FOLD_MS);
        if self.is_away() {
            return Some(wait);
        }
        (!self.behind.is_empty()).then(|| wait.saturating_sub(self.behind_since.elapsed()))
    }

    /// When it is to be noted that the last turn is safe, if it is not: once.
    fn note_due(&self) -> Option<Duration> {
        let redo = self.redo.as_ref().filter(|_| self.marked && !self.alone)?;
        let wait = Duration::from_millis(NOTE_MS);
        (!redo.is_noted(self.turn)).then(|| wait.saturating_sub(self.noted_at.elapsed()))
    }

    /// Notes that the last turn is safe. Nobody waits for it.
    pub fn note(&mut self) -> Result<(), StoreError> {
        let (turn, folded) = (self.turn, self.folded.get());
        if let Some(redo) = self.redo.as_mut().filter(|_| self.marked) {
            redo.note(turn, folded).map_err(StoreError::Commit)?;
            self.noted_at = Instant::now();
        }
        Ok(())
    }

    /// Folds all that is committed. What is read afterwards says all of it.
    pub fn settle(&mut self) -> Result<Turn, StoreError> {
        let db = self.db()?;
        if !self.behind.is_empty() {
            let batches = self.take_behind(usize::MAX);
            if let Err(error) = fold(&db, &batches) {
                self.unfolded.borrow_mut().extend(batches);
                return Err(self.failed(&db, error));
            }
            self.folded.set(self.turn);
        }
        self.details.folded(self.folded.get());
        Ok(self.turn)
    }

    fn lend(&mut self) -> Result<(), StoreError> {
        if self.folder.is_none() {
            self.folder = Folder::start().ok();
        }
        let jobs = self.folder.as_ref().and_then(|folder| folder.jobs.clone());
        let db = self.db.get_mut().take();
        // A copy that is being made holds on to the connection.
        match (jobs, db.map(Rc::try_unwrap)) {
            (Some(jobs), Some(Ok(db))) => {
                let batches = self.take_behind(FOLD_CHANGES_MAX);
                let scrub = self.scrubbing.get_mut().take_due();
                jobs.send(Job { db, batches, scrub }).map_err(|_| thread_ended())
            }
            (_, db) => {
                self.scrubbing.get_mut().put_off();
                *self.db.get_mut() = db.map(|db| db.map_or_else(|shared| shared, Rc::new));
                self.settle().map(drop)
            }
        }
    }

    fn take_behind(&mut self, most: usize) -> Vec<Batch> {
        let mut batches = Vec::new();
        let mut taken = 0;
        while taken < most
            && let Some(batch) = self.behind.pop_front()
        {
            taken += batch.changes.len();
            batches.push(batch);
        }
        self.behind_changes -= taken;
        self.behind_since = Instant::now();
        batches
    }

    fn is_away(&self) -> bool {
        self.db.borrow().is_none()
    }

    fn take_back(&self, folded: Folded) -> Result<(), StoreError> {
        let Folded { db, turn, result, scrub } = folded;
        let db = Rc::new(db);
        *self.db.borrow_mut() = Some(Rc::clone(&db));
        self.scrubbing.borrow_mut().note(scrub, self.file());
        if let Err((error, batches)) = result {
            self.unfolded.borrow_mut().extend(batches);
            return Err(self.failed(&db, error));
        }
        if let Some(turn) = turn {
            self.folded.set(turn);
        }
        Ok(())
    }

    /// The tables, as far as they are folded.
    fn db(&self) -> Result<Rc<Connection>, StoreError> {
        if self.is_away() {
            let folded = self.folder.as_ref().and_then(|folder| folder.folded.recv().ok());
            self.take_back(folded.ok_or_else(thread_ended)?)?;
        }
        self.db.borrow().as_ref().map(Rc::clone).ok_or_else(thread_ended)
    }

    /// Folds all and moves SQLite's log into the file, at a clean stop: one file has it all then.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.finish()
    }

    /// The same; if it fails, what there is can still be saved.
    pub fn finish(&mut self) -> Result<(), StoreError> {
        self.settle()?;
        if let Some(files) = &self.files {
            files.look()?;
        }
        let redo = self.redo.take();
        if redo.is_some() {
            if self.marked {
                let db = self.db()?;
                files::mark::mark_clean(&db).map_err(|error| self.failed(&db, error))?;
            }
            if let Some(files) = &self.files {
                files.look()?;
                files.loosen();
            }
        }
        if self.file.is_some() {
            let db = self.db()?;
            let moved = move_wal(&db).and_then(|()| {
                db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map(drop)
            });
            moved.map_err(|error| self.failed(&db, error))?;
        }
        if let Some(redo) = redo {
            // Left behind, it does no harm: it says whose it is, and the file says that it is clean.
            let _ = redo.remove();
        }
        // A copy that is under way is cut off, and closes the connection as it is dropped.
        if let Some(Ok(db)) = self.db.get_mut().take().map(Rc::try_unwrap) {
            db.close().map_err(|(_, error)| StoreError::Fold(error))?;
        }
        if let Some(made) = self.made.take() {
            made.keep();
        }
        self.files.as_ref().map_or(Ok(()), |files| files.look_at_file()).map_err(StoreError::from)
    }

    pub fn file(&self) -> Option<&std::path::Path> {
        self.file.as_deref()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Of a file that was only looked at, or was refused.
        if let Some(redo) = self.redo.take_if(|_| !self.marked) {
            let _ = redo.remove();
            if let Some(db) = self.db.get_mut() {
                // SQLite's log is not needed either.
                let _ = db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false);
            }
        }
    }
}

/// Moves SQLite's log into the file, and leaves an empty one; not while somebody reads.
fn move_wal(db: &Connection) -> rusqlite::Result<()> {
    match db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
        Err(error) if disk::is_busy(&error) => Ok(()),
        moved => moved,
    }
}

fn thread_ended() -> StoreError {
    StoreError::Commit(io::Error::other("the thread that folds has ended"))
}
