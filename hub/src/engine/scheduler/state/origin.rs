//! Why a task is ready.

/// Why a task is ready, which decides its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Given back, and tried once more where it can take down nobody else's.
    Alone,
    GivenBack,
    Enabled,
    New,
}
