//! Peers that break every rule at the real ports: the hub answers Error or hangs up, stays up,
//! serves the others, and its memory stays bounded.

mod files;
mod frames;
mod memory;
mod names;
mod raw;
mod siege;
