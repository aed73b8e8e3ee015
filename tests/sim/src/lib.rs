//! Deterministic simulation of the hub's core.
//!
//! The real scheduler, archive and long requests run against a model of the store, with clients,
//! workers and a network in virtual time. A seed decides everything: who takes part, what they
//! want, what is lost, doubled or late, who crashes when. After each step the rules of docs/
//! architecture.md are checked (`check`), and at the end the history. No wall clock, no thread, no
//! hash order: a seed says the same each time.

/// Its place is taken by the copy of it in which bugs can be planted.
#[cfg(feature = "planted")]
extern crate dhub_planted as dhub;

mod check;
mod clock;
mod describe;
mod hub;
mod message;
mod peer;
mod plan;
pub mod planted;
mod random;
mod run;
mod store;
mod tally;
mod trace;
mod world;

pub use run::{Options, Report, Totals, run, run_many};
pub use tally::{Met, Tally};
