//! Where things are in memory.

/// Index into the tasks in memory.
pub type Slot = u32;
pub const NONE: u32 = u32::MAX;
