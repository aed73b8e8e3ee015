//! The tasks that a worker holds, as complete, fail, release and heartbeat name them.

use dhub_proto::exit::Exit;
use dhub_proto::wire::{Attempt, Complete, Outcome, Worker};
use serde_json::json;

use super::tell_refused;
use crate::args::{WorkerOptions, task_name};
use crate::failure::Failure;
use crate::hub::{Hub, ask};
use crate::output::Output;
use crate::render::json;

#[derive(clap::Args, Debug)]
pub struct Held {
    /// Tasks that this worker has stolen
    #[arg(value_name = "NAME", required = true, value_parser = task_name)]
    names: Vec<String>,

    /// Number of the attempt (of one task); without it, the newest if this worker had it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    attempt: Option<u32>,

    #[command(flatten)]
    worker: WorkerOptions,
}

impl Held {
    /// Who holds them, and which; 0 stands for an attempt that was not named.
    pub fn attempts(self, started: bool) -> Result<(Worker, Vec<Attempt>), Failure> {
        if self.attempt.is_some() && self.names.len() > 1 {
            let message = "--attempt is the number of one task's attempt, and several are named";
            return Err(Failure::new(Exit::Usage, message));
        }
        let attempt = self.attempt.unwrap_or(0);
        let attempts = self.names.into_iter().map(|name| Attempt { name, attempt, started });
        Ok((self.worker.worker(None), attempts.collect()))
    }

    /// Reports the same outcome for each of them.
    pub fn report(
        self,
        hub: &mut Hub,
        out: Output,
        outcome: impl Fn(Attempt) -> Outcome,
    ) -> Result<Exit, Failure> {
        let (worker, attempts) = self.attempts(true)?;
        let outcomes: Vec<_> = attempts.into_iter().map(outcome).collect();
        let count = outcomes.len();
        let request = Complete { worker: Some(worker), outcomes, ..Complete::default() };
        let completed = ask!(hub, Complete(request) => Completed);
        if out.json {
            out.document(&json!({
                "accepted": count.saturating_sub(completed.refused.len()),
                "refused": json::refused(&completed.refused),
            }))?;
        }
        Ok(tell_refused(&completed.refused, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_of_one_task() {
        let held = |names: &[&str]| Held {
            names: names.iter().map(|&name| name.into()).collect(),
            attempt: Some(3),
            worker: WorkerOptions { worker: Some("node12".into()) },
        };
        let (worker, attempts) = held(&["a"]).attempts(true).unwrap();
        assert_eq!((worker.name.as_str(), attempts[0].attempt), ("node12", 3));
        assert_eq!(held(&["a", "b"]).attempts(true).unwrap_err().exit, Exit::Usage);
    }
}
