//! What is known: of tasks, edges, leases and workers. Each has what it keeps to itself.

pub mod backoff;
pub mod counts;
pub mod graph;
pub mod lease;
pub mod list;
pub mod names;
pub mod ready;
pub mod slab;
pub mod task;
pub mod worker;
pub mod worker_quota;
