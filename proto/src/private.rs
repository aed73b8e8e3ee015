//! Files and directories that nobody but their user may enter or read.
//!
//! The one place where programs make files: `keep` opens one that stays (or makes it), `write` puts
//! a whole one in its place. Whatever the umask is, nobody else can read or write either of them.

mod keep;
mod mode;
mod read;
mod write;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

pub use keep::{Kept, keep, keep_below, keep_unread, look, make_dirs};
pub use mode::{Mode, ModeOption};
pub use read::{read, read_given};
pub use write::{write, write_with};

use crate::disk::words;
use crate::shell;

/// Why a file or directory cannot be trusted, or not be used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    #[error("{path}: {}", words(.source))]
    Io { path: PathBuf, source: io::Error },
    #[error("{path} belongs to user {owner}, not to you; {advice}")]
    Owner { path: PathBuf, owner: u32, advice: &'static str },
    #[error("{path} is neither a file nor a pipe")]
    Kind { path: PathBuf },
    #[error("{path} can be entered by others; mend it with: chmod 700 {}", shell::file(.path))]
    DirMode { path: PathBuf },
    #[error(
        "{path} has a key in it and can be read by others; mend it with: chmod 600 {}\n  if somebody may have read it, take the key back: dhub access revoke",
        shell::file(.path)
    )]
    FileMode { path: PathBuf },
    #[error(
        "{} can be written by others, so what is in it may be theirs; if you trust it, mend it with: chmod go-w {}",
        list(.paths, |path| path.display().to_string()), list(.paths, |path| shell::file(path))
    )]
    Writable { paths: Vec<PathBuf> },
    #[error("{path} is a link, which is not followed; name the file itself, or remove the link")]
    Link { path: PathBuf },
    #[error("{path} is no regular file; name another one, or remove it")]
    NotRegular { path: PathBuf },
    #[error(
        "{path} has another name (a hard link), so somebody else may mean another file by it; put a copy in its place: cp -p {file} {copy} && mv {copy} {file}",
        file = shell::file(.path), copy = shell::file(shell::free_name(.path, ".copy"))
    )]
    OtherName { path: PathBuf },
}

fn list(paths: &[PathBuf], shown: fn(&PathBuf) -> String) -> String {
    paths.iter().map(shown).collect::<Vec<_>>().join(" ")
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> PrivateError {
    let path = path.to_owned();
    |source| PrivateError::Io { path, source }
}

/// Makes the directory if it is missing, and makes sure that nobody else can enter it.
pub fn make_dir(path: &Path, advice: &'static str) -> Result<(), PrivateError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io_error(path)(error)),
    }
    check_dir(path, advice)
}

/// A directory that somebody else made or can enter is no place for sockets and keys.
pub fn check_dir(path: &Path, advice: &'static str) -> Result<(), PrivateError> {
    // Not followed: a link in /tmp could point anywhere.
    let meta = fs::symlink_metadata(path).map_err(io_error(path))?;
    if !meta.is_dir() {
        return Err(io_error(path)(io::ErrorKind::NotADirectory.into()));
    }
    if meta.uid() != rustix::process::getuid().as_raw() {
        return Err(PrivateError::Owner { path: path.to_owned(), owner: meta.uid(), advice });
    }
    if meta.mode() & 0o077 != 0 {
        return Err(PrivateError::DirMode { path: path.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_others_can_read_or_enter_is_refused_with_the_command_that_mends_it() {
        let dir = tempfile::tempdir().unwrap();
        let (below, file) = (dir.path().join("keys"), dir.path().join("keys/a"));
        make_dir(&below, "").unwrap();
        write(&file, "secret").unwrap();
        assert_eq!(read(&file).unwrap(), "secret");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&below).unwrap().count(), 1);
        for mode in [0o640, 0o604, 0o660, 0o644] {
            set_mode(&file, mode);
            let said = read(&file).unwrap_err().to_string();
            assert!(said.contains(&format!("chmod 600 {}", file.display())), "{said}");
        }
        set_mode(&below, 0o750);
        let said = make_dir(&below, "").unwrap_err().to_string();
        assert!(said.contains(&format!("chmod 700 {}", below.display())), "{said}");
    }

    #[test]
    fn a_link_to_a_directory_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        assert!(check_dir(&link, "").is_err());
    }
}
