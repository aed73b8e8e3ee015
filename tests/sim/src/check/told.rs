//! Each copy of a request is told all that they did together, and no more.

use dhub::engine::message::{Answer, Change, Tag};
use dhub::engine::scheduler::State;
use dhub_proto::wire::reply;

use super::Check;
use crate::store::Store;

/// What a command of a long request has done: to how many tasks.
pub fn count(answer: Option<&Answer>, changes: &[Change]) -> u64 {
    match answer {
        // As it shows in the tables.
        Some(Answer::Cancelled { .. }) => {
            let is_end = |change: &&Change| {
                matches!(change, Change::Finished { state: State::Cancelled, .. })
            };
            changes.iter().filter(is_end).count() as u64
        }
        Some(Answer::Adjusted { adjusted, .. }) => *adjusted,
        Some(Answer::Revived { retried, unskipped, .. }) => retried + unskipped,
        _ => 0,
    }
}

/// A reply to it that leaves now, when all that it says is committed.
pub fn is_exact(tag: &Tag, body: &reply::Body, store: &Store) -> Check {
    let told = match body {
        reply::Body::Cancelled(it) => it.cancelled,
        reply::Body::Adjusted(it) => it.adjusted,
        reply::Body::Retried(it) => it.retried + it.unskipped,
        _ => return Ok(()),
    };
    match store.did.get(&tag.token).copied().unwrap_or(0) {
        did if did == told => Ok(()),
        did => Err(format!("a request is told that it did {told} tasks, and it did {did}")),
    }
}
