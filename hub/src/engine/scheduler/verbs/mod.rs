//! What is asked of the scheduler, one file a verb.

pub(super) mod adjust;
pub(super) mod cancel;
pub(super) mod complete;
pub(super) mod create;
pub(super) mod damaged;
pub(super) mod exit;
pub(super) mod forget;
pub(super) mod heartbeat;
pub(super) mod release;
pub(super) mod retry;
pub(super) mod revoke;
pub(super) mod steal;
pub(super) mod steer;
pub(super) mod undelivered;
pub(super) mod wait;
