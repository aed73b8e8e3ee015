//! The sum over what a task's row says is to be run. A lease is given only for a row that has its sum.
//!
//! The checksums of the pages tell what a disk changed. This one tells a row that was wrong when it was
//! written, or that was put there by another. A CRC-32: it misses one change of three bits or fewer in none,
//! and any other in one of four billion.

use crc32fast::Hasher;

use crate::scheduler::message::{Details, TaskId};

/// Over all that stays as it was when the task was added, but for its dependencies.
pub fn sum(
    id: TaskId,
    name: &str,
    definition: u64,
    retries: u32,
    details: Option<&Details>,
) -> i32 {
    let mut sum = Hasher::new();
    for number in [id, definition, retries.into()] {
        sum.update(&number.to_le_bytes());
    }
    let limit = details.map_or(0, |details| details.time_limit_ms);
    sum.update(&limit.to_le_bytes());
    let fields = match details {
        None => [None; 4],
        Some(details) => [
            details.command.as_deref().map(str::as_bytes),
            details.dir.as_deref().map(str::as_bytes),
            details.env.as_deref().map(str::as_bytes),
            details.stdin.as_deref(),
        ],
    };
    for field in std::iter::once(Some(name.as_bytes())).chain(fields) {
        // What is not there is not the same as nothing.
        let size = field.map_or(u64::MAX, |bytes| bytes.len() as u64);
        sum.update(&size.to_le_bytes());
        sum.update(field.unwrap_or_default());
    }
    sum.finalize() as i32
}
