//! Opening a file: lock it, look at what it is, bring it to this version, prepare the connection.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use dhub_proto::private::{self, Mode, PrivateError};
use rusqlite::Connection;

use super::catch_up::open_redo;
use super::files::Files;
use super::saved::Newer;
use super::{FINISHED, FileLock, NewDetails, Store, StoreError};
use crate::engine::message::Turn;
use crate::engine::scheduler::Counts;
use crate::store::access::Access;
use crate::store::connection::{open_connection, prepare};
use crate::store::error::OpenError;
use crate::store::files::alone::Alone;
use crate::store::files::beside::Found;
use crate::store::files::journal::journal_path;
use crate::store::files::made::Made;
use crate::store::files::mark::marks;
use crate::store::files::network::network_file_system;
use crate::store::files::orphans::Orphans;
use crate::store::files::part::parent;
use crate::store::files::paths::{BESIDE, REDO, beside};
use crate::store::log::{Doubt, Redo};
use crate::store::tables::version::create;

pub struct Opened {
    pub store: Store,
    /// The file did not exist before.
    pub new: bool,
    /// The mode that the file had, if it let others read more than they are to.
    pub was: Option<u32>,
    /// The end of the redo log cannot be read.
    pub doubt: Option<Doubt>,
    /// What a hub saved when the file was gone.
    pub newer: Option<Newer>,
}

impl Store {
    /// The file that is meant, by its real name as the start found it.
    pub fn real(&self) -> Option<&Path> {
        self.real.as_ref().map(|(real, _)| real.as_path())
    }

    /// Without a file: in memory, lost with the process.
    pub fn open_in_memory() -> rusqlite::Result<Store> {
        let mut db = Connection::open_in_memory()?;
        create(&mut db)?;
        prepare(&db)?;
        Ok(Store::new(db, None, 0))
    }

    pub fn open(file: &Path, since: &str, network: bool) -> Result<Opened, OpenError> {
        Self::open_with(file, since, Access { network, ..Access::default() })
    }

    pub fn open_with(file: &Path, since: &str, access: Access) -> Result<Opened, OpenError> {
        let dir = parent(file);
        let io = |source| OpenError::Io { path: dir.to_owned(), source };
        if !dir.is_dir() {
            return Err(OpenError::NoDirectory { file: file.to_owned(), dir: dir.to_owned() });
        }
        if let Some(kind) = network_file_system(dir).map_err(io)?
            && !access.network
        {
            return Err(OpenError::Network { file: file.to_owned(), kind });
        }
        if file.is_symlink() && !file.exists() {
            let to = file.read_link().map_err(io)?;
            return Err(OpenError::Nowhere { file: file.to_owned(), to });
        }
        // Only what is there may be looked at before it is locked.
        let real = real_path(file, dir).map_err(io)?;
        let lock = FileLock::take(&real, since)?;
        let mut opened = match access.vfs {
            Some(_) => Self::open_real(&real, access, None)?,
            None => {
                let files = Files::note(&real, access.network).map(Arc::new).map_err(io)?;
                let made = Made::note(&real, &files);
                let opened = Self::open_real(&real, access, Some(&files));
                // Whatever it looks like then.
                let mut opened = opened.map_err(|error| match files.look() {
                    Err(gone) => OpenError::Gone { file: real.clone(), gone },
                    Ok(()) => error,
                })?;
                // What SQLite has written by now is not what others write later. What is found stays found, and
                // from now on there is something to save.
                let _ = files.look();
                opened.store.made = Some(made);
                opened.store.real = Some((real, access.network));
                opened.store.files = Some(files);
                opened
            }
        };
        opened.store.file = Some(file.to_owned());
        opened.store.lock = Some(lock);
        Ok(opened)
    }

