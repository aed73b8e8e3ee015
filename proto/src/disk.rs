//! A disk that takes nothing: said in the same words and with the same exit code by all programs.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, fstat};
use rustix::io::Errno;

/// Why a disk takes nothing, and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the disk is full; make space there and do it again")]
    Full,
    #[error("your quota of disk space is used up; make space there, or have it raised")]
    Quota,
    #[error("the file system is read-only; choose another place, or see why it is (mount, dmesg)")]
    ReadOnly,
    #[error("the disk fails (input/output error); see what the system says of it (dmesg)")]
    Failing,
    #[error(
        "it may not grow any more, by a limit of file sizes (ulimit -f) or of the file system; raise that"
    )]
    Limit,
}

impl Fault {
    /// 0: there was none.
    pub fn of_errno(errno: i32) -> Option<Self> {
        let errno = (errno > 0).then(|| Errno::from_raw_os_error(errno))?;
        match errno {
            Errno::NOSPC => Some(Self::Full),
            Errno::DQUOT => Some(Self::Quota),
            Errno::ROFS => Some(Self::ReadOnly),
            Errno::IO => Some(Self::Failing),
            Errno::FBIG => Some(Self::Limit),
            _ => None,
        }
    }

    /// That of an error, or of one that it comes from.
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        chain(error).find_map(|error| match error.downcast_ref::<io::Error>() {
            Some(error) => Self::of_errno(error.raw_os_error()?),
            None => error.downcast_ref().copied(),
        })
    }
}

/// An error and those that it comes from.
pub fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        // Its own `source` skips the one that it is made of.
        let made_of = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        made_of.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source())
    })
}

/// With the file that it happened to.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", .path.display())]
pub struct DiskError {
    pub path: PathBuf,
    #[source]
    pub fault: Fault,
}

/// Names the file in an error that says nothing but what is wrong with the disk.
pub fn at(path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    let path = path.to_owned();
    |error| match Fault::of(&error) {
        Some(fault) => io::Error::new(error.kind(), DiskError { path, fault }),
        None => error,
    }
}

/// Why standard output takes nothing: a terminal that hung up fails like a disk, and is none.
pub fn output(error: io::Error) -> io::Error {
    let is_disk = fstat(io::stdout())
        .is_ok_and(|it| FileType::from_raw_mode(it.st_mode) == FileType::RegularFile);
    match Fault::of(&error) {
        Some(Fault::Failing) if !is_disk => io::Error::other("the terminal has hung up"),
        _ => error,
    }
}

/// What the system said, without its number; of a disk that takes nothing, what to do, and with the file if that
/// is known.
pub fn words(error: &io::Error) -> String {
    if let Some(at) = chain(error).find_map(|error| error.downcast_ref::<DiskError>()) {
        return at.to_string();
    }
    if let Some(fault) = Fault::of(error) {
        return fault.to_string();
    }
    let text = error.to_string();
    match error.raw_os_error() {
        Some(code) => text.trim_end_matches(&format!(" (os error {code})")).to_lowercase(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_wherever_it_is_wrapped() {
        let full = || io::Error::from_raw_os_error(Errno::NOSPC.raw_os_error());
        assert_eq!(Fault::of(&full()), Some(Fault::Full));
        assert_eq!(Fault::of(&io::Error::other(full())), Some(Fault::Full));
        let named = at(Path::new("a/run.db"))(full());
        assert_eq!(Fault::of(&named), Some(Fault::Full));
        assert_eq!(named.to_string(), format!("a/run.db: {}", Fault::Full));
        assert_eq!(words(&named), named.to_string());
        assert_eq!(Fault::of(&at(Path::new("b"))(named)), Some(Fault::Full));
        let private = crate::private::PrivateError::Io { path: "a".into(), source: full() };
        assert_eq!(Fault::of(&private), Some(Fault::Full));
        assert_eq!(private.to_string(), format!("a: {}", Fault::Full));
        assert_eq!(words(&full()), Fault::Full.to_string());
    }

    #[test]
    fn each_has_its_words_and_nothing_else_is_one() {
        let errnos = [Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::IO, Errno::FBIG];
        let faults = errnos.map(|errno| Fault::of_errno(errno.raw_os_error()).expect("a fault"));
        let said: std::collections::HashSet<_> = faults.iter().map(Fault::to_string).collect();
        assert_eq!(said.len(), 5);
        for errno in [Errno::ACCESS, Errno::NOENT, Errno::MFILE, Errno::INTR] {
            let error = io::Error::from(errno);
            assert_eq!(Fault::of(&error), None);
            assert_eq!(Fault::of(&io::Error::other(error)), None);
        }
        assert_eq!(words(&io::Error::from(Errno::ACCESS)), "permission denied");
    }
}
