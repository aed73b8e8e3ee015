//! What waits: parked steals, waits for tasks and for everything, and who may be given something next.

pub(super) mod awaiting;
pub(super) mod holders;
pub(super) mod park;
pub(super) mod waiters;
