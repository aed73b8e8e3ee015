//! The loop: steal, run, report. One thread, one poll.
//!
//! `Pool` decides, `Link` talks to the hub, `Processes` runs the tasks; here they meet.

mod busy;
mod felled;
mod hub;
mod leaving;
mod silence;
mod start;

use std::io;
use std::time::{Duration, Instant};

use dhub_proto::disk::Fault;
use dhub_proto::exit::Exit;
use dhub_proto::span::exact;
use dhub_proto::{VERSION, say};

use crate::command::Program;
use crate::guard::Guardian;
use crate::heartbeat::Heartbeat;
use crate::link::{Link, LinkError};
use crate::pool::Pool;
use crate::process::Processes;
use crate::setting::Setting;
use crate::signal::Signals;
use crate::talk::{count, rounded};
use busy::Busy;
use felled::{Cleared, Felled};
use leaving::Leaving;
use silence::Silence;
pub use silence::WhenLost;

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
    #[error("no task could be started for {}: {source}", exact(start::PATIENCE))]
    Start { source: io::Error },
    #[error("no hub answers at {endpoint} (waited {}); {unreported} could not be reported\n  \
             the hub will give those tasks to others", exact(*.waited))]
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
            Self::Start { source } if Fault::of(source).is_some() => Exit::Disk,
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
    pub setting: Setting,
    pub guardian: Option<Guardian>,
    pub until_done: bool,
    pub timeout: Duration,
    /// How long to wait for a hub that is silent; for ever if there is none.
    pub hub_timeout: Option<Duration>,
    pub when_lost: WhenLost,
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
    felled: Felled,
    /// And whether the guardian passed it on.
    last_stop: Option<(Instant, bool)>,
    silence: Option<Silence>,
    busy: Busy,
    /// Silent for longer than people allow.
    hub_is_lost: bool,
    /// What people see of this pool at the hub.
    note: String,
    /// Of a pool that has been drained.
    exit: Exit,
    /// The pipe of the guardian has something to say.
    guardian_calls: bool,
    /// The guardian is gone.
    is_orphan: bool,
    /// Since when no process could be started, and when to try again.
    start_trouble: Option<(Instant, Instant)>,
    /// That a script may be for another shell was said.
    shell_doubted: bool,
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
            felled: Felled::default(),
            last_stop: None,
            silence: None,
            busy: Busy::default(),
            hub_is_lost: false,
            note: String::new(),
            exit: Exit::Ok,
            guardian_calls: false,
            is_orphan: false,
            start_trouble: None,
            shell_doubted: false,
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
            if self.is_leaving() {
                self.link.come_back(now)?;
            }
            self.ask(now);
            self.beat(now);
            self.wait(now)?;
            let now = Instant::now();
            self.obey_signals(now);
            self.follow_guardian(now);
            self.processes.tick(now);
            self.collect(now);
            self.hear(now)?;
            self.link.tick(now)?;
            self.watch_silence(now);
        }
    }

    // --- tasks -------------------------------------------------------------------------------

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
            let Some(outcome) = ended.outcome else {
                self.pool.ended(&ended.name, None, now);
                continue;
            };
            if let Some(outcome) = self.felled.take_in(outcome, now) {
                self.pool.ended(&ended.name, Some(outcome), now);
            }
        }
        for cleared in self.felled.clear(now) {
            match cleared {
                Cleared::Failed(outcome) => {
                    self.pool.ended(&outcome.name.clone(), Some(outcome), now);
                }
                Cleared::WithPool(name) => self.pool.killed_with_pool(&name),
            }
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
        let mut items = vec![
            requests,
            monitor,
            zmq::PollItem::from_fd(self.signals.fd(), READABLE),
            zmq::PollItem::from_fd(self.processes.fd(), READABLE),
        ];
        let guardian = self.config.guardian.as_ref().filter(|_| !self.is_orphan);
        items.extend(guardian.map(|it| zmq::PollItem::from_fd(it.fd(), READABLE)));
        match zmq::poll(&mut items, left) {
            Ok(_) => {}
            // The signal waits in its pipe.
            Err(zmq::Error::EINTR) => return Ok(()),
            Err(error) => return Err(WorkerError::Poll(error)),
        }
        let ready = |item: &zmq::PollItem| item.is_readable() || item.is_error();
        let outputs = ready(&items[3]);
        self.guardian_calls = items.get(4).is_some_and(ready);
        drop(items);
        if outputs {
            self.processes.read();
        }
        Ok(())
    }

    fn deadline(&self, now: Instant) -> Instant {
        // A silence that people know of needs no more waiting.
        let silence = self.link.silence_told_at().filter(|_| self.silence.is_none());
        [
            self.leaving.until(),
            silence,
            self.processes.next_timer(),
            self.felled.next_at(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_takes_no_output_is_told_by_the_exit_code() {
        let start = |errno| WorkerError::Start { source: io::Error::from_raw_os_error(errno) };
        assert_eq!(start(28).exit(), Exit::Disk);
        assert_eq!(start(13).exit(), Exit::System);
    }
}
