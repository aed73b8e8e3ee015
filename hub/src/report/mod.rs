//! What people look at: reads, and changes nothing.

pub(crate) mod monitor;
pub(crate) mod roster;
pub(crate) mod view;
