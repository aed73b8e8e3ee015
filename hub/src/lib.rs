//! The hub: a scheduler without side effects, a store in SQLite, and a loop between sockets.

pub mod convert;
pub mod dwork;
pub mod scheduler;
pub mod store;
