//! The VFS, and how a file is opened by it.
//!
//! SQLite calls a VFS and the files that it opens through tables of functions. Ours hands everything
//! on to the VFS below it, but for a database file, whose methods are those of `file.rs`.
#![allow(unsafe_code, reason = "SQLite calls a VFS through pointers; each use says why it holds")]

use std::ffi::{CStr, CString, NulError, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr::null_mut;
use std::sync::{Mutex, PoisonError};

use rusqlite::ffi::*;
use rusqlite::{Connection, OpenFlags};

use crate::file::{
    ALLOW_HOLES, BELOW_AT, Handle, IS_SUMMED, LOG_METHODS, MEND, METHODS, NEXT_HOLE, SCRUB, begin,
    file_below,
};
use crate::page::RESERVED_BYTES;
use crate::scrub::Scrub;
use crate::state::State;

/// What SQLite holds of this VFS. It lives until the process ends.
#[repr(C)]
struct Vfs {
    own: sqlite3_vfs,
    /// The VFS below, which is never freed either.
    below: *mut sqlite3_vfs,
}

/// Why there is no VFS of that name.
#[derive(Debug)]
enum NoVfs {
    Name(NulError),
    Missing,
    Refused(c_int),
}

impl std::fmt::Display for NoVfs {
    fn fmt(&self, text: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            NoVfs::Name(error) => error.fmt(text),
            NoVfs::Missing => write!(text, "SQLite has no such VFS"),
            NoVfs::Refused(code) => write!(text, "SQLite refused the VFS: {code}"),
        }
    }
}

impl std::error::Error for NoVfs {}

/// The name of the VFS with checksums that lies over this one, or over the system's.
fn over(below: Option<&str>) -> Result<String, NoVfs> {
    static REGISTERING: Mutex<()> = Mutex::new(());
    let name = format!("dhub-checksum-{}", below.unwrap_or("system"));
    let text = CString::new(name.as_str()).map_err(NoVfs::Name)?;
    let below_text = below.map(CString::new).transpose().map_err(NoVfs::Name)?;
    // Two that look for the name at once would both register it.
    let _one = REGISTERING.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: these take names that end with a zero, or none for the default; what they give is there as long as the
    // process, for nothing here unregisters a VFS.
    let below = unsafe {
        if sqlite3_initialize() != SQLITE_OK {
            return Err(NoVfs::Missing);
        }
        if !sqlite3_vfs_find(text.as_ptr()).is_null() {
            return Ok(name);
        }
        sqlite3_vfs_find(below_text.as_ref().map_or(std::ptr::null(), |name| name.as_ptr()))
    };
    if below.is_null() {
        return Err(NoVfs::Missing);
    }
    // SAFETY: it is not null, so it is a VFS that was registered; nobody writes these two numbers.
    let (room, path_max) = unsafe { ((*below).szOsFile, (*below).mxPathname) };
    let own = sqlite3_vfs {
        iVersion: 1,
        szOsFile: BELOW_AT as c_int + room,
        mxPathname: path_max,
        pNext: null_mut(),
        zName: text.into_raw(),
        pAppData: null_mut(),
        xOpen: Some(open_file),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_pathname),
        // Extensions are not loaded: rusqlite's feature for that is off.
        xDlOpen: None,
        xDlError: None,
        xDlSym: None,
        xDlClose: None,
        xRandomness: Some(randomness),
        xSleep: Some(sleep),
        xCurrentTime: Some(current_time),
        xGetLastError: Some(last_error),
        xCurrentTimeInt64: None,
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    };
    let vfs = Box::into_raw(Box::new(Vfs { own, below }));
    // SAFETY: leaked, so it is there as long as SQLite; `own` comes first, so both have one address.
    match unsafe { sqlite3_vfs_register(vfs.cast(), 0) } {
        SQLITE_OK => Ok(name),
        code => Err(NoVfs::Refused(code)),
    }
}

