//! A file as it is found, to be read only.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::RescueError;

/// Where the first page says which kind of journal a file has: 2 is a log.
const VERSIONS_AT: u64 = 18;

/// Does its first page say that it has SQLite's log, and no journal?
pub fn has_wal(file: &File) -> bool {
    let mut versions = [0; 2];
    file.read_exact_at(&mut versions, VERSIONS_AT).is_ok() && versions == [2, 2]
}

/// To read; a link, or what others can write, is nothing to believe.
pub fn open_read(path: &Path) -> Result<Option<File>, RescueError> {
    let io = |source| RescueError::Io { path: path.to_owned(), source };
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path);
    let file = match file {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(_) if path.is_symlink() => {
            let to = path.read_link().map_err(io)?;
            return Err(RescueError::Link { path: path.to_owned(), to });
        }
        file => file.map_err(io)?,
    };
    let meta = file.metadata().map_err(io)?;
    if !meta.is_file() {
        return Err(io(io::ErrorKind::InvalidInput.into()));
    }
    if meta.mode() & 0o022 != 0 {
        return Err(RescueError::Writable(path.to_owned()));
    }
    Ok(Some(file))
}
