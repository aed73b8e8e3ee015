//! A database file, as SQLite calls it: whole pages are looked at and sealed, all else is handed on.
//!
//! There is no shared memory and no mapped file: a hub has its file alone, and a page that is not read
//! cannot be looked at.
#![allow(unsafe_code, reason = "SQLite calls a file through pointers; each use says why it holds")]

use std::ffi::{c_int, c_void};
use std::io;

use rusqlite::ffi::*;

use crate::log;
use crate::page::{PAGE_BYTES, Page, Seen, look, seal};
use crate::scrub::Scrub;
use crate::state::State;

/// What SQLite holds of an open database: room of `szOsFile` bytes. The file of the VFS below comes at `BELOW_AT`.
#[repr(C)]
pub struct Handle {
    pub own: sqlite3_file,
    /// From `Box::into_raw` in `open_file`; `close` takes it back.
    pub state: *mut State,
}

/// SQLite's room is aligned for any type; so is this far into it.
pub const BELOW_AT: usize = 16;
const _: () = assert!(size_of::<Handle>() <= BELOW_AT);

/// SQLITE_CORRUPT, but not by that number alone: after it SQLite would refuse to commit the transaction, though whoever
/// writes has taken back, by a savepoint, what met the damage.
const DAMAGED: c_int = SQLITE_CORRUPT | (100 << 8);

/// Asks a file whether it has checksums. Those from 100 on are free for use.
pub const IS_SUMMED: c_int = 6401;
/// Tells a file to write bytes that it mends.
pub const MEND: c_int = 6402;
/// Tells a file to read holes as they are, or no longer.
pub const ALLOW_HOLES: c_int = 6403;
/// Asks for a hole that was read, each once; 0: no more.
pub const NEXT_HOLE: c_int = 6404;
/// Has a file look at some of its pages.
pub const SCRUB: c_int = 6405;

/// The file of the VFS below, which lies in the same room.
///
/// SAFETY: `file` is room of `szOsFile` bytes, of which `BELOW_AT` are ours.
pub unsafe fn file_below(file: *mut sqlite3_file) -> *mut sqlite3_file {
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

/// Looks at the first page, if there is one.
///
/// SAFETY: as `state` asks for.
pub unsafe fn begin(file: *mut sqlite3_file) -> c_int {
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
        // SAFETY: as of this function.
        let state = unsafe { state(file) };
        state.safe_end = size as u64;
        state.begin(&page[..there]);
    }
    read
}

pub static METHODS: sqlite3_io_methods = METHODS_OF_FILE;

/// Those of SQLite's log.
pub static LOG_METHODS: sqlite3_io_methods =
    sqlite3_io_methods { xRead: Some(read_log), xWrite: Some(write_log), ..METHODS_OF_FILE };

