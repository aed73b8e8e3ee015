//! What is known: of tasks, edges, leases and workers. Each has what it keeps to itself.

pub mod backoff;
pub(crate) mod graph;
pub(crate) mod lease;
pub(crate) mod list;
pub(crate) mod names;
pub(crate) mod origin;
pub(crate) mod ready;
pub(crate) mod slab;
pub(crate) mod slot;
pub(crate) mod task;
pub(crate) mod worker;
pub(crate) mod worker_quota;
pub(crate) mod workers;
