//! Requests that wait for some of the tasks that they name.

use std::collections::{BTreeSet, HashSet};

use hashbrown::HashMap;

use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;
use crate::engine::scheduler::state::slot::Slot;

pub struct Awaited {
    pub ticket: Ticket,
    pub until: Millis,
    pub output: bool,
    /// None of them was finished when it came.
    pub tasks: Vec<Slot>,
}

#[derive(Default)]
pub struct Awaiting {
    requests: HashMap<u64, Awaited>,
    /// Of each task those that wait for it.
    by_task: BTreeSet<(Slot, u64)>,
    deadlines: BTreeSet<(Millis, u64)>,
    /// Those of which some task is finished now, in the order of their arrival.
    met: BTreeSet<u64>,
    names: usize,
    sequence: u64,
}

impl Awaiting {
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Names that are waited for.
    pub fn names(&self) -> usize {
        self.names
    }

    pub fn deadline(&self) -> Option<Millis> {
        self.deadlines.first().map(|&(until, _)| until)
    }

    pub fn finished(&mut self, task: Slot) {
        // Most tasks are waited for by nobody.
        if !self.by_task.is_empty() {
            let waiting = self.by_task.range((task, 0)..=(task, u64::MAX));
            self.met.extend(waiting.map(|&(_, key)| key));
        }
    }

    pub fn insert(&mut self, request: Awaited) {
        self.sequence += 1;
        let key = self.sequence;
        self.by_task.extend(request.tasks.iter().map(|&task| (task, key)));
        self.names += request.tasks.len();
        self.deadlines.insert((request.until, key));
        self.requests.insert(key, request);
    }

    fn take_met(&mut self) -> Option<Awaited> {
        let key = self.met.pop_first()?;
        self.take(key)
    }

    fn take_due(&mut self, now: Millis) -> Option<Awaited> {
        let &(until, key) = self.deadlines.first()?;
        (until <= now).then(|| self.take(key)).flatten()
    }

    pub fn forget(&mut self, tickets: &HashSet<Ticket>) -> Vec<Ticket> {
        let forgotten = self.requests.iter().filter(|(_, it)| tickets.contains(&it.ticket));
        let keys: Vec<u64> = forgotten.map(|(&key, _)| key).collect();
        keys.into_iter().filter_map(|key| self.take(key)).map(|it| it.ticket).collect()
    }

    fn take(&mut self, key: u64) -> Option<Awaited> {
        let request = self.requests.remove(&key)?;
        self.deadlines.remove(&(request.until, key));
        self.met.remove(&key);
        self.names -= request.tasks.len();
        for &task in &request.tasks {
            self.by_task.remove(&(task, key));
        }
        Some(request)
    }
}

impl Scheduler {
    /// In the command that finishes a task: it is still in memory.
    pub(crate) fn answer_awaiting(&mut self, now: Millis) {
        while let Some(request) = self.awaiting.take_met().or_else(|| self.awaiting.take_due(now)) {
            let tasks = request.tasks.iter().map(|&slot| self.tasks.get(slot));
            let finished = tasks.filter(|task| task.state.is_finished());
            let finished = finished.map(|task| task.name.clone()).collect();
            let (unknown, output) = (Vec::new(), request.output);
            self.answer(request.ticket, Answer::Awaited { finished, unknown, output });
        }
    }
}
