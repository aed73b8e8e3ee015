//! The hub with bugs that can be switched on: build/ copies hub/src and plants all of
//! tests/sim/bugs in the copy. Without the feature `planted` there is nothing.

#[cfg(feature = "planted")]
include!(concat!(env!("OUT_DIR"), "/hub/lib.rs"));

#[cfg(feature = "planted")]
pub mod planted;
