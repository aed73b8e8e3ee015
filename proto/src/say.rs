//! Talk for people, on standard error.

use std::fmt::Display;
use std::io::{self, Write};

use crate::plain::styled;

/// A message and its newline in one write: several programs share one terminal, and standard error
/// sends each piece that it gets at once. That nobody reads it is no reason to stop.
pub fn say(message: impl Display) {
    let message = format!("{message}\n");
    let _ = io::stderr().write_all(styled(&message).as_bytes());
}