/// Opens a file by it, for this connection alone: with checksums, if the file has any, or is new and `reserve` comes next.
pub fn open(file: &Path, flags: OpenFlags, below: Option<&str>) -> rusqlite::Result<Connection> {
    let missing = |error: NoVfs| {
        rusqlite::Error::SqliteFailure(Error::new(SQLITE_CANTOPEN), Some(error.to_string()))
    };
    let vfs = over(below).map_err(missing)?;
    let db = Connection::open_with_flags_and_vfs(file, flags, vfs.as_str())?;
    // Before the first access, so that the log's index lives in memory: there is no memory to share.
    db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    Ok(db)
}

/// Has SQLite leave room for checksums in a file that it is about to make.
pub fn reserve(db: &Connection) -> rusqlite::Result<()> {
    control(db, SQLITE_FCNTL_RESERVE_BYTES, RESERVED_BYTES as c_int).map(drop)
}

/// Do the pages of its file have checksums? Not if its VFS is another one.
pub fn is_summed(db: &Connection) -> bool {
    control(db, IS_SUMMED, 0).is_ok_and(|summed| summed != 0)
}

/// Bytes that are found wrong are put right in the file too, not only where they are read.
pub fn mend_in_place(db: &Connection) {
    // Without checksums there is nothing to mend.
    let _ = control(db, MEND, 1);
}

/// Pages of zeros are read as they are, and noted, or are damage again: a copy of all pages reads those too that are
/// of no use.
pub fn allow_holes(db: &Connection, allow: bool) {
    let _ = control(db, ALLOW_HOLES, allow.into());
}

/// Those that were read since this was asked last.
pub fn holes_read(db: &Connection) -> Vec<u32> {
    let next = || control(db, NEXT_HOLE, 0).ok().filter(|page| *page > 0);
    std::iter::from_fn(next).map(|page| page as u32).collect()
}

/// Looks at the next pages of its file and mends what can be mended; not within a transaction. One with another VFS has
/// none to look at.
pub fn scrub(db: &Connection, scrub: &mut Scrub) {
    // SAFETY: the connection is open as long as it is borrowed, the name ends with a zero, and what is passed is
    // borrowed until the call returns; files of other VFSs do not know the number, and leave it alone.
    let code = unsafe {
        let scrub = std::ptr::from_mut(scrub).cast::<c_void>();
        sqlite3_file_control(db.handle(), c"main".as_ptr(), SCRUB, scrub)
    };
    scrub.is_over |= code != SQLITE_OK;
}

/// Nothing is in SQLite's log: what is written next begins it anew. Not of a file with another kind of journal.
pub fn log_is_empty(db: &Connection) -> bool {
    let mut log: *mut sqlite3_file = null_mut();
    let mut size: sqlite3_int64 = 0;
    // SAFETY: the connection is open as long as it is borrowed, and nobody else uses it meanwhile, for it is not
    // `Sync`; the name ends with a zero, and SQLite writes a pointer to a file of the connection, which lives as long. What
    // has the methods of a log was opened by `open_file`; SQLite has those of no other file, or none, in its place.
    unsafe {
        let out = std::ptr::from_mut(&mut log).cast::<c_void>();
        let op = SQLITE_FCNTL_JOURNAL_POINTER;
        let known = sqlite3_file_control(db.handle(), c"main".as_ptr(), op, out);
        if known != SQLITE_OK || log.is_null() || !std::ptr::eq((*log).pMethods, &LOG_METHODS) {
            return false;
        }
        LOG_METHODS.xFileSize.is_some_and(|look| look(log, &mut size) == SQLITE_OK) && size == 0
    }
}

