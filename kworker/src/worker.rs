//! The loop: steal, run, report. One thread, one poll.
//!
//! `Pool` decides, `Link` talks to the hub, `Processes` runs the tasks; here they meet.

mod hub;
mod leaving;
mod silence;

use std::io;
use std::time::{Duration, Instant};

use dhub_proto::exit::Exit;
use dhub_proto::wire::{self, Attempt, Lease, Outcome};
use dhub_proto::{VERSION, say};
use rustix::process::Pid;

use crate::command::Program;
use crate::heartbeat::Heartbeat;
use crate::link::{Link, LinkError};
use crate::pool::Pool;
use crate::process::Processes;
use crate::signal::Signals;
use crate::talk::{count, rounded, shown};
use leaving::Leaving;
use silence::Silence;
pub use silence::WhenLost;

/// When the system cannot start a process now: how soon to try again, and for how long.
const START_AGAIN: Duration = Duration::from_secs(1);
const START_PATIENCE: Duration = Duration::from_secs(60);
/// Exit codes of shells for what could not be started.
const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;

/// What ends a pool early.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("cannot wait for what happens: {0}")]
    Poll(zmq::Error),
    #[error("the hub refused {what}: {message}")]
    Refused { what: &'static str, message: String },
    #[error("the hub does not allow {what}: {message}")]
    Denied { what: &'static str, message: String },
    #[error(
        "the hub at {endpoint} answered something else than was asked; is it a dhub of version {VERSION}?"
    )]
    Unexpected { endpoint: String },
    #[error(
        "no task could be started for {}: {source}",
        humantime::format_duration(START_PATIENCE)
    )]
    Start { source: io::Error },
    #[error("no hub answers at {endpoint} (waited {}); {unreported} could not be reported\n  \
             the hub will give those tasks to others", humantime::format_duration(*.waited))]
    Unreported { endpoint: String, waited: Duration, unreported: String },
    #[error("no hub answers at {endpoint} (silent for {}, see --hub-timeout); {killed} killed, \
             {unreported} could not be reported\n  \
             the hub will give those tasks to others", rounded(*.silent))]
    HubLost { endpoint: String, silent: Duration, killed: String, unreported: String },
}

impl WorkerError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Link(error) => error.exit(),
            Self::Poll(_) | Self::Start { .. } => Exit::System,
            Self::Refused { .. } | Self::Unexpected { .. } => Exit::Refused,
            Self::Denied { .. } => Exit::Denied,
            Self::Unreported { .. } | Self::HubLost { .. } => Exit::NoHub,
        }
    }
}

/// What the command line decides.
pub struct Config {
    pub name: String,
    pub program: Program,
    pub until_done: bool,
    pub timeout: Duration,
    /// How long to wait for a hub that is silent; for ever if there is none.
    pub hub_timeout: Option<Duration>,
    pub when_lost: WhenLost,
    /// Template of the files that tasks write; empty if they write none.
    pub output_files: String,
}

pub struct Worker {
    config: Config,
    pool: Pool,
    link: Link,
    processes: Processes,
    signals: Signals,
    heartbeat: Heartbeat,
    leaving: Leaving,
    /// By a signal, once.
    told_to_stop: bool,
    silence: Option<Silence>,
    /// Silent for longer than people allow.
    hub_is_lost: bool,
    /// What people see of this pool at the hub.
    note: String,
    /// Of a pool that has been drained.
    exit: Exit,
    /// Since when no process could be started, and when to try again.
    start_trouble: Option<(Instant, Instant)>,
}

impl Worker {
    pub fn new(
        config: Config,
        pool: Pool,
        link: Link,
        processes: Processes,
        signals: Signals,
    ) -> Self {
        Self {
            config,
            pool,
            link,
            processes,
            signals,
            heartbeat: Heartbeat::new(),
            leaving: Leaving::No,
            told_to_stop: false,
            silence: None,
            hub_is_lost: false,
            note: String::new(),
            exit: Exit::Ok,
            start_trouble: None,
        }
    }

    pub fn run(mut self) -> Result<Exit, WorkerError> {
        let hub = self.link.target().endpoint.trim_start_matches("tcp://").to_owned();
        let slots = count(self.pool.slots(), "slot");
        self.say(&format!("{slots} · hub {hub}"));
        let result = self.serve();
        if result.is_err() {
            // Nothing may go on running that nobody looks after.
            self.processes.kill_all(Instant::now());
            self.link.ask(self.pool.exit_request(), Instant::now());
            self.link.flush();
        }
        result
    }

    fn serve(&mut self) -> Result<Exit, WorkerError> {
        loop {
            let now = Instant::now();
            self.watch_limits(now);
            self.start_tasks(now)?;
            self.stop_lost(now);
            self.give_up_hub(now)?;
            if let Some(exit) = self.leave(now)? {
                return Ok(exit);
            }
            self.ask(now);
            self.beat(now);
            self.wait(now)?;
            let now = Instant::now();
            self.obey_signals(now);
            self.processes.tick(now);
            self.collect(now);
            self.hear(now)?;
            self.link.tick(now)?;
            self.watch_silence(now);
        }
    }

    // --- tasks -------------------------------------------------------------------------------

