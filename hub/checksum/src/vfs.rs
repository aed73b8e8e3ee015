//! The VFS: the one place that speaks C.
//!
//! SQLite calls a VFS and the files that it opens through tables of functions. Ours hands everything on to the VFS
//! below it, but for whole pages of a database file. There is no shared memory and no mapped file: a hub has
//! its file alone, and a page that is not read cannot be looked at.
#![allow(unsafe_code, reason = "SQLite calls a VFS through pointers; each use says why it holds")]

use std::ffi::{CStr, CString, NulError, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr::null_mut;
use std::sync::{Mutex, PoisonError};

use rusqlite::ffi::*;
use rusqlite::{Connection, OpenFlags};

use crate::page::{PAGE_BYTES, Page, RESERVED_BYTES, Seen, seal};
use crate::state::State;

/// What SQLite holds of this VFS. It lives until the process ends.
#[repr(C)]
struct Vfs {
    own: sqlite3_vfs,
    /// The VFS below, which is never freed either.
    below: *mut sqlite3_vfs,
}

/// What SQLite holds of an open database: room of `szOsFile` bytes. The file of the VFS below comes at `BELOW_AT`.
#[repr(C)]
struct Handle {
    own: sqlite3_file,
    /// From `Box::into_raw` in `open_file`; `close` takes it back.
    state: *mut State,
}

/// SQLite's room is aligned for any type; so is this far into it.
const BELOW_AT: usize = 16;
const _: () = assert!(size_of::<Handle>() <= BELOW_AT);

/// Asks a file whether it has checksums. Those from 100 on are free for use.
const IS_SUMMED: c_int = 6401;
/// Tells a file to write bytes that it mends.
const MEND: c_int = 6402;

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

/// The file of the VFS below, which lies in the same room.
///
/// SAFETY: `file` is room of `szOsFile` bytes, of which `BELOW_AT` are ours.
unsafe fn file_below(file: *mut sqlite3_file) -> *mut sqlite3_file {
    unsafe { file.byte_add(BELOW_AT) }
}

/// What is known of the file.
///
/// SAFETY: `file` was filled by `open_file`, which SQLite guarantees for all methods of a file, and is not closed yet.
/// SQLite calls the methods of one file one after the other, under the lock of its connection, and no method
/// calls another of the same file: there is no other reference.
unsafe fn state<'a>(file: *mut sqlite3_file) -> &'a mut State {
    unsafe { &mut *(*file.cast::<Handle>()).state }
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

/// The same for a method of a file.
macro_rules! hand_on_file {
    ($file:ident.$method:ident($($value:expr),*), $lacking:expr) => {
        // SAFETY: `open_file` filled the file below, and kept it only with its methods; the values are those that SQLite
        // passed, or such as it might pass.
        unsafe {
            let below = file_below($file);
            match (*(*below).pMethods).$method {
                Some(method) => method(below, $($value),*),
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
    // Logs, journals and what is temporary: the file is that of the VFS below, and so are its methods.
    if flags & SQLITE_OPEN_MAIN_DB == 0 || name.is_null() {
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
        (*file).pMethods = &METHODS;
    }
    if opened == SQLITE_OK { begin(file) } else { opened }
}

/// Looks at the first page, if there is one.
fn begin(file: *mut sqlite3_file) -> c_int {
    let mut size: sqlite3_int64 = 0;
    let known = hand_on_file!(file.xFileSize(&mut size), SQLITE_IOERR_FSTAT);
    if known != SQLITE_OK || size == 0 {
        return known;
    }
    let mut page: Page = [0; PAGE_BYTES];
    let there = PAGE_BYTES.min(size as usize);
    let read = hand_on_file!(
        file.xRead(page.as_mut_ptr().cast::<c_void>(), there as c_int, 0),
        SQLITE_IOERR_READ
    );
    if read == SQLITE_OK {
        // SAFETY: `open_file` has filled it.
        unsafe { state(file) }.begin(&page[..there]);
    }
    read
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: made by `Box::into_raw` in `open_file`; SQLite closes a file once.
    drop(unsafe { Box::from_raw((*file.cast::<Handle>()).state) });
    hand_on_file!(file.xClose(), SQLITE_OK)
}

/// The page at this place, and how far into it that is.
fn place(at: sqlite3_int64) -> (u32, usize) {
    (1 + (at as usize / PAGE_BYTES) as u32, at as usize % PAGE_BYTES)
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    to: *mut c_void,
    size: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: as `state` asks for.
    let state = unsafe { state(file) };
    let (number, from) = place(at);
    if !state.summed || from + size as usize > PAGE_BYTES {
        return hand_on_file!(file.xRead(to, size, at), SQLITE_IOERR_READ);
    }
    let mut page: Page = [0; PAGE_BYTES];
    let start = at - from as sqlite3_int64;
    let room = page.as_mut_ptr().cast::<c_void>();
    let whole = hand_on_file!(file.xRead(room, PAGE_BYTES as c_int, start), SQLITE_IOERR_READ);
    if whole == SQLITE_IOERR_SHORT_READ {
        // The file ends before, or within it: SQLite knows what that means.
        return hand_on_file!(file.xRead(to, size, at), SQLITE_IOERR_READ);
    }
    if whole != SQLITE_OK {
        return whole;
    }
    match state.look(number, &mut page) {
        Seen::Sound => {}
        // Of a part SQLite wants the header, also to find that a journal has to be played back first, which
        // puts right what was cut off. It reads the whole page before it believes it.
        Seen::Damaged if size as usize == PAGE_BYTES => return SQLITE_CORRUPT,
        Seen::Damaged => {}
        Seen::Mended { at } => {
            if state.mends {
                let byte = page[at..].as_ptr().cast::<c_void>();
                let to = start + at as sqlite3_int64;
                // One byte is written as a whole or not at all. If it is not, the page is mended again when it is read.
                hand_on_file!(file.xWrite(byte, 1, to), SQLITE_IOERR_WRITE);
            }
        }
    }
    // SAFETY: SQLite gives room of `size` bytes, and `page` has as many from there.
    unsafe { to.cast::<u8>().copy_from_nonoverlapping(page[from..].as_ptr(), size as usize) };
    SQLITE_OK
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    from: *const c_void,
    size: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: as `state` asks for.
    let state = unsafe { state(file) };
    let (number, into) = place(at);
    let is_page = into == 0 && size as usize == PAGE_BYTES;
    if is_page {
        // SAFETY: SQLite gives `size` bytes, which are a page, and nobody changes them meanwhile.
        let from = unsafe { std::slice::from_raw_parts(from.cast(), PAGE_BYTES) };
        state.buffer.copy_from_slice(from);
        state.note_written(number);
    }
    if !state.summed {
        return hand_on_file!(file.xWrite(from, size, at), SQLITE_IOERR_WRITE);
    }
    // SQLite writes whole pages. Anything else would leave one without its checksum.
    if !is_page || !state.may_write(number) {
        return SQLITE_IOERR_WRITE;
    }
    seal(number, &mut state.buffer);
    let sealed = state.buffer.as_ptr().cast::<c_void>();
    hand_on_file!(file.xWrite(sealed, size, at), SQLITE_IOERR_WRITE)
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    hand_on_file!(file.xTruncate(size), SQLITE_IOERR_TRUNCATE)
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    hand_on_file!(file.xSync(flags), SQLITE_IOERR_FSYNC)
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, out: *mut sqlite3_int64) -> c_int {
    hand_on_file!(file.xFileSize(out), SQLITE_IOERR_FSTAT)
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    hand_on_file!(file.xLock(level), SQLITE_IOERR_LOCK)
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    hand_on_file!(file.xUnlock(level), SQLITE_IOERR_UNLOCK)
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    hand_on_file!(file.xCheckReservedLock(out), SQLITE_IOERR_CHECKRESERVEDLOCK)
}

unsafe extern "C" fn file_control(file: *mut sqlite3_file, op: c_int, to: *mut c_void) -> c_int {
    match op {
        IS_SUMMED => {
            // SAFETY: as `state` asks for; `control` alone asks this, with an int.
            unsafe { *to.cast::<c_int>() = state(file).summed.into() };
            SQLITE_OK
        }
        MEND => {
            // SAFETY: as `state` asks for.
            unsafe { state(file) }.mends = true;
            SQLITE_OK
        }
        op => hand_on_file!(file.xFileControl(op, to), SQLITE_NOTFOUND),
    }
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    hand_on_file!(file.xSectorSize(), PAGE_BYTES as c_int)
}

/// Without leave to read parts of pages past the cache: they could not be looked at.
unsafe extern "C" fn characteristics(file: *mut sqlite3_file) -> c_int {
    hand_on_file!(file.xDeviceCharacteristics(), 0) & !SQLITE_IOCAP_SUBPAGE_READ
}
