//! Talk for people, on standard error.

use std::fmt::Display;
use std::io::{self, Write};

/// A message and its newline in one write: several programs share one terminal, and standard error
/// sends each piece that it gets at once. That nobody reads it is no reason to stop.
pub fn say(message: impl Display) {
    let _ = io::stderr().write_all(format!("{message}\n").as_bytes());
}
