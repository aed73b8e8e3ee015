//! One module a verb: its arguments, its request and what it says about the reply.

pub mod addfile;
pub mod backup;
pub mod cancel;
pub mod complete;
pub mod create;
pub mod exit;
pub mod fail;
pub mod heartbeat;
mod held;
pub mod list;
pub mod release;
pub mod retry;
pub mod show;
pub mod shutdown;
pub mod status;
pub mod steal;
pub mod wait;

use dhub_proto::exit::Exit;
use dhub_proto::wire::Refused;

use crate::failure::say;
use crate::render::words::plain;

/// Names each task that was refused, and why; that there were some is the exit code.
fn tell_refused(refused: &[Refused]) -> Exit {
    for it in refused {
        let (name, message) = (plain(&it.name), plain(&it.message));
        // Most messages name the task themselves.
        match message.contains(&format!("'{name}'")) {
            true => say(&message),
            false => say(&format!("'{name}': {message}")),
        }
    }
    if refused.is_empty() { Exit::Ok } else { Exit::Refused }
}
