//! SQLite's log, as SQLite calls it: all is handed on, but it is noticed when it was cut.
//!
//! SQLite writes a log from its begin to its end. A write that begins behind the end leaves a hole, and a file
//! that is as long as before: who looks at its length alone finds nothing, and the hole is moved into the
//! database file as if it were pages.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Of each log that was cut, how long it was to be and how long it was.
static CUT: Mutex<Option<HashMap<PathBuf, (u64, u64)>>> = Mutex::new(None);

/// Whether something was written behind the end of this log: how long it was to be, and how long it was.
pub fn cut(log: &Path) -> Option<(u64, u64)> {
    CUT.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.get(log).copied()
}

/// Something is about to be written there. The first such write counts.
pub(crate) fn note(log: &Path, at: u64, size: u64) {
    if at > size {
        let mut cut = CUT.lock().unwrap_or_else(PoisonError::into_inner);
        cut.get_or_insert_default().entry(log.to_owned()).or_insert((at, size));
    }
}
