//! Files that are put in their place whole.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use tempfile::Builder;

use super::{Mode, PrivateError, io_error};

/// Writes it whole or not at all, for nobody else to read.
pub fn write(path: &Path, text: &str) -> Result<(), PrivateError> {
    write_with(path, text.as_bytes(), Mode::PRIVATE)
}

/// What is there is replaced, if it is a file. Until it has its name it has one that nobody can guess,
/// and is its user's alone.
pub fn write_with(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), PrivateError> {
    match fs::symlink_metadata(path) {
        // It would be the link that is replaced, /dev/stdout for one.
        Ok(meta) if meta.is_symlink() => return Err(PrivateError::Link { path: path.to_owned() }),
        Ok(meta) if !meta.is_file() => {
            return Err(PrivateError::NotRegular { path: path.to_owned() });
        }
        _ => {}
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        // What the system says, not tempfile: its errors name the temporary file.
        let mut why = None;
        let new = |path: &Path| {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            file.inspect_err(|error| why = error.raw_os_error())
        };
        let made = Builder::new().prefix(".dhub-").make_in(dir, new);
        let mut file = made.map_err(|error| why.map_or(error, io::Error::from_raw_os_error))?;
        file.as_file_mut().write_all(bytes)?;
        file.as_file().set_permissions(Permissions::from_mode(mode.bits()))?;
        file.as_file().sync_all()?;
        // What could not be written is of no use to anybody: then it is removed.
        file.persist(path).map_err(|error| error.error)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(io_error(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_refuses_is_told_without_the_temporary_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("missing/r.html");
        let said = write(&path, "").unwrap_err().to_string();
        assert_eq!(said, format!("{}: no such file or directory", path.display()));
    }
}
