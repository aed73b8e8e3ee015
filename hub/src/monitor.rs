//! What people ask about the hub itself: rates, commit times, loads of the workers.

use std::collections::{HashMap, VecDeque};

use dhub_proto::wire;

use crate::convert::Load;
use crate::scheduler::Scheduler;
use crate::scheduler::message::{Millis, WorkerId};

/// The rate that is shown is that of the last ten seconds.
const RATE_MS: u64 = 10_000;
const SAMPLE_MS: u64 = 500;
const COMMITS: usize = 64;
/// Loads of workers that are forgotten by now, until they are looked through.
const STALE_LOADS_MAX: usize = 1_000;

pub struct Monitor {
    started: Millis,
    done_at_start: u64,
    /// Time and number of tasks done.
    done: VecDeque<(Millis, u64)>,
    commits_us: VecDeque<u64>,
    loads: HashMap<WorkerId, Load>,
}

impl Monitor {
    pub fn new(now: Millis, done: u64) -> Self {
        Self {
            started: now,
            done_at_start: done,
            done: VecDeque::from([(now, done)]),
            commits_us: VecDeque::new(),
            loads: HashMap::new(),
        }
    }

    pub fn note_done(&mut self, now: Millis, done: u64) {
        if self.done.back().is_some_and(|&(at, _)| now < at + SAMPLE_MS) {
            return;
        }
        self.done.push_back((now, done));
        while self.done.len() > 2 && self.done.front().is_some_and(|&(at, _)| at + RATE_MS < now) {
            self.done.pop_front();
        }
    }

    pub fn note_commit(&mut self, us: u64) {
        if self.commits_us.len() == COMMITS {
            self.commits_us.pop_front();
        }
        self.commits_us.push_back(us);
    }

    pub fn note_load(&mut self, worker: WorkerId, load: Load, scheduler: &Scheduler) {
        if self.loads.len() > scheduler.workers_known() + STALE_LOADS_MAX {
            self.keep_loads(|id| scheduler.worker(id).is_some());
        }
        self.loads.insert(worker, load);
    }

    pub fn load(&self, worker: WorkerId) -> Option<&Load> {
        self.loads.get(&worker)
    }

    /// Workers that the scheduler forgot are forgotten here.
    pub fn keep_loads(&mut self, is_known: impl Fn(WorkerId) -> bool) {
        self.loads.retain(|&worker, _| is_known(worker));
    }

    pub fn uptime_ms(&self, now: Millis) -> u64 {
        now - self.started
    }

    /// Tasks done a second, lately.
    pub fn rate(&self, now: Millis, done: u64) -> f64 {
        self.done.front().map_or(0.0, |&(at, before)| per_second(done, before, now, at))
    }

    /// Tasks done a second, since the start.
    pub fn rate_overall(&self, now: Millis, done: u64) -> f64 {
        per_second(done, self.done_at_start, now, self.started)
    }

    /// Median of the last commits.
    pub fn commit_us(&self) -> u64 {
        let mut sorted: Vec<u64> = self.commits_us.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or(0)
    }
}

fn per_second(done: u64, before: u64, now: Millis, at: Millis) -> f64 {
    let ms = now.saturating_sub(at);
    if ms == 0 { 0.0 } else { done.saturating_sub(before) as f64 * 1000.0 / ms as f64 }
}

/// Equal reasons together, the most frequent first.
pub fn group_failures(rows: Vec<crate::store::FailureRow>) -> Vec<wire::FailureGroup> {
    let mut groups: Vec<wire::FailureGroup> = Vec::new();
    let mut index: HashMap<String, usize> = HashMap::new();
    for row in rows {
        let reason = match row.reason.as_str() {
            "" => format!("exit {}", row.exit_code),
            reason => reason.to_owned(),
        };
        let at = *index.entry(reason.clone()).or_insert_with(|| {
            groups.push(wire::FailureGroup { reason, count: 0, names: Vec::new() });
            groups.len() - 1
        });
        groups[at].count += 1;
        if groups[at].names.len() < 3 {
            groups[at].names.push(row.name);
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    groups.truncate(10);
    groups
}
