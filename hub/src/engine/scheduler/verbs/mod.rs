//! What is asked of the scheduler, one file a verb.

pub mod adjust;
pub mod cancel;
pub mod complete;
pub mod create;
pub mod damaged;
pub mod retry;
pub mod revoke;
pub mod steal;
pub mod steer;
