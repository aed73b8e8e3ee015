//! A hub that is killed with -9 at random moments under load, and restarted on the same file.
//!
//! Real processes and real sockets: `cycle` kills and restarts the hub; `load` is everybody who
//! talks to it, each of them repeating what was not answered; `journal` notes what the hub has
//! acknowledged, before anybody acts on it; `check` compares that with what the hub says and with
//! what its file holds. `plan` says what the tasks are, so that the journal need not.

mod check;
mod cycle;
mod journal;
mod link;
mod load;
mod plan;
mod report;
mod shared;

pub use check::{File, check_file};
pub use cycle::{Options, run};
pub use journal::{Fault, Journal, Kind};
pub use report::Report;
