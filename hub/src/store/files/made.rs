//! What a start makes beside a file, and the file itself: if it fails, nothing of that stays.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::store::files::Files;
use crate::store::files::paths::{REDO, beside};

/// Removes them when it is dropped.
pub struct Made {
    real: PathBuf,
    /// Those that were not there before.
    paths: Vec<PathBuf>,
    /// Tells whether they are still this start's own.
    files: Arc<Files>,
}

impl Made {
    /// What is missing by now, with the file locked.
    pub fn note(real: &Path, files: &Arc<Files>) -> Self {
        let paths = ["", "-wal", "-journal", REDO].map(|end| beside(real, end)).into_iter();
        let paths = paths.filter(|path| path.symlink_metadata().is_err()).collect();
        Self { real: real.to_owned(), paths, files: Arc::clone(files) }
    }

    /// They stay.
    pub fn keep(mut self) {
        self.paths.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let is_new = self.paths.contains(&self.real);
        if self.paths.is_empty() || self.files.look_at_file().is_err() {
            return;
        }
        // A log with something in it may have what a file that was there does not have yet.
        let is_empty = |path: &PathBuf| {
            fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() == 0)
        };
        for path in self.paths.iter().filter(|path| is_new || is_empty(path)) {
            let _ = fs::remove_file(path);
        }
    }
}
