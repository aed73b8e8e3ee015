//! The hub: an engine without side effects, a store in SQLite, and a loop between sockets.
//!
//! server.rs joins the rooms: net and dialect bring requests to the engine, the store keeps what it
//! decides, and report tells people. Net, dialect, store and report know the engine; it knows none of them.

pub mod args;
pub mod dialect;
pub mod engine;
pub mod heap;
pub mod net;
pub mod report;
pub mod server;
pub mod store;
