//! When a pool stops stealing by itself: its time is over, it has nothing to do, it has done
//! enough, or tasks fail here as they do on a machine that is broken.

use std::collections::HashSet;

use super::*;
use crate::codes::Codes;
use crate::halt::Halt;

/// A failure within this time counts as one at once: what a missing library, directory or disk
/// makes of a task. Whoever fails later has at least got somewhere.
pub const AT_ONCE: Duration = Duration::from_secs(1);

/// What people allow; nothing is limited by default.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    pub time: Option<TimeLimit>,
    pub idle: Option<Duration>,
    pub tasks: Option<u64>,
    pub failures_in_a_row: Option<usize>,
    pub halt: Option<Halt>,
    /// Failures with other exit codes are final.
    pub retry_on: Option<Codes>,
}

/// The end of a pool, and what comes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLimit {
    /// What still runs is asked to stop.
    pub stop_at: Instant,
    /// What still runs is killed, and given back.
    pub kill_at: Instant,
}

impl TimeLimit {
    /// Tasks get their grace, and the hub a moment to hear of it, before that much time is over.
    pub fn new(after: Duration, now: Instant) -> Option<Self> {
        const GRACE: Duration = crate::process::GRACE;
        const FAREWELL: Duration = Duration::from_secs(2);
        let grace = GRACE.min(after / 5);
        let farewell = FAREWELL.min(after / 10);
        let kill_at = now.checked_add(after - farewell)?;
        Some(Self { stop_at: kill_at - grace, kill_at })
    }
}

/// Why a pool stops stealing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reached {
    /// What would be stolen now would not end in time.
    Time,
    Idle(Duration),
    Tasks(u64),
    Failures(usize),
    /// So many tasks failed here.
    Halt(usize, Halt),
}

/// How far it is to the limits.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    pub started: u64,
    idle_since: Option<Instant>,
    /// Tasks that failed at once, since one did not. Each counts once, however often it is tried.
    failing: HashSet<String>,
    /// Tasks that failed here and were not done here since; known only if that can halt the pool.
    failed: HashSet<String>,
    stopping: bool,
}

impl Gauge {
    pub fn begins(&mut self) {
        self.started += 1;
        self.idle_since = None;
    }
}

impl Pool {
    /// Looks whether a limit is reached; if so, drains, and says which. Once.
    pub fn reach(&mut self, now: Instant) -> Option<Reached> {
        if !self.running.is_empty() || !self.queue.is_empty() {
            self.gauge.idle_since = None;
        } else if self.limits.idle.is_some() {
            self.gauge.idle_since.get_or_insert(now);
        }
        if self.draining {
            return None;
        }
        let failures = self.gauge.failing.len();
        let halt = self
            .limits
            .halt
            .filter(|halt| halt.is_due(self.gauge.failed.len() as u64, self.tally.done));
        let reached = if let Some(halt) = halt {
            Reached::Halt(self.gauge.failed.len(), halt)
        } else if self.limits.failures_in_a_row.is_some_and(|max| failures >= max) {
            Reached::Failures(failures)
        } else if let Some(max) = self.limits.tasks.filter(|&max| self.gauge.started >= max) {
            Reached::Tasks(max)
        } else if self.last_steal_at().is_some_and(|at| at <= now) {
            Reached::Time
        } else {
            Reached::Idle(self.limits.idle.filter(|_| self.idle_at().is_some_and(|at| at <= now))?)
        };
        self.drain();
        if let Reached::Halt(_, Halt { now: true, .. }) = reached {
            self.stop_running();
        }
        Some(reached)
    }

    /// Asks what still runs to stop; it is given back. Once.
    fn stop_running(&mut self) {
        if !std::mem::replace(&mut self.gauge.stopping, true) {
            let running = self.running.iter().filter(|(_, running)| !running.lost);
            let stops = running.map(|(name, _)| StopTask { name: name.clone(), at_once: false });
            self.stops.extend(stops);
        }
    }

    /// The time is nearly over: asks what still runs to stop. True, once, when it has to be killed.
    pub fn stop_in_time(&mut self, now: Instant) -> bool {
        let Some(limit) = self.limits.time else { return false };
        if limit.stop_at <= now {
            self.stop_running();
        }
        limit.kill_at <= now && !self.running.is_empty() && !self.abandoned
    }

    /// When `reach` or `stop_in_time` have something to do.
    pub fn next_limit_at(&self, now: Instant) -> Option<Instant> {
        let limit = self.limits.time;
        let times = [
            self.idle_at().filter(|_| !self.draining),
            self.last_steal_at().filter(|_| !self.draining),
            limit.map(|limit| limit.stop_at),
            limit.map(|limit| limit.kill_at),
        ];
        times.into_iter().flatten().filter(|&at| at > now).min()
    }

    fn idle_at(&self) -> Option<Instant> {
        self.gauge.idle_since?.checked_add(self.limits.idle?)
    }

    /// What starts later would, going by the others, not end in time.
    fn last_steal_at(&self) -> Option<Instant> {
        let limit = self.limits.time?;
        Some(limit.stop_at.checked_sub(self.pace.likely_length()).unwrap_or(limit.stop_at))
    }

    /// How many tasks may still start.
    pub(super) fn startable(&self) -> usize {
        let left = self.limits.tasks.map(|max| max.saturating_sub(self.gauge.started));
        left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX))
    }

    /// A task ended by itself after that time.
    pub(super) fn judge(&mut self, outcome: &mut Outcome, ran: Duration) {
        if outcome.result() == Verdict::Done || ran >= AT_ONCE {
            self.gauge.failing.clear();
        } else if self.limits.failures_in_a_row.is_some_and(|max| self.gauge.failing.len() < max) {
            self.gauge.failing.insert(outcome.name.clone());
        }
        if self.limits.halt.is_some() {
            match outcome.result() {
                Verdict::Done => self.gauge.failed.remove(&outcome.name),
                _ => self.gauge.failed.insert(outcome.name.clone()),
            };
        }
        if let Some(codes) = &self.limits.retry_on {
            outcome.r#final =
                outcome.result() != Verdict::Done && !codes.contains(outcome.exit_code);
        }
    }
}
