//! What people look at: reads, and changes nothing.

pub mod monitor;
pub mod roster;
pub mod view;
