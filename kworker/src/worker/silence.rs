//! A hub that is silent: what people are told of it, and when to wait no longer.

use std::time::{Duration, Instant};

use super::leaving::Leaving;
use super::{Worker, WorkerError};
use crate::talk::{clock_time, count, rounded};

/// A silence of the hub that people were told of.
pub(super) struct Silence {
    since: Instant,
    /// The hub answers again, but does not know yet what ended meanwhile.
    over: Option<Duration>,
    /// People were told that somebody else answers.
    stranger_told: bool,
    pub(super) reported: usize,
}

/// What happens to running tasks when the hub is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum WhenLost {
    /// Let them end, in case that it comes back meanwhile
    Finish,
    /// Kill them
    Kill,
}

impl Worker {
    pub(super) fn watch_silence(&mut self, now: Instant) {
        match (&mut self.silence, self.link.long_silence(now)) {
            (None, Some(since)) => {
                let (over, stranger_told) = (None, false);
                self.silence = Some(Silence { since, over, stranger_told, reported: 0 });
                let at = clock_time(now.duration_since(since));
                let running = match self.pool.running() {
                    0 => String::new(),
                    1 => "; 1 task keeps running".to_owned(),
                    n => format!("; {n} tasks keep running"),
                };
                self.say(&format!("hub is silent since {at}{running}"));
            }
            (Some(silence), None) if !self.link.is_silent() => {
                let over = *silence.over.get_or_insert(now.duration_since(silence.since));
                // Told once it knows what ended meanwhile.
                if self.pool.unreported() == 0 || now > silence.since + over + self.config.timeout {
                    let results = count(silence.reported, "result");
                    self.say(&format!("hub is back after {}; {results} reported", rounded(over)));
                    self.silence = None;
                }
            }
            (Some(silence), Some(_)) if !silence.stranger_told => {
                if let Some(denial) = self.link.stranger() {
                    silence.stranger_told = true;
                    self.say(&denial.to_string());
                }
            }
            _ => {}
        }
    }

    /// Whether the hub has been silent for as long as people allow; then an error, at once or
    /// when nothing runs any more.
    pub(super) fn give_up_hub(&mut self, now: Instant) -> Result<(), WorkerError> {
        let since = self.link.silent_since();
        let is_lost = since
            .zip(self.config.hub_timeout)
            .is_some_and(|(since, timeout)| since.checked_add(timeout).is_some_and(|at| at <= now));
        if !is_lost || self.leaving != Leaving::No {
            if std::mem::take(&mut self.hub_is_lost) {
                self.pool.pause(false);
                self.say("the hub is back in time; goes on");
            }
            return Ok(());
        }
        let kills = self.config.when_lost == WhenLost::Kill;
        if self.pool.running() == 0 || kills {
            return Err(WorkerError::HubLost {
                endpoint: self.link.target().endpoint.clone(),
                silent: since.map_or(Duration::ZERO, |since| now.duration_since(since)),
                killed: count(self.pool.running(), "running task"),
                unreported: count(self.pool.unreported(), "outcome"),
            });
        }
        if !std::mem::replace(&mut self.hub_is_lost, true) {
            // Nobody would hear of what starts now.
            self.pool.pause(true);
            self.say(&format!(
                "the hub is silent for too long; {} finish, unless it comes back",
                self.running()
            ));
        }
        Ok(())
    }

    pub(super) fn hub_given_up_at(&self) -> Option<Instant> {
        self.link.silent_since()?.checked_add(self.config.hub_timeout?)
    }
}
