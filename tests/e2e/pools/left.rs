//! What a test has left running.

use std::fs;

use e2e::eventually;

/// The processes that have this in their environment (`NAME=value`), with their command lines.
pub fn with_environment(entry: &str) -> Vec<String> {
    let mut found = Vec::new();
    for dir in fs::read_dir("/proc").expect("/proc").flatten() {
        // They come and go meanwhile.
        let environment = fs::read(dir.path().join("environ")).unwrap_or_default();
        if environment.split(|&byte| byte == 0).any(|it| it == entry.as_bytes()) {
            let line = fs::read(dir.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            found.push(format!("{} {line}", dir.file_name().display()));
        }
    }
    found
}

/// Waits until nothing with this in its environment is left.
#[track_caller]
pub fn nothing(entry: &str) {
    eventually(&format!("the end of all with {entry}"), || {
        with_environment(entry).is_empty().then_some(())
    });
}
