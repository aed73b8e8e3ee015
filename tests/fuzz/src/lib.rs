//! Hostile input, three ways: a frame by itself (`frame`), sequences of requests into the core
//! (`core`), and bytes at the port of a real hub (`port`).
//!
//! A target is a function of bytes, or of values that are made of bytes. The tests run each of
//! them a little: with the corpus in tests/__fuzz__, with numbered inputs that are the same every
//! time, and through bolero, so that `cargo bolero test` can run them under libFuzzer or AFL.
//! `dhub-fuzz` runs them for as long as told.

pub mod core;
pub mod corpus;
mod fields;
pub mod frame;
pub mod memory;
pub mod port;
pub mod random;
mod reference;
pub mod request;
pub mod run;
