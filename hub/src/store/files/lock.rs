//! FILE.lock: one hub a file. It says who has it, for the one that comes second.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use dhub_proto::disk::{Fault, words};
use dhub_proto::private::{self, PrivateError};
use rustix::fs::{FlockOperation, flock};

use crate::store::files::paths::beside;

pub const LOCK: &str = ".lock";
/// How often the lock's file may be removed while it is taken.
const TRIES: usize = 8;

/// Held until it is dropped; the kernel lets go if the process dies.
#[derive(Debug)]
pub struct FileLock {
    /// What it is for.
    file: PathBuf,
    path: PathBuf,
    /// Its own file goes with it.
    is_new: bool,
    lock: File,
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("{file} is in use by the hub {owner}")]
    InUse { file: String, owner: String },
    #[error(transparent)]
    Private(#[from] PrivateError),
    #[error("cannot make {}: {}", .file.display(), why_not(.source))]
    NotMade { file: PathBuf, source: io::Error },
    #[error("{path} cannot be locked, as you may not write beside it; copy it to a place of yours first, with its logs, {path}-wal and {path}.redo", path = .file.display())]
    Denied { file: PathBuf },
    #[error("{path} cannot be locked, nor its logs be moved into it: the file system is read-only\n  copy it to another place first, with its logs, {path}-wal and {path}.redo", path = .file.display())]
    ReadOnly { file: PathBuf, source: PrivateError },
    #[error("cannot lock {}: {}", .path.display(), words(.source))]
    Io { path: PathBuf, source: io::Error },
}

/// Not each directory takes files.
fn why_not(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no file can be made there".into(),
        _ => words(error),
    }
}

impl FileLock {
    /// `since` is for people: when this hub started. If the lock had no file yet, it has none later; unless `keep`.
    pub fn take(file: &Path, since: &str) -> Result<Self, LockError> {
        let path = beside(file, LOCK);
        for _ in 0..TRIES {
            let mut lock = Self::open(file, &path)?;
            if flock(&lock.lock, FlockOperation::NonBlockingLockExclusive).is_err() {
                let mut owner = String::new();
                // It may be empty if the other hub has just started: the name of the file is enough then.
                let _ = (&lock.lock).take(1000).read_to_string(&mut owner);
                lock.is_new = false;
                let owner = owner.trim().to_owned();
                return Err(LockError::InUse { file: file.display().to_string(), owner });
            }
            // Whoever had it before may have removed it; then others would lock another one.
            if lock.has_its_name() {
                match lock.write(since) {
                    // It is locked all the same, and a look at the file needs no room.
                    Err(source) if Fault::of(&source).is_none() => {
                        return Err(LockError::Io { path, source });
                    }
                    _ => return Ok(lock),
                }
            }
            lock.is_new = false;
        }
        let (file, owner) = (file.display().to_string(), "that starts or ends just now".into());
        Err(LockError::InUse { file, owner })
    }

    fn open(file: &Path, path: &Path) -> Result<Self, LockError> {
        // Others need not know: it is for their user that hubs tell of each other.
        let is_new = !file.exists() && !path.exists();
        match private::keep_unread(path) {
            Ok(kept) => {
                let (file, path) = (file.to_owned(), path.to_owned());
                Ok(Self { file, path, is_new: kept.made, lock: kept.file })
            }
            // Of a file that is to be made, nobody asked for its lock.
            Err(PrivateError::Io { source, .. }) if is_new => {
                Err(LockError::NotMade { file: file.to_owned(), source })
            }
            Err(PrivateError::Io { source, .. })
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                Err(LockError::Denied { file: file.to_owned() })
            }
            Err(source) if Fault::of(&source) == Some(Fault::ReadOnly) && file.exists() => {
                Err(LockError::ReadOnly { file: file.to_owned(), source })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn has_its_name(&self) -> bool {
        let found = fs::symlink_metadata(&self.path).and_then(|it| Ok((it, self.lock.metadata()?)));
        found.is_ok_and(|(it, own)| (it.dev(), it.ino()) == (own.dev(), own.ino()))
    }

    fn write(&mut self, since: &str) -> io::Result<()> {
        let host = dhub_proto::host_name();
        self.lock.set_len(0)?;
        self.lock.rewind()?;
        writeln!(self.lock, "on {host}, process {} since {since}", std::process::id())
    }

    /// Its file stays.
    pub fn keep(&mut self) {
        self.is_new = false;
    }

    pub fn file(&self) -> &Path {
        &self.file
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // While it is held: nobody else has it for theirs.
        if self.is_new && self.has_its_name() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in_use(file: &Path) -> bool {
        matches!(FileLock::take(file, "now"), Err(LockError::InUse { .. }))
    }

    #[test]
    fn a_lock_leaves_no_file_that_was_not_there_unless_it_is_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, path) = (dir.path().join("a.db"), dir.path().join("a.db.lock"));
        let lock = FileLock::take(&file, "now").expect("a lock");
        assert!(is_in_use(&file) && path.exists());
        drop(lock);
        assert!(!path.exists());
        let mut lock = FileLock::take(&file, "now").expect("a lock");
        lock.keep();
        drop(lock);
        assert!(path.exists());
        drop(FileLock::take(&file, "now").expect("a lock"));
        assert!(path.exists(), "another one's");
    }

    /// Else the second one would hold a file without a name, and a third one another one.
    #[test]
    fn of_many_that_take_and_leave_it_at_once_one_has_it() {
        use std::sync::atomic::{AtomicU32, Ordering};
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a.db");
        let (holders, taken) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while taken.load(Ordering::SeqCst) < 200 {
                        if let Ok(lock) = FileLock::take(&file, "now") {
                            assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                            taken.fetch_add(1, Ordering::SeqCst);
                            holders.fetch_sub(1, Ordering::SeqCst);
                            drop(lock);
                        }
                    }
                });
            }
        });
    }
}
