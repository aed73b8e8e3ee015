//! SQLite's way to a `Disk`: the one place that speaks C.
//!
//! Paths, time and randomness stay the system's. There is no shared memory: a hub has its file
//! alone, so SQLite keeps the index of the log to itself. Crates that wrap this interface
//! (sqlite-plugin, sqlite-vfs) do not hand through whether a directory is to be synced.
#![allow(unsafe_code, reason = "SQLite calls a VFS through pointers; each use says why it holds")]

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, MutexGuard};

use rusqlite::ffi::*;

use crate::model::{Disk, Failed};

/// What SQLite holds of this VFS. It lives until the process ends.
#[repr(C)]
struct Vfs {
    base: sqlite3_vfs,
    disk: Arc<Mutex<Disk>>,
}

/// What SQLite holds of an open file: room of this size, which `open` fills.
#[repr(C)]
struct Handle {
    base: sqlite3_file,
    /// From `Box::into_raw` in `open`; `close` takes it back.
    open: *mut Open,
}

struct Open {
    disk: Arc<Mutex<Disk>>,
    file: usize,
}

/// Registers the disk under this name, for `Access::vfs`.
pub fn register(name: &str, disk: &Arc<Mutex<Disk>>) {
    let name = CString::new(name).expect("a name without zeros");
    // SAFETY: the default VFS is there after initialization and is never freed. Its functions that
    // are kept here (paths, time, randomness) do not use the VFS they are called on.
    let system = unsafe {
        assert_eq!(sqlite3_initialize(), SQLITE_OK);
        *sqlite3_vfs_find(std::ptr::null())
    };
    let base = sqlite3_vfs {
        iVersion: 2,
        szOsFile: size_of::<Handle>() as c_int,
        pNext: null_mut(),
        zName: name.into_raw(),
        pAppData: null_mut(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xGetLastError: Some(last_error),
        ..system
    };
    let vfs = Box::leak(Box::new(Vfs { base, disk: Arc::clone(disk) }));
    // SAFETY: leaked, so it is there as long as SQLite; `base` comes first, so both have one address.
    let registered = unsafe { sqlite3_vfs_register(std::ptr::from_mut(vfs).cast(), 0) };
    assert_eq!(registered, SQLITE_OK);
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
    xUnlock: Some(lock),
    xCheckReservedLock: Some(is_reserved),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

fn held(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().expect("no test failed within an I/O")
}

fn code(result: Result<(), Failed>) -> c_int {
    match result {
        Ok(()) => SQLITE_OK,
        Err(Failed(code)) => code,
    }
}

/// SAFETY: `vfs` is the one that `register` leaked; SQLite passes no other.
unsafe fn disk_of<'a>(vfs: *mut sqlite3_vfs) -> MutexGuard<'a, Disk> {
    held(&unsafe { &*vfs.cast::<Vfs>() }.disk)
}

/// SAFETY: `name` ends with a zero and outlives the call.
unsafe fn path_of<'a>(name: *const c_char) -> &'a Path {
    Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(name) }.to_bytes()))
}

/// SAFETY: `file` was filled by `open`, which SQLite guarantees for all methods of a file, and is
/// not closed yet.
unsafe fn with<T>(file: *mut sqlite3_file, act: impl FnOnce(&mut Disk, usize) -> T) -> T {
    let open = unsafe { &*(*file.cast::<Handle>()).open };
    act(&mut held(&open.disk), open.file)
}

unsafe extern "C" fn last_error(vfs: *mut sqlite3_vfs, _: c_int, _: *mut c_char) -> c_int {
    // SAFETY: SQLite calls it with its VFS.
    unsafe { disk_of(vfs) }.errno()
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives room of `szOsFile` bytes, aligned for any type; without methods it
    // will not call `close`. A name is there: temporary files are kept in memory (`temp_store`).
    unsafe {
        (*file).pMethods = std::ptr::null();
        if name.is_null() {
            return SQLITE_CANTOPEN;
        }
        let shared = Arc::clone(&(*vfs.cast::<Vfs>()).disk);
        let create = flags & SQLITE_OPEN_CREATE != 0;
        let is_log = flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL) != 0;
        let opened = disk_of(vfs).open(path_of(name), create, create && is_log);
        match opened {
            Ok(number) => {
                let open = Box::new(Open { disk: shared, file: number });
                (*file.cast::<Handle>()).open = Box::into_raw(open);
                (*file).pMethods = &METHODS;
                if !out_flags.is_null() {
                    *out_flags = flags;
                }
                SQLITE_OK
            }
            Err(Failed(code)) => code,
        }
    }
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, sync_dir: c_int) -> c_int {
    // SAFETY: as `disk_of` and `path_of` ask for.
    code(unsafe { disk_of(vfs).delete(path_of(name), sync_dir != 0) })
}

unsafe extern "C" fn access(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    _flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: as `disk_of` and `path_of` ask for; `out` is SQLite's variable.
    unsafe { code(disk_of(vfs).exists(path_of(name)).map(|exists| *out = exists.into())) }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: made by `Box::into_raw` in `open`; SQLite closes a file once.
    unsafe {
        drop(Box::from_raw((*file.cast::<Handle>()).open));
        (*file).pMethods = std::ptr::null();
    }
    SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    to: *mut c_void,
    size: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite gives room of `size` bytes; zeros make it initialized.
    let to = unsafe {
        to.cast::<u8>().write_bytes(0, size as usize);
        std::slice::from_raw_parts_mut(to.cast::<u8>(), size as usize)
    };
    // SAFETY: as `with` asks for.
    code(unsafe { with(file, |disk, number| disk.read(number, at as u64, to)) })
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    from: *const c_void,
    size: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite gives `size` bytes, which nobody changes meanwhile; the rest as `with`.
    code(unsafe {
        let from = std::slice::from_raw_parts(from.cast::<u8>(), size as usize);
        with(file, |disk, number| disk.write(number, at as u64, from))
    })
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: as `with` asks for.
    code(unsafe { with(file, |disk, number| disk.truncate(number, size as u64)) })
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: as `with` asks for.
    code(unsafe { with(file, Disk::sync) })
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, out: *mut sqlite3_int64) -> c_int {
    // SAFETY: as `with` asks for; `out` is SQLite's variable.
    unsafe { code(with(file, Disk::size).map(|size| *out = size as sqlite3_int64)) }
}

/// `FILE.lock` keeps other hubs away.
unsafe extern "C" fn lock(_file: *mut sqlite3_file, _level: c_int) -> c_int {
    SQLITE_OK
}

unsafe extern "C" fn is_reserved(_file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: `out` is SQLite's variable.
    unsafe { *out = 0 };
    SQLITE_OK
}

unsafe extern "C" fn control(_file: *mut sqlite3_file, _op: c_int, _arg: *mut c_void) -> c_int {
    SQLITE_NOTFOUND
}

/// As the system's VFS has it.
unsafe extern "C" fn sector_size(_file: *mut sqlite3_file) -> c_int {
    4096
}

unsafe extern "C" fn characteristics(_file: *mut sqlite3_file) -> c_int {
    SQLITE_IOCAP_POWERSAFE_OVERWRITE
}
