//! What people ask about the hub itself: rates, commit times, loads of the workers.

use std::collections::{HashMap, VecDeque};

use dhub_proto::wire;

use crate::engine::message::{Load, Millis, WorkerId};
use crate::engine::scheduler::Scheduler;

/// The rate that is shown is that of the last ten seconds.
const RATE_MS: u64 = 10_000;
const SAMPLE_MS: u64 = 500;
const COMMITS: usize = 64;
/// Loads of workers that are forgotten by now, until they are looked through.
const STALE_LOADS_MAX: usize = 1_000;
/// Of all loads; with more, what guests' workers say of themselves is not kept.
const LOADS_BYTES_MAX: usize = 32 << 20;

pub struct Monitor {
    started: Millis,
    done_at_start: u64,
    /// Time and number of tasks done.
    done: VecDeque<(Millis, u64)>,
    commits_us: VecDeque<u64>,
    loads: HashMap<WorkerId, Load>,
    loads_bytes: usize,
}

impl Monitor {
    pub fn new(now: Millis, done: u64) -> Self {
        Self {
            started: now,
            done_at_start: done,
            done: VecDeque::from([(now, done)]),
            commits_us: VecDeque::new(),
            loads: HashMap::new(),
            loads_bytes: 0,
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
        let before = self.loads.get(&worker).map_or(0, Load::bytes);
        let bytes = self.loads_bytes - before + load.bytes();
        let is_guest = scheduler.worker(worker).is_some_and(|it| !it.who.is_owner());
        if bytes > LOADS_BYTES_MAX && is_guest {
            return;
        }
        self.loads_bytes = bytes;
        self.loads.insert(worker, load);
    }

    pub fn load(&self, worker: WorkerId) -> Option<&Load> {
        self.loads.get(&worker)
    }

    /// Workers that the scheduler forgot are forgotten here.
    pub fn keep_loads(&mut self, is_known: impl Fn(WorkerId) -> bool) {
        self.loads.retain(|&worker, _| is_known(worker));
        self.loads_bytes = self.loads.values().map(Load::bytes).sum();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::message::Who;
    use crate::engine::scheduler::Config;

    #[test]
    fn what_guests_workers_say_of_themselves_is_bounded_and_the_owners_are_heard() {
        let mut scheduler = Scheduler::new(Config::least());
        let who =
            |name: &str, key: &str| Who { name: name.into(), key: key.into(), ..Who::default() };
        let load = || Load { note: "n".repeat(1 << 20), ..Load::default() };
        let mut monitor = Monitor::new(0, 0);
        for id in 1..=40 {
            scheduler.restore_worker(0, id, who(&format!("guest{id}"), "lab#01"));
            // Again and again, which takes no more.
            (0..3).for_each(|_| monitor.note_load(id, load(), &scheduler));
        }
        let heard = (1..=40).filter(|&id| monitor.load(id).is_some()).count();
        assert_eq!(heard, 31);
        scheduler.restore_worker(0, 41, who("mine", ""));
        monitor.note_load(41, load(), &scheduler);
        assert!(monitor.load(41).is_some());
        monitor.keep_loads(|id| id > 30);
        monitor.note_load(40, load(), &scheduler);
        assert!(monitor.load(40).is_some(), "there is room again");
    }
}
