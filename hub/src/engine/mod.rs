//! All that decides. Nothing here reads a clock, a socket, a file or a random source.

pub mod archive;
pub mod delivery;
pub mod job;
pub(crate) mod keyname;
pub mod message;
pub mod quota;
pub mod scheduler;
pub mod told;
pub mod turns;
pub mod view;
