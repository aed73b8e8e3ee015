//! Where a program is, as execvp would find it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::ProgramError;

/// What execvp uses when PATH is not set.
const PATH_DEFAULT: &str = "/bin:/usr/bin";

/// Finds it; relative paths are relative to `dir`.
pub fn find(program: &OsStr, dir: &Path) -> Result<PathBuf, ProgramError> {
    let shown = || program.to_string_lossy().into_owned();
    if program.as_bytes().contains(&b'/') {
        let path = dir.join(program);
        return match path.metadata() {
            Err(_) => Err(ProgramError::NoFile(shown())),
            Ok(meta) if meta.is_dir() => Err(ProgramError::Directory(shown())),
            Ok(_) if !is_executable(&path) => Err(ProgramError::NotExecutable(shown())),
            Ok(_) => Ok(path),
        };
    }
    let search = std::env::var_os("PATH").unwrap_or_else(|| PATH_DEFAULT.into());
    find_in(program, &search, dir)
}

pub fn find_in(program: &OsStr, search: &OsStr, dir: &Path) -> Result<PathBuf, ProgramError> {
    let shown = || program.to_string_lossy().into_owned();
    if program.is_empty() {
        return Err(ProgramError::NotInPath(shown()));
    }
    let mut found_other = None;
    for entry in std::env::split_paths(search) {
        // An empty entry is the current directory.
        let path = dir.join(entry).join(program);
        match path.metadata() {
            Ok(meta) if meta.is_file() && is_executable(&path) => return Ok(path),
            Ok(meta) if meta.is_file() => found_other = Some(path),
            _ => {}
        }
    }
    Err(match found_other {
        Some(path) => ProgramError::NotExecutable(path.display().to_string()),
        None => ProgramError::NotInPath(shown()),
    })
}

fn is_executable(path: &Path) -> bool {
    access(path, Access::EXEC_OK).is_ok()
}
