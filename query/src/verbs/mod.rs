//! One module a verb: its arguments, its request and what it says about the reply.

pub mod addfile;
pub mod backup;
pub mod cancel;
pub mod complete;
pub mod completions;
pub mod create;
pub mod exit;
pub mod export;
pub mod fail;
pub mod graph;
pub mod heartbeat;
mod held;
pub mod hold;
pub mod list;
mod logfile;
pub mod logs;
pub mod priority;
pub mod release;
pub mod report;
pub mod retry;
pub mod show;
pub mod shutdown;
pub mod status;
pub mod steal;
pub mod sweep;
pub mod wait;
pub mod worker;

use dhub_proto::exit::Exit;
use dhub_proto::wire::Refused;

use crate::failure::say;
use crate::render::words::{number, plain};

/// Refusals that are printed one by one.
const REFUSED_MAX: usize = 10;

/// Names the tasks that were refused, and why; that there were some is the exit code.
fn tell_refused(refused: &[Refused], total: u64) -> Exit {
    for it in refused.iter().take(REFUSED_MAX) {
        let (name, message) = (plain(&it.name), plain(&it.message));
        // Most messages name the task themselves.
        match message.contains(&format!("'{name}'")) {
            true => say(&message),
            false => say(&format!("'{name}': {message}")),
        }
    }
    let total = total.max(refused.len() as u64);
    if let more @ 1.. = total.saturating_sub(REFUSED_MAX as u64) {
        say(&format!("{} more were refused", number(more)));
    }
    if total == 0 { Exit::Ok } else { Exit::Refused }
}
