//! What lies beside a file, by name.

use std::path::{Path, PathBuf};

use crate::store::files::fs;

/// What SQLite puts beside a file; it takes the mode of the file, and follows no link.
pub(crate) const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

pub(crate) const REDO: &str = ".redo";

/// What lies beside the file, by the end of its name.
pub fn beside(file: &Path, end: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(end);
    path.into()
}

/// SQLite's log.
pub fn wal_path(file: &Path) -> PathBuf {
    beside(file, "-wal")
}

pub fn redo_path(file: &Path) -> PathBuf {
    beside(file, REDO)
}

/// The logs beside a file that have something in them.
pub fn logs_of(file: &Path) -> Vec<PathBuf> {
    // What is no file is told of when it is to be opened.
    let is_one = |path: &PathBuf| {
        fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() > 0)
    };
    [wal_path(file), redo_path(file)].into_iter().filter(is_one).collect()
}

pub fn them(paths: &[PathBuf]) -> &'static str {
    if paths.len() == 1 { "it" } else { "them" }
}

pub fn names(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    names.join(" and ")
}