    fn start_tasks(&mut self, now: Instant) -> Result<(), WorkerError> {
        if self.start_trouble.is_some_and(|(_, again)| now < again) {
            return Ok(());
        }
        while let Some(lease) = self.pool.next_start(now) {
            let Err(error) = self.start(&lease, now) else {
                self.start_trouble = None;
                continue;
            };
            if !is_of_the_system(&error) {
                let outcome = not_started(lease, &error);
                self.pool.ended(&outcome.name.clone(), Some(outcome), now);
                continue;
            }
            let since = self.start_trouble.map_or(now, |(since, _)| since);
            if self.start_trouble.is_none() {
                self.say(&format!("cannot start {}: {error}; trying again", shown(&lease.name)));
            }
            self.start_trouble = Some((since, now + START_AGAIN));
            self.pool.not_started(lease);
            let patient = now.duration_since(since) < START_PATIENCE || self.pool.running() > 0;
            return if patient { Ok(()) } else { Err(WorkerError::Start { source: error }) };
        }
        Ok(())
    }

    fn start(&mut self, lease: &Lease, now: Instant) -> io::Result<()> {
        let mut command = self.config.program.command(lease);
        command
            .env("DHUB_TASK", &lease.name)
            .env("DHUB_ATTEMPT", lease.attempt.to_string())
            .env("DHUB_WORKER", &self.config.name)
            .env("DHUB_HUB", &self.link.target().endpoint);
        // The name of the file, so that the task's own tools are let in; never what is in it.
        match &self.link.target().access {
            Some(access) => command.env("DHUB_ACCESS", access),
            None => command.env_remove("DHUB_ACCESS"),
        };
        let limit = (lease.time_limit_ms > 0).then(|| Duration::from_millis(lease.time_limit_ms));
        let attempt = Attempt { name: lease.name.clone(), attempt: lease.attempt, started: true };
        self.processes.start(command, attempt, limit, now)
    }

    fn stop_lost(&mut self, now: Instant) {
        for stop in self.pool.take_stops() {
            tracing::info!(name = stop.name, "lost; its processes are stopped");
            if stop.at_once {
                self.processes.kill(&stop.name, now);
            } else {
                self.processes.stop(&stop.name, now);
            }
        }
    }

    fn collect(&mut self, now: Instant) {
        for ended in self.processes.take_ended() {
            self.pool.ended(&ended.name, ended.outcome, now);
        }
    }

    // --- waiting -----------------------------------------------------------------------------

    fn wait(&mut self, now: Instant) -> Result<(), WorkerError> {
        const READABLE: zmq::PollEvents = zmq::POLLIN;
        let deadline = self.deadline(now);
        // Rounded up: a poll that returns too early would only be repeated.
        let left = deadline.saturating_duration_since(now).as_micros().div_ceil(1000);
        let left = i64::try_from(left).unwrap_or(i64::MAX);
        let [requests, monitor] = self.link.poll_items();
        let mut items =
            vec![requests, monitor, zmq::PollItem::from_fd(self.signals.fd(), READABLE)];
        let first_pipe = items.len();
        let mut tasks: Vec<Pid> = Vec::with_capacity(self.pool.running());
        for (task, fd) in self.processes.pipes() {
            tasks.push(task);
            items.push(zmq::PollItem::from_fd(fd, READABLE));
        }
        match zmq::poll(&mut items, left) {
            Ok(_) => {}
            // The signal waits in its pipe.
            Err(zmq::Error::EINTR) => return Ok(()),
            Err(error) => return Err(WorkerError::Poll(error)),
        }
        let ready = |item: &zmq::PollItem| item.is_readable() || item.is_error();
        let pipes = tasks.into_iter().zip(&items[first_pipe..]);
        let readable: Vec<Pid> =
            pipes.filter(|(_, item)| ready(item)).map(|(task, _)| task).collect();
        readable.into_iter().for_each(|task| self.processes.read(task));
        Ok(())
    }

    fn deadline(&self, now: Instant) -> Instant {
        // A silence that people know of needs no more waiting.
        let silence = self.link.silence_told_at().filter(|_| self.silence.is_none());
        [
            self.leaving.until(),
            silence,
            self.processes.next_timer(),
            self.link.next_timeout(),
            self.pool.next_limit_at(now),
            self.hub_given_up_at().filter(|&at| at > now),
            self.pool.next_ask_at(now),
            self.start_trouble.map(|(_, again)| again).filter(|&again| again > now),
        ]
        .into_iter()
        .flatten()
        .fold(self.heartbeat.due(self.pool.term(), now), Instant::min)
    }

    // --- talk --------------------------------------------------------------------------------

    fn running(&self) -> String {
        count(self.pool.running(), "running task")
    }

    fn say(&self, text: &str) {
        say(format_args!("kworker {} · {text}", self.config.name));
    }
}

/// Trouble of this machine, not of the task: others may still start it, or it later.
fn is_of_the_system(error: &io::Error) -> bool {
    use rustix::io::Errno;
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
        assert!(is_of_the_system(&io::Error::from_raw_os_error(
            rustix::io::Errno::AGAIN.raw_os_error()
        )));
        assert!(!is_of_the_system(&io::Error::from(io::ErrorKind::PermissionDenied)));
    }
}
