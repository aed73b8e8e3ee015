//! What waits: parked steals, waits for tasks and for everything, and who may be given something next.

pub mod awaiting;
pub mod holders;
pub mod park;
pub mod waiters;
