//! Files that stay: made for their user alone, and looked at before what is in them is believed.

use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path};

use rustix::fs::{CWD, OFlags, fchmod, fcntl_getfl, fcntl_setfl, mkdirat, openat};
use rustix::io::Errno;

use super::{Mode, PrivateError, io_error};

/// How often a file may come and go while it is opened.
const TRIES: usize = 8;
const ADVICE: &str = "name another one, or have it removed";

/// A file that is open, to read and to write.
#[derive(Debug)]
pub struct Kept {
    pub file: File,
    pub made: bool,
    /// The mode that it had, if that let others read more than they are to.
    pub was: Option<u32>,
}

/// Opens the file, or makes it. No link is followed, and a file that others own or can write is
/// refused: what is in it could be theirs. Without a mode one that is there keeps its own.
pub fn keep(path: &Path, mode: Option<Mode>) -> Result<Kept, PrivateError> {
    open(CWD, path, path, OFlags::empty(), mode, true)
}

/// The same of a file in which nothing is believed: if others could write it, they no longer can.
pub fn keep_unread(path: &Path) -> Result<Kept, PrivateError> {
    open(CWD, path, path, OFlags::empty(), Some(Mode::PRIVATE), false)
}

/// The same of a file that is there; None: it is not.
pub fn look(path: &Path, mode: Option<Mode>) -> Result<Option<Kept>, PrivateError> {
    match existing(CWD, path, path, OFlags::empty(), mode, true) {
        Err(PrivateError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(None)
        }
        kept => kept.map(Some),
    }
}

/// Makes a directory with all above it that is missing.
pub fn make_dirs(path: &Path, mode: Mode) -> Result<(), PrivateError> {
    let missing: Vec<_> = path.ancestors().take_while(|it| !it.is_dir()).collect();
    for dir in missing.into_iter().rev() {
        let bits = mode.of_dir();
        match DirBuilder::new().mode(bits).create(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            made => made.map_err(io_error(dir))?,
        }
        // The one that was made: what has its name may be a link by now, where others may write.
        let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits() as i32;
        let made = File::options().read(true).custom_flags(flags).open(dir);
        let close = |dir: File| dir.set_permissions(Permissions::from_mode(bits));
        made.and_then(close).map_err(io_error(dir))?;
    }
    Ok(())
}

/// Opens for appending what is `below` the directory, with the directories in between. In these names
/// come in that others chose, so none of them may be a link.
pub fn keep_below(dir: &Path, below: &Path, mode: Mode) -> Result<Kept, PrivateError> {
    let path = dir.join(below);
    let refused = |errno: Errno| PrivateError::Io { path: path.clone(), source: errno.into() };
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
    let mut at = openat(CWD, dir, flags, rustix::fs::Mode::empty()).map_err(refused)?;
    let mut names = below.components().peekable();
    let mut so_far = dir.to_owned();
    while let Some(name) = names.next() {
        let Component::Normal(name) = name else { return Err(refused(Errno::INVAL)) };
        so_far.push(name);
        if names.peek().is_none() {
            return open(at.as_fd(), name.as_ref(), &so_far, OFlags::APPEND, Some(mode), true);
        }
        let of_dir = rustix::fs::Mode::from_raw_mode(mode.of_dir());
        let is_new = match mkdirat(&at, name, of_dir) {
            Err(Errno::EXIST) => false,
            made => made.map(|()| true).map_err(refused)?,
        };
        let next = openat(&at, name, flags | OFlags::NOFOLLOW, rustix::fs::Mode::empty());
        at = next.map_err(|errno| match errno {
            Errno::LOOP | Errno::NOTDIR if so_far.is_symlink() => {
                PrivateError::Link { path: so_far.clone() }
            }
            errno => refused(errno),
        })?;
        if is_new {
            fchmod(&at, of_dir).map_err(refused)?;
        }
    }
    Err(refused(Errno::INVAL))
}

fn open(
    dir: BorrowedFd,
    name: &Path,
    path: &Path,
    flags: OFlags,
    mode: Option<Mode>,
    is_believed: bool,
) -> Result<Kept, PrivateError> {
    let new = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let private = rustix::fs::Mode::from_raw_mode(Mode::PRIVATE.bits());
    for _ in 0..TRIES {
        match openat(dir, name, new | flags, private) {
            Ok(file) => {
                let file = File::from(file);
                // The umask has no say in it, neither way.
                set_mode(&file, mode.unwrap_or_default()).map_err(io_error(path))?;
                return Ok(Kept { file, made: true, was: None });
            }
            Err(Errno::EXIST) => match existing(dir, name, path, flags, mode, is_believed) {
                Err(PrivateError::Io { source, .. })
                    if source.kind() == io::ErrorKind::NotFound => {}
                kept => return kept,
            },
            Err(errno) => return Err(io_error(path)(errno.into())),
        }
    }
    Err(io_error(path)(io::ErrorKind::AlreadyExists.into()))
}

fn existing(
    dir: BorrowedFd,
    name: &Path,
    path: &Path,
    flags: OFlags,
    mode: Option<Mode>,
    is_believed: bool,
) -> Result<Kept, PrivateError> {
    // Nothing else than a file can make this wait.
    let there = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match openat(dir, name, there | flags, rustix::fs::Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP) => return Err(PrivateError::Link { path: path.to_owned() }),
        Err(Errno::ISDIR) => return Err(PrivateError::NotRegular { path: path.to_owned() }),
        Err(errno) => return Err(io_error(path)(errno.into())),
    };
    let was = check(&file, path, mode, is_believed)?;
    let blocking =
        fcntl_getfl(&file).and_then(|flags| fcntl_setfl(&file, flags - OFlags::NONBLOCK));
    blocking.map_err(|errno| io_error(path)(errno.into()))?;
    Ok(Kept { file, made: false, was })
}

/// Of the open file: what is used is what was looked at.
fn check(
    file: &File,
    path: &Path,
    mode: Option<Mode>,
    is_believed: bool,
) -> Result<Option<u32>, PrivateError> {
    let meta = file.metadata().map_err(io_error(path))?;
    let (owner, bits) = (meta.uid(), meta.mode() & 0o777);
    let path = || path.to_owned();
    if !meta.is_file() {
        return Err(PrivateError::NotRegular { path: path() });
    }
    if owner != rustix::process::getuid().as_raw() && owner != 0 {
        return Err(PrivateError::Owner { path: path(), owner, advice: ADVICE });
    }
    if is_believed && bits & 0o022 != 0 {
        return Err(PrivateError::Writable { paths: vec![path()] });
    }
    if meta.nlink() > 1 {
        return Err(PrivateError::OtherName { path: path() });
    }
    let Some(mode) = mode.filter(|mode| bits != mode.bits()) else { return Ok(None) };
    set_mode(file, mode).map_err(io_error(&path()))?;
    Ok(Some(bits).filter(|bits| bits & !mode.bits() != 0))
}

fn set_mode(file: &File, mode: Mode) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode.bits()))
}
