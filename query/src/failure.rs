//! Why a verb ends without its result: what happened, to what, and what to do.

use std::fmt::Display;
use std::io;

use dhub_proto::client::ClientError;
pub use dhub_proto::disk::words as system;
use dhub_proto::disk::{self, Fault};
use dhub_proto::exit::Exit;
use dhub_proto::find::FindError;
use dhub_proto::wire::{self, ErrorCode};

use crate::render::words::{plain, some_names, span};

/// Names of a refusal that are printed.
const NAMES_MAX: usize = 10;

/// A message for people and the exit code that goes with it.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    /// Empty: all has been said, or nobody listens.
    pub message: String,
    /// What to do, printed indented below the message.
    pub hints: Vec<String>,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hints: Vec::new() }
    }

    /// The system refused something of this name: the disk, or whatever else.
    pub fn system(what: impl Display, error: &io::Error) -> Self {
        let exit = if Fault::of(error).is_some() { Exit::Disk } else { Exit::System };
        Self::new(exit, format!("{what}: {}", system(error)))
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub fn print(&self) {
        if !self.message.is_empty() {
            let hints: String = self.hints.iter().map(|hint| format!("\n  {hint}")).collect();
            say(&format!("{}{hints}", self.message));
        }
    }
}

pub fn say(message: &str) {
    dhub_proto::say(format_args!("dquery: {message}"));
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::NoHub { endpoint, waited } => {
                let waited = span(waited);
                Self::new(Exit::NoHub, format!("no hub answers at {endpoint} (waited {waited})"))
                    .hint("start one with: dhub -f FILE      another address: -s or DHUB_HUB")
            }
            ClientError::Denied(_) => Self::new(Exit::Denied, error.to_string()),
            ClientError::Refused(error) => refused(&error),
            ClientError::Full { .. }
            | ClientError::Unreachable { .. }
            | ClientError::Unexpected { .. } => Self::new(Exit::NoHub, error.to_string()),
            ClientError::TooLarge { .. } => Self::new(Exit::Refused, error.to_string()),
            ClientError::Socket { .. } => Self::new(Exit::System, error.to_string()),
        }
    }
}

/// Names enough to know what is meant.
fn few(names: &[String]) -> String {
    some_names(&names[..names.len().min(NAMES_MAX)], names.len() as u64)
}

/// The hub's own words, and the names that they do not mention.
fn refused(error: &wire::Error) -> Failure {
    let exit = match error.code() {
        ErrorCode::ErrorDenied => Exit::Denied,
        _ => Exit::Refused,
    };
    let failure = Failure::new(exit, plain(&error.message).into_owned());
    if error.code() == ErrorCode::ErrorCycle {
        // Its message is made of the names.
        return failure;
    }
    let names: Vec<_> = error
        .names
        .iter()
        .filter(|name| !error.message.contains(&format!("'{name}'")))
        .cloned()
        .collect();
    if names.is_empty() { failure } else { failure.hint(few(&names)) }
}

impl From<FindError> for Failure {
    fn from(error: FindError) -> Self {
        Self::new(error.exit(), error.to_string())
    }
}

/// Only standard output is written with `?`.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            // `dquery list | head` has seen enough.
            return Self::new(Exit::Ok, "");
        }
        Self::system("cannot write to standard output", &disk::output(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_silent_hub_is_named_with_the_time_and_what_to_do() {
        let endpoint = "tcp://login3:6125".to_owned();
        let failure =
            Failure::from(ClientError::NoHub { endpoint, waited: Duration::from_secs(5) });
        assert_eq!(failure.message, "no hub answers at tcp://login3:6125 (waited 5 s)");
        assert_eq!(failure.exit, Exit::NoHub);
        assert_eq!(failure.hints.len(), 1);
    }

    #[test]
    fn names_are_added_unless_the_message_has_them() {
        let error = wire::Error {
            code: 4,
            message: "'a' exists with another definition".into(),
            names: vec!["a".into(), "x y".into()],
        };
        assert_eq!(Failure::from(ClientError::Refused(error)).hints, ["x y"]);
    }
}
