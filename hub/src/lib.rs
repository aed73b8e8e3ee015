//! The hub: a scheduler without side effects, a store in SQLite, and a loop between sockets.
//!
//! main -> server (the loop) -> convert, dwork -> scheduler -> store. `server.rs` has the flow.

pub mod access;
pub mod archive;
pub mod args;
pub mod convert;
pub mod delivery;
pub mod dwork;
mod envelope;
mod fields;
pub mod frame;
pub mod gate;
pub mod heap;
pub mod home;
pub mod job;
pub mod keyfile;
mod keyname;
mod monitor;
pub mod place;
pub mod planted;
mod promised;
mod roster;
mod route;
pub mod scheduler;
pub mod server;
pub mod socket;
pub mod store;
pub mod told;
mod view;
