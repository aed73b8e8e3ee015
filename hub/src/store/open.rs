//! Opening a file: lock it, look at what it is, bring it to this version, prepare the connection.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use dhub_proto::disk::{DiskError, words};
use dhub_proto::private::{self, Mode, PrivateError};
use rusqlite::config::DbConfig;
use rusqlite::hooks::Wal;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use super::absent::no_directory;
use super::damage::{advice, advice_after, told};
use super::disk::{disk_error, fail_in_hook};
use super::files::{Files, Gone};
use super::saved::Newer;
use super::{Batch, FINISHED, FileLock, LockError, NewDetails, Store, StoreError, fold, move_wal};
use crate::engine::message::Turn;
use crate::engine::scheduler::Counts;
use crate::store::files::alone::{Alone, Replaced, fits_clean};
use crate::store::files::beside::{Found, Orphans, names, them};
use crate::store::files::journal::journal_path;
use crate::store::files::made::Made;
use crate::store::files::mark::{had_checksums, mark_clean, marks, new_id};
use crate::store::files::network::network_file_system;
use crate::store::files::part::parent;
use crate::store::log;
use crate::store::log::{Doubt, Gap, Medium, Records, Redo, RedoFile};
use crate::store::tables::version::{APPLICATION_ID, VERSION, create, version};

