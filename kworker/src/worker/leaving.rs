//! The way out: when a pool leaves, and what it tells the hub before.
//!
//! Nothing that ended is forgotten on the way: outcomes first, then what was not started, then
//! Exit; all of it bounded by the time that the hub is given to answer.

use std::time::{Duration, Instant};

use dhub_proto::exit::Exit;
use dhub_proto::span::exact;
use dhub_proto::wire::Phase;

use signal_hook::consts::SIGTERM;

use super::{Worker, WorkerError};
use crate::guard::Guardian;
use crate::halt::Halt;
use crate::pool::{AT_ONCE, Asked, Reached};
use crate::signal::die_of;
use crate::talk::{count, thousands};

/// Two signals in so short a time, one of them passed on by the guardian, are one that was sent to
/// both, as batch systems do.
const SAME: Duration = Duration::from_millis(250);

/// How far the way out has been gone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Leaving {
    No,
    /// Nothing runs any more; the hub has until then to hear the rest.
    Reporting {
        until: Instant,
    },
    /// Everything is told, Exit is sent.
    Said {
        until: Instant,
        exit: Exit,
    },
    /// People want it at once.
    Now {
        until: Instant,
        end: End,
        said: bool,
    },
}

/// How a pool ends that is stopped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum End {
    /// As if the signal had done it.
    Signal(i32),
    Exit(Exit),
}

impl Leaving {
    /// How long this may take.
    pub(super) fn until(self) -> Option<Instant> {
        match self {
            Self::No => None,
            Self::Reporting { until } | Self::Said { until, .. } | Self::Now { until, .. } => {
                Some(until)
            }
        }
    }
}

impl Worker {
    pub(super) fn obey_signals(&mut self, now: Instant) {
        let arrived = self.signals.take();
        if arrived.child {
            self.processes.reap(now);
        }
        let Some((signal, from_guardian)) = arrived.stop else { return };
        if signal == SIGTERM {
            self.felled.signalled(now);
        }
        let twin = self.last_stop.take_if(|(at, _)| now < *at + SAME);
        if twin.is_some_and(|(_, other)| other != from_guardian) {
            return;
        }
        self.last_stop = Some((now, from_guardian));
        if let Leaving::Now { .. } = self.leaving {
            die_of(signal);
        } else if self.told_to_stop {
            self.stop_now("stops now", End::Signal(signal), now);
        } else {
            // A drain that the hub wished for is not the first of two.
            self.told_to_stop = true;
            let back = self.pool.drain();
            // The hub must not answer a parked steal to somebody who is leaving.
            self.ask(now);
            let running = self.running();
            self.say(&format!("finishes {running}, gives {back} back (once more: stops now)"));
        }
    }

    /// Kills, gives back, leaves.
    pub(super) fn stop_now(&mut self, why: &str, end: End, now: Instant) {
        if let Leaving::Now { .. } = self.leaving {
            return;
        }
        let running = self.running();
        self.say(&format!("{why}: kills {running} and gives back what it has"));
        self.collect(now);
        self.processes.kill_all(now);
        self.pool.abandon();
        self.leaving = Leaving::Now { until: now + self.config.timeout, end, said: false };
    }

    /// Time, work and patience that people have given this pool.
    pub(super) fn watch_limits(&mut self, now: Instant) {
        if let Some(reached) = self.pool.reach(now) {
            let running = self.running();
            let what = match reached {
                Reached::Time => "the time is nearly over".to_owned(),
                Reached::Idle(time) => {
                    format!("nothing to run for {}", exact(time))
                }
                Reached::Tasks(n) => {
                    format!("{} started", count(usize::try_from(n).unwrap_or(usize::MAX), "task"))
                }
                Reached::Halt(n, halt) => {
                    self.exit = Exit::SomeFailed;
                    let failed = format!("{} failed here", count(n, "task"));
                    self.note = format!("{failed}; steals no more");
                    self.heartbeat.hurry();
                    // Those that are tried again are not failed any more.
                    let name = dhub_proto::shell::word(&self.config.name);
                    format!(
                        "{failed} (--halt {halt}; dquery list --worker {name} --state failed,waiting,ready)"
                    )
                }
                Reached::Failures(n) => {
                    self.exit = Exit::Failing;
                    self.note = format!("{n} tasks in a row failed at once; steals no more");
                    // People should not have to wait for it.
                    self.heartbeat.hurry();
                    format!(
                        "{n} tasks in a row failed within {}: is this machine sound? (dquery list --failed)",
                        exact(AT_ONCE)
                    )
                }
            };
            let then = match reached {
                Reached::Halt(_, Halt { now: true, .. }) => {
                    format!("ends {running}, gives all back")
                }
                _ => format!("finishes {running}, gives the rest back"),
            };
            self.say(&format!("{what}; {then}"));
            self.ask(now);
        }
        if self.pool.stop_in_time(now) {
            self.stop_now("the time is over", End::Exit(Exit::Ok), now);
        }
    }

