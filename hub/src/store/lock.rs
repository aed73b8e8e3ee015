//! FILE.lock: one hub a file. It says who has it, for the one that comes second.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use dhub_proto::disk::words;
use dhub_proto::private::{self, PrivateError};
use rustix::fs::{FlockOperation, flock};

/// Held until it is dropped; the kernel lets go if the process dies.
#[derive(Debug)]
pub struct FileLock {
    /// What it is for.
    file: PathBuf,
    _lock: File,
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("{file} is in use by the hub {owner}")]
    InUse { file: String, owner: String },
    #[error(transparent)]
    Private(#[from] PrivateError),
    #[error("{path} cannot be locked, as you may not write beside it; copy it to one of yours first: cp {path} .", path = .file.display())]
    Denied { file: PathBuf },
    #[error("cannot lock {}: {}", .path.display(), words(.source))]
    Io { path: PathBuf, source: io::Error },
}

impl FileLock {
    /// `since` is for people: when this hub started.
    pub fn take(file: &Path, since: &str) -> Result<Self, LockError> {
        let mut path = file.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let io = |source| LockError::Io { path: path.clone(), source };
        // Others need not know: it is for their user that hubs tell of each other.
        let mut lock = match private::keep_unread(&path) {
            Ok(kept) => kept.file,
            Err(PrivateError::Io { source, .. })
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                return Err(LockError::Denied { file: file.to_owned() });
            }
            Err(error) => return Err(error.into()),
        };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut owner = String::new();
            // It may be empty if the other hub has just started: the name of the file is enough then.
            let _ = lock.take(1000).read_to_string(&mut owner);
            let owner = owner.trim().to_owned();
            return Err(LockError::InUse { file: file.display().to_string(), owner });
        }
        let host = dhub_proto::host_name();
        let write = |lock: &mut File| -> io::Result<()> {
            lock.set_len(0)?;
            lock.rewind()?;
            writeln!(lock, "on {host}, process {} since {since}", std::process::id())
        };
        write(&mut lock).map_err(io)?;
        Ok(Self { file: file.to_owned(), _lock: lock })
    }

    pub fn file(&self) -> &Path {
        &self.file
    }
}
