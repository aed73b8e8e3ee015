//! Tests with real processes, real sockets and real files.
//!
//! `Hub` starts a dhub of its own in a directory of its own; `query` and `worker` run the tools
//! against it; `native` and `dwork` speak to its port. Nothing is timed: tests wait for
//! conditions by `eventually`. Whatever was started is killed on drop, also after a panic.

mod binaries;
mod crowd;
mod dwork;
mod hub;
mod native;
mod output;
mod process;
mod proxy;
mod tasks;
mod terminal;
mod wait;
mod writes;

pub use crowd::{Asks, AtEnd, CROWDS, flood};
pub use dwork::{Dwork, dwork_reply, dwork_task, location, names_of};
pub use hub::{Hub, Space, free_ports, open_file};
pub use native::{Native, outcome_done, outcome_failed, plain_worker, task, worker};
pub use output::Output;
pub use process::Process;
pub use proxy::{Cut, Line, Proxy, Way};
pub use tasks::{Log, check_order};
pub use terminal::Terminal;
pub use wait::{PATIENCE, eventually};
pub use writes::Writes;
