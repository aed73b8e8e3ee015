//! Stopping: what is due to the processes of a task that has to go, or that has ended and left some behind.

use std::time::{Duration, Instant};

use dhub_proto::say;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

use super::{Processes, orphan};
use crate::talk::shown;

/// Between SIGTERM and SIGKILL.
pub const GRACE: Duration = Duration::from_secs(5);
/// What a task leaves behind may be just about to end, as `> >(gzip)` in bash.
const LEFT_ALONE: Duration = Duration::from_millis(500);
/// Between SIGTERM and SIGKILL for what does not.
const LEFT_GRACE: Duration = Duration::from_secs(1);
/// How often to look whether everything is gone, once a task's first process is.
const LINGER: Duration = Duration::from_millis(50);
/// After SIGKILL: then it hangs in the kernel, and nobody waits any longer.
const STUCK: Duration = Duration::from_secs(30);
/// Why a process has to go.
#[derive(Clone, Copy, Debug)]
pub enum Why {
    /// The task has ended, this is what it left.
    Left,
    TimeLimit(Duration),
    /// The attempt is not ours any more; its outcome interests nobody.
    Unwanted,
}

#[derive(Debug)]
pub struct Stop {
    pub why: Why,
    pub term_at: Instant,
    pub kill_at: Instant,
    /// Groups and orphans that have had their SIGTERM.
    pub asked: Vec<Pid>,
}

impl Processes {
    pub(super) fn timer_over(&mut self, pid: Pid, now: Instant) {
        let Some(process) = self.alive.get(&pid) else { return };
        match (&process.stop, process.time_limit) {
            (None, Some(limit)) => self.stop_task(pid, Why::TimeLimit(limit), now),
            (None, None) => {}
            (Some(_), _) if process.status.is_some() => self.settle(pid, now),
            (Some(_), _) => self.pursue(pid, now),
        }
    }

    /// The first process has ended; nothing of the task may go on.
    pub(super) fn settle(&mut self, pid: Pid, now: Instant) {
        let Some(process) = self.alive.get_mut(&pid) else { return };
        let is_empty = test_kill_process_group(pid).is_err()
            && (self.orphans.is_empty() || self.orphans.of(pid).next().is_none());
        if is_empty {
            self.finish(pid);
            return;
        }
        let term_at = now + LEFT_ALONE;
        let stop = process.stop.get_or_insert(Stop {
            why: Why::Left,
            term_at,
            kill_at: term_at + LEFT_GRACE,
            asked: Vec::new(),
        });
        if stop.kill_at + STUCK <= now {
            let name = shown(&process.attempt.name);
            say(format_args!(
                "kworker: {name} has ended, but a process of it cannot be killed: group {}",
                pid.as_raw_nonzero()
            ));
            self.finish(pid);
            return;
        }
        self.lingering.insert(pid.as_raw_nonzero().get());
        self.pursue(pid, now);
    }

    /// Signals that are due to those that have to go, and the time for the next look.
    pub(super) fn pursue(&mut self, pid: Pid, now: Instant) {
        let Some(process) = self.alive.get_mut(&pid) else { return };
        let Some(stop) = &mut process.stop else { return };
        if stop.kill_at <= now {
            signal(pid, Signal::KILL);
            self.orphans.of(pid).for_each(|orphan| orphan::signal(orphan, Signal::KILL));
        } else if stop.term_at <= now {
            // Who is stopped cannot hear it.
            const ASK: [Signal; 2] = [Signal::TERM, Signal::CONT];
            if !stop.asked.contains(&pid) {
                stop.asked.push(pid);
                ASK.into_iter().for_each(|ask| signal(pid, ask));
            }
            for orphan in self.orphans.of(pid) {
                if !stop.asked.contains(&orphan) {
                    stop.asked.push(orphan);
                    ASK.into_iter().for_each(|ask| orphan::signal(orphan, ask));
                }
            }
        }
        let due = [stop.term_at, stop.kill_at].into_iter().filter(|&at| at > now).min();
        let again = process.status.is_some().then_some(now + LINGER);
        let at = [due, again].into_iter().flatten().min();
        // A first process that does not die of SIGKILL hangs in the kernel; it tells when it has.
        self.set_timer(pid, at);
    }

    pub(super) fn stop_task(&mut self, pid: Pid, why: Why, now: Instant) {
        let Some(process) = self.alive.get_mut(&pid) else { return };
        match &mut process.stop {
            // The grace runs already.
            Some(stop) => stop.why = why,
            None => {
                let stop = Stop { why, term_at: now, kill_at: now + GRACE, asked: Vec::new() };
                process.stop = Some(stop);
                self.pursue(pid, now);
            }
        }
    }

    pub(super) fn kill_task(&mut self, pid: Pid, now: Instant) {
        let Some(process) = self.alive.get_mut(&pid) else { return };
        // If that is not the first time, it began to be stuck earlier.
        let kill_at = process.stop.as_ref().map_or(now, |stop| stop.kill_at.min(now));
        process.stop = Some(Stop { why: Why::Unwanted, term_at: now, kill_at, asked: Vec::new() });
        self.pursue(pid, now);
        if self.alive.get(&pid).is_some_and(|process| process.status.is_some()) {
            self.settle(pid, now);
        }
    }
}

/// A group that is gone already is fine.
pub fn signal(group: Pid, signal: Signal) {
    if let Err(error) = kill_process_group(group, signal) {
        tracing::debug!(?group, ?signal, %error, "cannot signal");
    }
}
