//! The journal against what the hub shows and what its file holds.

mod file;
mod hub;

pub use file::{File, check_file};
pub use hub::{check_all, check_recent};
