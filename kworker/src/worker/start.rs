//! Starting tasks, and what comes of those that cannot be started.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use dhub_proto::wire::{self, Lease, Outcome};
use rustix::io::Errno;

use super::{Worker, WorkerError};
use crate::command::interpreter;
use crate::setting::NotStarted;
use crate::talk::shown;

/// When the system cannot start a process now: how soon to try again, and for how long.
const AGAIN: Duration = Duration::from_secs(1);
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Exit codes of shells for what could not be started.
const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;

impl Worker {
    pub(super) fn start_tasks(&mut self, now: Instant) -> Result<(), WorkerError> {
        if self.start_trouble.is_some_and(|(_, again)| now < again) {
            return Ok(());
        }
        while let Some(lease) = self.pool.next_start(now) {
            let error = match self.start(&lease, now) {
                Ok(()) => {
                    self.start_trouble = None;
                    continue;
                }
                Err(NotStarted::Task(error)) => {
                    let outcome = not_started(lease, &error);
                    self.pool.ended(&outcome.name.clone(), Some(outcome), now);
                    continue;
                }
                Err(NotStarted::System(error)) => error,
            };
            let since = self.start_trouble.map_or(now, |(since, _)| since);
            if self.start_trouble.is_none() {
                self.say(&format!("cannot start {}: {error}; trying again", shown(&lease.name)));
            }
            self.start_trouble = Some((since, now + AGAIN));
            self.pool.not_started(lease);
            let patient = now.duration_since(since) < PATIENCE || self.pool.running() > 0;
            return if patient { Ok(()) } else { Err(WorkerError::Start { source: error }) };
        }
        Ok(())
    }

    fn start(&mut self, lease: &Lease, now: Instant) -> Result<(), NotStarted> {
        self.doubt_shell(lease);
        let slot = self.processes.free_slot();
        let (start, shell) = self.config.setting.start(&self.config.program, lease, slot)?;
        let mut result = self.processes.start(start, now);
        if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            let (start, _) = self.config.setting.start(&self.config.program, lease, slot)?;
            if let Some(why) = lacks(&start.command) {
                let error = io::Error::new(io::ErrorKind::NotFound, why);
                return Err(NotStarted::Task(error));
            }
        }
        // No file, no program, a script without its first line: a shell knows what to do, or to say.
        if let (Err(error), Some(command)) = (&result, shell)
            && !is_of_the_system(error)
        {
            let (mut start, _) = self.config.setting.start(&self.config.program, lease, slot)?;
            start.command = command;
            result = self.processes.start(start, now);
        }
        result.map_err(|error| match self.config.setting.dir(lease) {
            _ if is_of_the_system(&error) => NotStarted::System(error),
            Some(dir) if !dir.is_dir() => {
                let what = format!("{}: no such directory", dir.display());
                NotStarted::Task(io::Error::new(io::ErrorKind::NotFound, what))
            }
            _ => NotStarted::Task(error),
        })
    }

    /// Once: what one script has, others have too.
    fn doubt_shell(&mut self, lease: &Lease) {
        if !self.shell_doubted
            && let Some(doubt) = self.config.program.doubt(&lease.command, &lease.name)
        {
            self.shell_doubted = true;
            self.say(&format!("{}: {doubt}", shown(&lease.name)));
        }
    }
}

/// What the program lacks that is there.
fn lacks(command: &Command) -> Option<String> {
    let dir = command.get_current_dir().unwrap_or(Path::new("."));
    dir.is_dir()
        .then(|| interpreter::missing(&dir.join(command.get_program()), command.get_program()))
        .flatten()
}

/// Trouble of this machine, not of the task: others may still start it, or it later.
fn is_of_the_system(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE].into_iter().any(|e| errno == Some(e))
}

fn not_started(lease: Lease, error: &io::Error) -> Outcome {
    let exit_code = match error.kind() {
        io::ErrorKind::NotFound => NOT_FOUND,
        _ => NOT_EXECUTABLE,
    };
    Outcome {
        name: lease.name,
        attempt: lease.attempt,
        result: wire::Result::Failed.into(),
        exit_code,
        reason: format!("cannot be started: {error}"),
        ..Outcome::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_started_fails_as_in_a_shell() {
        let lease = Lease { name: "a".into(), attempt: 2, ..Lease::default() };
        let outcome = not_started(lease, &io::Error::from(io::ErrorKind::NotFound));
        assert_eq!((outcome.exit_code, outcome.attempt), (127, 2));
        let again = io::Error::from_raw_os_error(Errno::AGAIN.raw_os_error());
        assert!(is_of_the_system(&again));
        assert!(!is_of_the_system(&io::Error::from(io::ErrorKind::PermissionDenied)));
    }
}
