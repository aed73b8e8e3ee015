//! Steer: finds the workers of the names given, and tells them.

use std::collections::HashSet;

use dhub_proto::limits::PAGE_WORKERS_MAX;
use wildmatch::WildMatch;

use super::{SLICE, Step};
use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;

pub struct SteerJob {
    order: Order,
    /// As they were given, and those of them that some worker has.
    asked: Vec<Name>,
    found: HashSet<Name>,
    /// Those that stand for many.
    patterns: Vec<(Name, WildMatch)>,
    after: WorkerId,
    told: Vec<Name>,
    told_total: u64,
}

impl SteerJob {
    pub fn new(asked: Vec<Name>, order: Order) -> Self {
        let is_pattern = |name: &&Name| name.contains(['*', '?']);
        let pattern = |name: &Name| (name.clone(), WildMatch::new(name));
        let patterns = asked.iter().filter(is_pattern).map(pattern).collect();
        let (found, told) = (HashSet::new(), Vec::new());
        Self { order, asked, found, patterns, after: 0, told, told_total: 0 }
    }

    pub fn step(&mut self, scheduler: &Scheduler) -> Step {
        let named: HashSet<&Name> = self.asked.iter().collect();
        // Each worker is compared with each pattern.
        let slice = (10 * SLICE / (1 + self.patterns.len())).max(1);
        let (mut workers, mut looked_at) = (Vec::new(), 0);
        for (id, worker) in scheduler.workers_after(self.after).take(slice) {
            looked_at += 1;
            self.after = id;
            if worker.left {
                continue;
            }
            let name = &worker.who.name;
            let mut matches = named.contains(name);
            if matches {
                self.found.insert(name.clone());
            }
            for (pattern, _) in self.patterns.iter().filter(|(_, pattern)| pattern.matches(name)) {
                matches = true;
                if !self.found.contains(pattern) {
                    self.found.insert(pattern.clone());
                }
            }
            if matches {
                workers.push(id);
                self.told_total += 1;
                if self.told.len() < PAGE_WORKERS_MAX {
                    self.told.push(name.clone());
                }
            }
        }
        match (workers.is_empty(), looked_at == slice) {
            (false, _) => Step::Apply(Body::Steer { workers, order: self.order }),
            (true, true) => Step::Again,
            (true, false) => self.end(),
        }
    }

    fn end(&mut self) -> Step {
        let unknown = self.asked.iter().filter(|name| !self.found.contains(*name));
        Step::Done(Box::new(Answer::Told {
            workers: std::mem::take(&mut self.told),
            total: self.told_total,
            unknown: unknown.cloned().collect(),
        }))
    }
}
