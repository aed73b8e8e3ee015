//! Inputs to begin with, which are checked in.

use std::fs;
use std::path::{Path, PathBuf};

/// Where bolero looks for the corpus of a target.
pub fn directory(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/__fuzz__").join(target).join("corpus")
}

/// In the order of their names, so that a seed means the same everywhere.
pub fn load(target: &str) -> Vec<Vec<u8>> {
    let directory = directory(target);
    let entries =
        fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.expect("a readable directory").path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("a readable file")).collect()
}
