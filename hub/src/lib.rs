//! The hub: an engine without side effects, a store in SQLite, and a loop between sockets.
//!
//! main -> server (the loop) -> net -> dialect -> engine -> store, and what people look at from
//! report. `server.rs` has the flow.

pub mod args;
pub mod dialect;
pub mod engine;
pub mod heap;
pub mod net;
pub mod report;
pub mod server;
pub mod store;