const METHODS_OF_FILE: sqlite3_io_methods = sqlite3_io_methods {
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

/// Why a file took no write: the file below keeps what the system said, of which `errno` may be that of a later call.
///
/// SAFETY: as `state` asks for.
unsafe fn outcome(file: *mut sqlite3_file, code: c_int) -> io::Result<()> {
    if code == SQLITE_OK {
        return Ok(());
    }
    let mut errno: c_int = 0;
    let to = (&raw mut errno).cast::<c_void>();
    let asked = hand_on_file!(file.xFileControl(SQLITE_FCNTL_LAST_ERRNO, to), SQLITE_NOTFOUND);
    Err(refusal(code, if asked == SQLITE_OK { errno } else { 0 }))
}

/// In the system's words, if it has said any.
fn refusal(code: c_int, errno: c_int) -> io::Error {
    match (code & 0xff, errno) {
        // Without a number of the system's: SQLite takes a write that ends early for that.
        (SQLITE_FULL, _) => io::ErrorKind::StorageFull.into(),
        (_, 1..) => io::Error::from_raw_os_error(errno),
        _ => io::Error::other(code_to_str(code)),
    }
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
    if size as usize == PAGE_BYTES && state.is_damaged(number) {
        return DAMAGED;
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
        Seen::Sound | Seen::Hole => {}
        // Of a part SQLite wants the header, also to find that a journal has to be played back first, which
        // puts right what was cut off. It reads the whole page before it believes it.
        Seen::Damaged if size as usize == PAGE_BYTES => return DAMAGED,
        Seen::Damaged => {}
        Seen::Mended { at } => {
            let written = state.mends.then(|| {
                let byte = page[at..].as_ptr().cast::<c_void>();
                let to = start + at as sqlite3_int64;
                // One byte is written as a whole or not at all. If it is not, the page is mended again when it is read.
                state.change(|| hand_on_file!(file.xWrite(byte, 1, to), SQLITE_IOERR_WRITE))
            });
            // SAFETY: as above.
            let written = written.map(|code| unsafe { outcome(file, code) });
            state.tell_mended(number, at, written);
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
        let write = || hand_on_file!(file.xWrite(from, size, at), SQLITE_IOERR_WRITE);
        return state.change(write);
    }
    // SQLite writes whole pages. Anything else would leave one without its checksum.
    if !is_page || !state.may_write(number) {
        return SQLITE_IOERR_WRITE;
    }
    seal(number, &mut state.buffer);
    let sealed = state.buffer.as_ptr().cast::<c_void>();
    state.change(|| hand_on_file!(file.xWrite(sealed, size, at), SQLITE_IOERR_WRITE))
}

unsafe extern "C" fn read_log(
    file: *mut sqlite3_file,
    to: *mut c_void,
    size: c_int,
    at: sqlite3_int64,
) -> c_int {
    hand_on_file!(file.xRead(to, size, at), SQLITE_IOERR_READ)
}

unsafe extern "C" fn write_log(
    file: *mut sqlite3_file,
    from: *const c_void,
    size: c_int,
    at: sqlite3_int64,
) -> c_int {
    let mut end: sqlite3_int64 = 0;
    if hand_on_file!(file.xFileSize(&mut end), SQLITE_IOERR_FSTAT) == SQLITE_OK {
        // SAFETY: as `state` asks for.
        log::note(unsafe { state(file) }.path(), at.max(0) as u64, end.max(0) as u64);
    }
    // It goes on all the same: what was written stays in memory, to be saved.
    hand_on_file!(file.xWrite(from, size, at), SQLITE_IOERR_WRITE)
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: as `state` asks for.
    let state = unsafe { state(file) };
    state.note_cut();
    state.change(|| hand_on_file!(file.xTruncate(size), SQLITE_IOERR_TRUNCATE))
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    let synced = hand_on_file!(file.xSync(flags), SQLITE_IOERR_FSYNC);
    let mut end: sqlite3_int64 = 0;
    if synced == SQLITE_OK
        && hand_on_file!(file.xFileSize(&mut end), SQLITE_IOERR_FSTAT) == SQLITE_OK
    {
        // SAFETY: as `state` asks for.
        unsafe { state(file) }.safe_end = end.max(0) as u64;
    }
    synced
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
        ALLOW_HOLES => {
            // SAFETY: as `state` asks for; `control` alone tells this, with an int.
            unsafe { state(file).allows_holes = *to.cast::<c_int>() != 0 };
            SQLITE_OK
        }
        NEXT_HOLE => {
            // SAFETY: as `state` asks for; `control` alone asks this, with an int.
            unsafe { *to.cast::<c_int>() = state(file).next_hole() };
            SQLITE_OK
        }
        SCRUB => {
            // SAFETY: `scrub` alone asks this, with one that is borrowed as long as the call takes.
            let scrub = unsafe { &mut *to.cast::<Scrub>() };
            // SAFETY: as `state` asks for; SQLite calls this as it calls the other methods.
            unsafe { scrub_pages(file, scrub) }
        }
        op => hand_on_file!(file.xFileControl(op, to), SQLITE_NOTFOUND),
    }
}

/// Looks at the next pages of a scrub. No transaction is under way, so each is whole in the file.
///
/// SAFETY: as `state` asks for.
unsafe fn scrub_pages(file: *mut sqlite3_file, scrub: &mut Scrub) -> c_int {
    // SAFETY: as of this function.
    let state = unsafe { state(file) };
    let mut end: sqlite3_int64 = 0;
    if !state.summed || hand_on_file!(file.xFileSize(&mut end), SQLITE_IOERR_FSTAT) != SQLITE_OK {
        scrub.is_over = true;
        return SQLITE_OK;
    }
    let mut page: Page = [0; PAGE_BYTES];
    for number in scrub.take(end as u64) {
        let start = sqlite3_int64::from(number - 1) * PAGE_BYTES as sqlite3_int64;
        let room = page.as_mut_ptr().cast::<c_void>();
        if hand_on_file!(file.xRead(room, PAGE_BYTES as c_int, start), SQLITE_IOERR_READ)
            != SQLITE_OK
        {
            scrub.damaged += 1;
            state.tell_damaged(number);
            continue;
        }
        match look(number, &mut page) {
            // Whether a hole is of use SQLite knows, who asks for it if it is.
            Seen::Sound | Seen::Hole => {}
            Seen::Damaged => {
                scrub.damaged += 1;
                state.tell_damaged(number);
            }
            Seen::Mended { at } => {
                let byte = page[at..].as_ptr().cast::<c_void>();
                let to = start + at as sqlite3_int64;
                let write = || hand_on_file!(file.xWrite(byte, 1, to), SQLITE_IOERR_WRITE);
                let code = state.change(write);
                // SAFETY: as above.
                let written = unsafe { outcome(file, code) };
                scrub.mended += u32::from(written.is_ok());
                state.tell_mended(number, at, Some(written));
            }
        }
    }
    SQLITE_OK
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    hand_on_file!(file.xSectorSize(), PAGE_BYTES as c_int)
}

/// Without leave to read parts of pages past the cache: they could not be looked at.
unsafe extern "C" fn characteristics(file: *mut sqlite3_file) -> c_int {
    hand_on_file!(file.xDeviceCharacteristics(), 0) & !SQLITE_IOCAP_SUBPAGE_READ
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_fails_is_told_with_its_own_reason() {
        let kind = |code, errno| refusal(code, errno).kind();
        assert_eq!(kind(SQLITE_FULL, 0), io::ErrorKind::StorageFull);
        assert_eq!(kind(SQLITE_IOERR_WRITE, 13), io::ErrorKind::PermissionDenied);
        // Nothing that some other call has left.
        let said = refusal(SQLITE_IOERR_WRITE, 0);
        assert_eq!((said.raw_os_error(), said.kind()), (None, io::ErrorKind::Other));
        assert!(said.to_string().contains("I/O"), "{said}");
    }
}
