//! What must not be, and was.

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Something acknowledged is not there.
    Lost,
    /// Something acknowledged is recorded otherwise.
    Changed,
    /// A task started again after it was acknowledged as done.
    Repeated,
    /// One attempt was given out twice.
    Twice,
    /// A task started before what it needs was done.
    Early,
    /// Anything else that must not be.
    Wrong,
}

impl Kind {
    pub const ALL: [Kind; 6] =
        [Kind::Lost, Kind::Changed, Kind::Repeated, Kind::Twice, Kind::Early, Kind::Wrong];
}

#[derive(Clone, Debug)]
pub struct Fault {
    pub kind: Kind,
    pub text: String,
}