/// Pages of SQLite kept in memory, in KiB.
const CACHE_KIB: i64 = 64 * 1024;
/// Pages of the log after which it is moved into the file.
pub(super) const CHECKPOINT_PAGES: u32 = 4000;

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Private(#[from] PrivateError),
    #[error("{} is of version {found}, this dhub knows {VERSION}; use the newer dhub that wrote it", .file.display())]
    Newer { file: PathBuf, found: i64 },
    #[error("{} is not a file of dhub; it was left as it is", .file.display())]
    Foreign { file: PathBuf },
    #[error("{} is on a network file system ({kind}), where SQLite's log does not work and locks are not to be relied on\n  put it on a local disk, or accept slower commits with --network-file", .file.display())]
    Network { file: PathBuf, kind: &'static str },
    #[error("cannot use {}: page 1 is damaged, or another program wrote the file anew, for its pages had checksums; it was left as it is\n  {}", .file.display(), advice(.file))]
    Header { file: PathBuf },
    #[error("cannot make {}: {}", .file.display(), no_directory(.dir))]
    NoDirectory { file: PathBuf, dir: PathBuf },
    #[error("{} is a link that leads to nothing: {}; name that file itself once, so that it is made, or remove the link", .file.display(), .to.display())]
    Nowhere { file: PathBuf, to: PathBuf },
    #[error("{gone}; nothing was changed\n  {}", advice_after("put it back and start again", .file))]
    Gone { file: PathBuf, gone: Gone },
    #[error(transparent)]
    Orphans(#[from] Orphans),
    #[error(transparent)]
    Replaced(#[from] Replaced),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("{}: {}", .path.display(), words(.source))]
    Io { path: PathBuf, source: io::Error },
    #[error("cannot use {}: {}; it was left as it is\n  {}", .file.display(), told(.source), what_to_do(.file, .source))]
    Unusable { file: PathBuf, source: rusqlite::Error },
    #[error("cannot use {}: {source}; it was left as it is\n  {}", .file.display(), advice(.file))]
    Unreadable { file: PathBuf, source: StoreError },
    #[error("{} is missing or empty, and had what is not in {name} yet, or {name} was replaced by an older one\n  {}", .wal.display(), advice_after("bring it back beside the file", .file), name = .file.display())]
    WalMissing { file: PathBuf, wal: PathBuf },
    #[error("{} is damaged: {why}\n  {}", .wal.display(), advice_after("bring back a sound copy of it", .file))]
    WalDamaged { file: PathBuf, wal: PathBuf, why: String },
    #[error("{} {} missing, and {} what was acknowledged last and is not in {} yet\n  {}", names(.logs), if .logs.len() == 1 { "is" } else { "are" }, if .logs.len() == 1 { "has" } else { "have" }, .file.display(), advice_after(&format!("bring {} back beside the file", them(.logs)), .file))]
    RedoMissing { file: PathBuf, logs: Vec<PathBuf> },
    #[error("{} does not belong to {} as that is now: it is of another file, or of another state of it{}\n  {}", .redo.display(), .file.display(), wal_may_lack(.file), advice_after("bring back what belongs together; if the log is of another file, move it away", .file))]
    RedoForeign { file: PathBuf, redo: PathBuf },
    #[error("{} is damaged, or is no redo log: nothing in it can be read\n  {}", .redo.display(), advice_after("bring back a sound copy of it", .file))]
    RedoUnreadable { file: PathBuf, redo: PathBuf },
    #[error("{} is damaged{}: {gap}\n  {}", .redo.display(), if *.goes_on { String::new() } else { format!(", or {} was replaced by an older one", .file.display()) }, advice_after("bring back a sound copy of it", .file))]
    RedoDamaged {
        file: PathBuf,
        redo: PathBuf,
        gap: Gap,
        /// The first turn that the tables lack is in it.
        goes_on: bool,
    },
    #[error("{} is of an older state of {}: it ends with turn {last}, and the tables with turn {turn}; what was acknowledged after that is in a newer one\n  {}", .redo.display(), .file.display(), advice_after("bring back the newest", .file))]
    RedoOlder { file: PathBuf, redo: PathBuf, last: Turn, turn: Turn },
    #[error("{} was written by another version of dhub; start that version once on the same file and stop it", .redo.display())]
    RedoVersion { redo: PathBuf },
    #[error("{}: turn {turn} was written by another version of dhub; start that version once and stop it", .redo.display())]
    RedoUnknown { redo: PathBuf, turn: Turn },
}

impl OpenError {
    /// If it is the disk that takes nothing, that is all that is wrong.
    fn or_disk(self, db: &Connection) -> Self {
        match &self {
            Self::Unusable { file, source } => match disk_error(db, file, source) {
                Some(disk) => disk.into(),
                None => self,
            },
            _ => self,
        }
    }
}

fn what_to_do(file: &Path, error: &rusqlite::Error) -> String {
    match is_busy(error) {
        true => "another program has it open; end that, and do it again".into(),
        false => advice(file),
    }
}

fn wal_may_lack(file: &Path) -> String {
    let wal = wal_path(file);
    if wal.exists() { String::new() } else { format!(", or {} was lost", wal.display()) }
}

type OpenMedium<'a> = &'a dyn Fn(&Path) -> io::Result<Box<dyn Medium>>;

/// How a file is opened; by default as a hub on a local disk does it.
#[derive(Clone, Copy)]
pub struct Access<'a> {
    /// The file may be on a network file system.
    pub network: bool,
    /// The redo log is lost, and with it what is not folded.
    pub without_redo: bool,
    /// The way to the redo log; None: a file of the system's.
    pub medium: Option<OpenMedium<'a>>,
    pub region_bytes: u64,
    /// Nothing is folded but by `settle`, so that all I/Os come in one order.
    pub alone: bool,
    /// Which of SQLite's ways to the disk; None: the system's.
    pub vfs: Option<&'a str>,
    /// Pages of the log after which it is moved into the file.
    pub checkpoint_pages: u32,
    /// Bytes that are found wrong are put right in the file too; a look at it leaves it as it is.
    pub mends: bool,
    /// Who may read the file and what lies beside it; None: what is there stays as it is.
    pub mode: Option<Mode>,
}

impl Default for Access<'_> {
    fn default() -> Self {
        Self {
            network: false,
            without_redo: false,
            medium: None,
            region_bytes: log::REGION_BYTES,
            alone: false,
            vfs: None,
            checkpoint_pages: CHECKPOINT_PAGES,
            mends: false,
            mode: None,
        }
    }
}

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

/// What SQLite puts beside a file; it takes the mode of the file, and follows no link.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];
pub(super) const REDO: &str = ".redo";

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

pub(super) fn beside(file: &Path, end: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(end);
    path.into()
}

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

/// SQLite's log.
pub fn wal_path(file: &Path) -> PathBuf {
    beside(file, "-wal")
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

pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

pub fn redo_path(file: &Path) -> PathBuf {
    beside(file, REDO)
}

/// Folds what a hub that died left in its redo log, and begins a new one. With the last turn, whether
/// the file says already that it has this log, and what is in doubt.
fn open_redo(
    file: &Path,
    db: &Connection,
    access: Access,
    wal: Option<Found>,
) -> Result<(Redo, Turn, bool, Option<Doubt>), OpenError> {
    let (mut id, is_clean, mut turn) =
        marks(db).map_err(|source| OpenError::Unusable { file: file.to_owned(), source })?;
    let path = redo_path(file);
    let io = |source| OpenError::Io { path: path.clone(), source };
    // A link that leads nowhere is there, too.
    let is_there = path.symlink_metadata().is_ok();
    if !is_there && !is_clean && !access.without_redo {
        let wal = wal.filter(|wal| wal.is_missing()).map(Found::forget);
        let logs = wal.into_iter().chain([path]).collect();
        return Err(OpenError::RedoMissing { file: file.to_owned(), logs });
    }
    let medium: Box<dyn Medium> = match access.medium {
        None => Box::new(RedoFile::open(&path, access.mode)?),
        Some(open) => open(&path).map_err(io)?,
    };
    let (mut doubt, mut behind, mut is_older) = (None, None, false);
    if is_there && !access.without_redo {
        let records = Records::read(&*medium, access.region_bytes).map_err(io)?;
        if !is_clean && records.of_another_version {
            return Err(OpenError::RedoVersion { redo: path });
        }
        if !is_clean && records.owner().is_none() {
            return Err(OpenError::RedoUnreadable { file: file.to_owned(), redo: path });
        }
        let is_ours = records.owner() == Some(id);
        if !is_ours && (!is_clean || records.has_turns() || records.last() > turn) {
            return Err(OpenError::RedoForeign { file: file.to_owned(), redo: path });
        }
        if !is_clean {
            if let Some(wal) = wal {
                wal.fits(db, turn, &records)?;
            }
            if let Some(gap) = records.gap(turn) {
                let (file, goes_on) = (file.to_owned(), gap.first > turn + 1);
                return Err(OpenError::RedoDamaged { file, redo: path, gap, goes_on });
            }
            if records.is_older_than(turn) {
                let (file, last) = (file.to_owned(), records.last());
                return Err(OpenError::RedoOlder { file, redo: path, last, turn });
            }
            doubt = records.doubt(turn);
            is_older = records.is_of_older_version();
            behind = Some(records);
        } else if is_ours {
            fits_clean(file, turn, &records)?;
        }
    }
    // Nothing was refused: until here all files are as they were found.
    empty_log(db, file, access)?;
    if let Some(records) = behind {
        turn = catch_up(db, records, turn, file, &path)?.unwrap_or(turn);
    }
    let unusable = |source| OpenError::Unusable { file: file.to_owned(), source };
    if is_older {
        // That version would not see what this one says: from here on there is another log.
        mark_clean(db).map_err(unusable)?;
    }
    if !is_clean {
        // What is left behind its last commit must not be taken for damage later.
        move_wal(db).map_err(unusable)?;
    }
    let is_new = id == 0 || access.without_redo || is_older;
    if is_new {
        // No record of before can be taken for one of now.
        id = new_id();
    }
    let redo = Redo::new(medium, id, access.region_bytes, turn);
    Ok((redo, turn, !is_clean && !is_new, doubt))
}

/// Folds the records that the tables do not have; the last turn of them.
fn catch_up(
    db: &Connection,
    records: Records,
    folded: Turn,
    file: &Path,
    redo: &Path,
) -> Result<Option<Turn>, OpenError> {
    let redo = || redo.to_owned();
    let mut last = None;
    for (turn, body) in records.after(folded) {
        let batch: Batch = log::decode(turn, &body)
            .ok_or_else(|| OpenError::RedoUnknown { redo: redo(), turn })?;
        let unusable = |source| OpenError::Unusable { file: file.to_owned(), source };
        fold(db, &[batch]).map_err(unusable)?;
        last = Some(turn);
    }
    Ok(last)
}

fn prepare(db: &Connection) -> rusqlite::Result<()> {
    // A plan that depends on no value. Else SQLite compiles some statements anew each time that they are run.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.pragma_update(None, "cache_size", -CACHE_KIB)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(())
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