    /// Without a guardian nobody would clean up after this process.
    pub(super) fn follow_guardian(&mut self, now: Instant) {
        let is_gone =
            self.guardian_calls && self.config.guardian.as_ref().is_some_and(Guardian::is_gone);
        if is_gone && !std::mem::replace(&mut self.is_orphan, true) {
            self.stop_now("its guardian was killed", End::Signal(SIGTERM), now);
        }
    }

    /// The exit, when it is time.
    pub(super) fn leave(&mut self, now: Instant) -> Result<Option<Exit>, WorkerError> {
        match self.leaving {
            Leaving::No => {
                let exit = self.wants_to_leave();
                match exit {
                    Some(exit) if self.pool.is_empty() => {
                        self.link.ask(self.pool.exit_request(), now);
                        let until = now + self.config.timeout;
                        self.leaving = Leaving::Said { until, exit };
                    }
                    Some(_) if self.pool.is_draining() && self.pool.running() == 0 => {
                        self.leaving = Leaving::Reporting { until: now + self.config.timeout };
                    }
                    _ => {}
                }
            }
            Leaving::Reporting { until } => {
                if self.pool.is_empty() {
                    self.leaving = Leaving::No;
                    return self.leave(now);
                }
                if until <= now {
                    return self.unreported();
                }
            }
            Leaving::Said { until, exit } => {
                if until <= now || !self.link.is_asked(Asked::Exit) {
                    self.say_farewell(exit);
                    return Ok(Some(exit));
                }
            }
            Leaving::Now { until, end, said: false } if self.pool.unreported() == 0 => {
                self.link.ask(self.pool.exit_request(), now);
                self.leaving = Leaving::Now { until, end, said: true };
            }
            Leaving::Now { until, end, said } => {
                let heard = said && !self.link.is_asked(Asked::Exit);
                if (heard && self.pool.running() == 0) || until <= now {
                    if self.pool.unreported() > 0 {
                        return self.unreported();
                    }
                    match end {
                        End::Signal(signal) => die_of(signal),
                        End::Exit(exit) => self.say_farewell(exit),
                    }
                    return Ok(Some(Exit::Ok));
                }
            }
        }
        Ok(None)
    }

    fn wants_to_leave(&self) -> Option<Exit> {
        if self.pool.is_draining() {
            return Some(self.exit);
        }
        match self.pool.phase() {
            _ if !self.config.until_done => None,
            Phase::Finished if self.pool.not_done() > 0 => Some(Exit::SomeFailed),
            Phase::Finished => Some(Exit::Ok),
            Phase::Stuck => Some(Exit::Stuck),
            // Whoever adds the first has to start it after that, or without the option.
            Phase::Empty => Some(Exit::Ok),
            Phase::Active | Phase::Unspecified => None,
        }
    }

    fn unreported(&self) -> Result<Option<Exit>, WorkerError> {
        match self.pool.unreported() {
            0 => {
                self.say("the hub does not answer; it takes back what was not started");
                Ok(Some(self.exit))
            }
            n => Err(WorkerError::Unreported {
                endpoint: self.link.target().endpoint.clone(),
                waited: self.config.timeout,
                unreported: count(n, "outcome"),
            }),
        }
    }

    fn say_farewell(&self, exit: Exit) {
        let tally = self.pool.tally();
        let ran = count((tally.done + tally.failed) as usize, "task");
        let failed = if tally.failed > 0 {
            format!(", {} failed", thousands(tally.failed))
        } else {
            String::new()
        };
        let state = match exit {
            Exit::SomeFailed if self.pool.is_draining() => "left",
            Exit::Stuck => "the rest waits for names that nobody added (dquery status)",
            Exit::SomeFailed => "all finished, not all done (dquery status)",
            Exit::Failing => {
                "left; to go on, start it again (--max-failures-in-a-row 0: never leaves for that)"
            }
            _ if self.pool.is_draining() => "left",
            _ if self.pool.phase() == Phase::Empty => {
                "the hub has no tasks; without --until-done a pool waits for the first"
            }
            _ => "all done",
        };
        self.say(&format!("{state}; {ran} ran here{failed}"));
    }
}
