//! The native dialect: from wire messages to requests, and from answers back.
//!
//! No generated type goes further in. Every field is checked here: prost enforces nothing.

pub(crate) mod envelope;
pub(crate) mod info;
mod reply;
mod request;
mod tag;

use crate::engine::message::*;

pub use crate::dialect::check::{error, name, without_repeats};
pub use crate::dialect::definition::definition;
pub use info::environment;
pub use reply::{encode, phase, told};
pub use request::{decode, decode_heartbeat};
pub use tag::tag;

/// What a request asks for: a request to the scheduler, or something to read.
#[derive(Debug)]
pub enum Asked {
    Request(Request),
    Heartbeat(Request, Load),
    Hello,
    Status,
    Show(String),
    Workers { limit: usize, after: WorkerId },
    Long(Long),
    Reload,
    Shutdown,
}
