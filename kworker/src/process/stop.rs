//! Stopping: what is due to the processes of a task that has to go, or that has ended and left some behind.

use std::time::{Duration, Instant};

use dhub_proto::say;
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, kill_process_group, test_kill_process, test_kill_process_group,
    waitpid,
};

use super::{Processes, orphan};
use crate::children::of_group;
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
        // Of another error it is known that somebody is there.
        let is_empty = test_kill_process_group(pid) == Err(Errno::SRCH)
            && !self.orphans.is_unsure()
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
        if stop.kill_at <= now && self.is_beyond_reach(pid) {
            self.let_go(pid);
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
            if process.status.is_none() && test_kill_process(pid) == Err(Errno::PERM) {
                self.give_up(pid, now);
                return;
            }
        } else if stop.term_at <= now {
            // Who is stopped cannot hear it.
            const ASK: [Signal; 2] = [Signal::TERM, Signal::CONT];
            let is_left = matches!(stop.why, Why::Left);
            if !stop.asked.contains(&pid) {
                stop.asked.push(pid);
                if is_left {
                    process.left_behind.extend(of_group(pid));
                }
                ASK.into_iter().for_each(|ask| signal(pid, ask));
            }
            for orphan in self.orphans.of(pid) {
                if !stop.asked.contains(&orphan) {
                    stop.asked.push(orphan);
                    if is_left {
                        process.left_behind.insert(orphan);
                    }
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

    /// What is left of a task belongs to another user by now, whom no signal from here reaches.
    fn is_beyond_reach(&self, pid: Pid) -> bool {
        test_kill_process_group(pid).is_err()
            && self.orphans.of(pid).all(|orphan| test_kill_process(orphan) == Err(Errno::PERM))
    }

    /// The first process does not die: it belongs to another user by now.
    fn give_up(&mut self, pid: Pid, now: Instant) {
        match (waitpid(Some(pid), WaitOptions::NOHANG), self.alive.get_mut(&pid)) {
            // It has ended in this moment.
            (Ok(Some((_, status))), Some(process)) => {
                process.status = Some(status);
                self.settle(pid, now);
            }
            _ => self.let_go(pid),
        }
    }

    /// Reports a task although something of it goes on, and says so: nothing here will ever end it.
    fn let_go(&mut self, pid: Pid) {
        let mut left: Vec<Pid> = of_group(pid).into_iter().chain(self.orphans.of(pid)).collect();
        left.sort_unstable_by_key(|pid| pid.as_raw_nonzero());
        left.dedup();
        let Some(process) = self.alive.get_mut(&pid) else { return };
        process.left_behind.retain(|pid| !left.contains(pid));
        let left: Vec<_> = left.iter().map(|pid| pid.as_raw_nonzero().to_string()).collect();
        say(format_args!(
            "kworker: {} is reported, but goes on: it has changed its user, so that it cannot be ended from here: process {}",
            shown(&process.attempt.name),
            left.join(", ")
        ));
        process.is_let_go = true;
        self.finish(pid);
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
