//! The hash over all that defines a task, which makes a Create repeatable.

use crate::engine::message::*;

/// FNV-1a over all that defines a task. It is stored, so it must stay the same in all versions.
pub fn definition(needs: &[Name], priority: i32, retries: u32, details: Option<&Details>) -> u64 {
    if needs.is_empty() && priority == 0 && retries == 0 && details.is_none() {
        return PLAIN;
    }
    let mut hash = FNV_START;
    let mut sorted: Vec<&str> = needs.iter().map(|need| &**need).collect();
    sorted.sort_unstable();
    sorted.dedup();
    for need in sorted {
        hash = fnv_field(hash, need.as_bytes());
    }
    hash = fnv_field(hash, &priority.to_le_bytes());
    hash = fnv_field(hash, &retries.to_le_bytes());
    let command = details.and_then(|details| details.command.as_deref());
    hash = fnv_field(hash, command.unwrap_or("").as_bytes());
    hash = fnv_field(hash, &details.map_or(0, |details| details.time_limit_ms).to_le_bytes());
    // These came later: a task without them has the hash that it always had.
    let dir = details.and_then(|details| details.dir.as_deref()).map(str::as_bytes);
    let env = details.and_then(|details| details.env.as_deref()).map(str::as_bytes);
    let stdin = details.and_then(|details| details.stdin.as_deref());
    for (what, value) in [("dir", dir), ("env", env), ("stdin", stdin)] {
        if let Some(value) = value {
            hash = fnv_field(fnv_field(hash, what.as_bytes()), value);
        }
    }
    hash
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// Of a task with nothing but a name, as most are.
const PLAIN: u64 =
    fnv_field(fnv_field(fnv_field(fnv_field(FNV_START, &[0; 4]), &[0; 4]), b""), &[0; 8]);

/// The length, then the bytes.
const fn fnv_field(hash: u64, bytes: &[u8]) -> u64 {
    fnv(fnv(hash, &(bytes.len() as u32).to_le_bytes()), bytes)
}

const fn fnv(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    hash
}