fn control(db: &Connection, op: c_int, mut number: c_int) -> rusqlite::Result<c_int> {
    // SAFETY: the connection is open as long as it is borrowed, the name ends with a zero, and all three of these
    // read and write one int, which is there until the call returns.
    let code = unsafe {
        let number = std::ptr::from_mut(&mut number).cast::<c_void>();
        sqlite3_file_control(db.handle(), c"main".as_ptr(), op, number)
    };
    match code {
        SQLITE_OK => Ok(number),
        code => Err(rusqlite::Error::SqliteFailure(Error::new(code), None)),
    }
}

/// The VFS below.
///
/// SAFETY: `vfs` is one that `over` leaked; SQLite passes no other.
unsafe fn below(vfs: *mut sqlite3_vfs) -> *mut sqlite3_vfs {
    unsafe { (*vfs.cast::<Vfs>()).below }
}

/// Calls a function of the VFS below; one that it lacks is `$lacking`.
macro_rules! hand_on {
    ($vfs:ident.$function:ident($($value:expr),*), $lacking:expr) => {
        // SAFETY: as `below` asks for; the values are those that SQLite passed, and mean the same below.
        unsafe {
            let below = below($vfs);
            match (*below).$function {
                Some(function) => function(below, $($value),*),
                None => $lacking,
            }
        }
    };
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    hand_on!(vfs.xDelete(name, sync), SQLITE_IOERR_DELETE)
}

unsafe extern "C" fn access(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    hand_on!(vfs.xAccess(name, flags, out), SQLITE_IOERR_ACCESS)
}

unsafe extern "C" fn full_pathname(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    size: c_int,
    out: *mut c_char,
) -> c_int {
    hand_on!(vfs.xFullPathname(name, size, out), SQLITE_CANTOPEN)
}

unsafe extern "C" fn randomness(vfs: *mut sqlite3_vfs, size: c_int, out: *mut c_char) -> c_int {
    hand_on!(vfs.xRandomness(size, out), 0)
}

unsafe extern "C" fn sleep(vfs: *mut sqlite3_vfs, microseconds: c_int) -> c_int {
    hand_on!(vfs.xSleep(microseconds), 0)
}

unsafe extern "C" fn current_time(vfs: *mut sqlite3_vfs, out: *mut f64) -> c_int {
    hand_on!(vfs.xCurrentTime(out), SQLITE_ERROR)
}

/// The system's number for what went wrong last: a full disk is told by it.
unsafe extern "C" fn last_error(vfs: *mut sqlite3_vfs, size: c_int, out: *mut c_char) -> c_int {
    hand_on!(vfs.xGetLastError(size, out), 0)
}

unsafe extern "C" fn open_file(
    vfs: *mut sqlite3_vfs,
    name: sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // Journals and what is temporary: the file is that of the VFS below, and so are its methods.
    let is_log = flags & SQLITE_OPEN_WAL != 0;
    if (flags & SQLITE_OPEN_MAIN_DB == 0 && !is_log) || name.is_null() {
        return hand_on!(vfs.xOpen(name, file, flags, out_flags), SQLITE_CANTOPEN);
    }
    // SAFETY: SQLite gives room of `szOsFile` bytes; without methods it will not call `close`.
    let inner = unsafe {
        (*file).pMethods = std::ptr::null();
        let inner = file_below(file);
        (*inner).pMethods = std::ptr::null();
        inner
    };
    let opened = hand_on!(vfs.xOpen(name, inner, flags, out_flags), SQLITE_CANTOPEN);
    // SAFETY: the VFS below filled its file, with methods if it is to be closed. The name ends with a zero.
    unsafe {
        if (*inner).pMethods.is_null() {
            return opened;
        }
        let path = PathBuf::from(OsStr::from_bytes(CStr::from_ptr(name).to_bytes()));
        (*file.cast::<Handle>()).state = Box::into_raw(Box::new(State::new(path)));
        (*file).pMethods = if is_log { &LOG_METHODS } else { &METHODS };
    }
    // SAFETY: it was filled just now.
    if opened == SQLITE_OK && !is_log { unsafe { begin(file) } } else { opened }
}