    fn open_real(real: &Path, access: Access, files: Option<&Files>) -> Result<Opened, OpenError> {
        let io = |source| OpenError::Io { path: parent(real).to_owned(), source };
        if let Some(orphans) = Orphans::of(real).filter(|_| files.is_some()) {
            return Err(orphans.into());
        }
        let was = guard(real, access)?;
        files.map_or(Ok(()), Files::add).map_err(io)?;
        let absent = std::fs::metadata(real).map_or(true, |meta| meta.len() == 0);
        let alone = Some(real).filter(|_| access.vfs.is_none()).and_then(Alone::read);
        alone.as_ref().map_or(Ok(()), |alone| alone.fits_journal(real))?;
        // What a transaction wrote that was cut off is taken back by it.
        let has_journal = std::fs::metadata(journal_path(real)).is_ok_and(|meta| meta.len() > 0);
        let alone = alone.filter(|_| !has_journal);
        let wal = Found::look(real, access, alone.as_ref())?;
        let (db, new) = open_connection(real, access, absent, files, alone.as_ref())?;
        if new {
            // The entry of the new file in its directory must survive a loss of power too.
            File::open(parent(real)).and_then(|dir| dir.sync_all()).map_err(io)?;
        }
        let unusable = |source| OpenError::Unusable { file: real.to_owned(), source };
        let (id, ..) = marks(&db).map_err(|source| unusable(source).or_disk(&db))?;
        let redo = open_redo(real, &db, access, wal).map_err(|error| error.or_disk(&db));
        let (redo, turn, marked, doubt) = redo?;
        let mut store = Store::new(db, Some(redo), turn);
        store.mode = access.mode.unwrap_or_default();
        (store.alone, store.marked) = (access.alone, marked);
        store.totals = store
            .read_totals()
            .map_err(|source| OpenError::Unreadable { file: real.to_owned(), source })?;
        let newer = match files {
            Some(_) => Newer::than(real, id, turn),
            None => None,
        };
        Ok(Opened { store, new, was, doubt, newer })
    }

    fn new(db: Connection, redo: Option<Redo>, turn: Turn) -> Self {
        Self {
            db: RefCell::new(Some(Rc::new(db))),
            folder: None,
            alone: false,
            marked: false,
            redo,
            file: None,
            real: None,
            mode: Mode::PRIVATE,
            totals: Counts::default(),
            behind: VecDeque::new(),
            behind_changes: 0,
            behind_since: Instant::now(),
            details: NewDetails::default(),
            turn,
            noted_at: Instant::now(),
            folded: Cell::new(turn),
            lost: RefCell::default(),
            names: RefCell::default(),
            unfolded: RefCell::default(),
            looked_at: None,
            scrubbing: RefCell::default(),
            files: None,
            made: None,
            lock: None,
        }
    }

    fn read_totals(&self) -> Result<Counts, StoreError> {
        let mut counts = Counts::default();
        let db = self.db()?;
        let mut select = db.prepare("SELECT count FROM totals WHERE state = ?1")?;
        for state in FINISHED {
            let count: i64 = select.query_row([state as i64], |row| row.get(0))?;
            counts.set(state, count.max(0) as u64);
        }
        Ok(counts)
    }

    pub fn totals(&self) -> &Counts {
        &self.totals
    }
}

/// The file that is meant, once and for all: a link to it must not be a way around the lock, and must
/// not lead elsewhere later. What `parent` is called in it no longer matters.
fn real_path(file: &Path, parent: &Path) -> io::Result<PathBuf> {
    match file.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(parent.canonicalize()?.join(file.file_name().unwrap_or_default()))
        }
        real => real,
    }
}

/// Makes the file, or looks at it and at what is beside it, before anything in them is believed. The
/// mode that the file had, if that changed. Nothing of it stays open: SQLite's locks would go with it.
fn guard(file: &Path, access: Access) -> Result<Option<u32>, PrivateError> {
    if access.vfs.is_some() {
        return Ok(None);
    }
    let mut writable = Vec::new();
    let mut note = |error| match error {
        // All at once: one command mends them.
        PrivateError::Writable { paths } => {
            writable.extend(paths);
            Ok(())
        }
        error => Err(error),
    };
    let mut was = None;
    match private::keep(file, access.mode) {
        Ok(kept) => was = kept.was,
        Err(error) => note(error)?,
    }
    for end in BESIDE.into_iter().chain(access.medium.is_none().then_some(REDO)) {
        private::look(&beside(file, end), access.mode).map(drop).or_else(&mut note)?;
    }
    if writable.is_empty() { Ok(was) } else { Err(PrivateError::Writable { paths: writable }) }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;
    use crate::store::tables::read::LOOK_UP;

    #[test]
    fn a_statement_is_compiled_once_whatever_it_is_run_with() {
        let db = Connection::open_in_memory().expect("a database");
        db.execute_batch(include_str!("tables/schema.sql")).expect("the tables");
        prepare(&db).expect("the settings");
        let select = || db.prepare_cached(LOOK_UP).expect("a statement");
        for name in ["a", "b", "c"] {
            assert!(!select().exists([name]).expect("an answer"));
        }
        assert_eq!(select().get_status(StatementStatus::RePrepare), 0);
    }
}
