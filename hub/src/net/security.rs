//! How those who connect are known.

/// Of sockets that let in by key: over TCP, and over ipc.
pub const DOMAIN: &str = "dhub";
pub const IPC_DOMAIN: &str = "dhub-ipc";

/// How those who connect to a socket are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    Plain,
    /// By their keys.
    Curve,
}
