//! After each operation: do the hub and the model say the same?

use std::collections::BTreeSet;

use dhub::engine::message::Phase;
use dhub::engine::scheduler::State;

use crate::WORKERS;
use crate::both::Both;
use crate::common::{STATES, called};
use crate::model::{Task, has_id};

impl Both {
    /// The hub and the model say the same of every task, and of all of them.
    pub fn compare(&self) {
        let states = self.model.states();
        let urgent = self.model.urgent();
        let mut missing: BTreeSet<&str> = BTreeSet::new();
        for (name, task) in &self.model.tasks {
            let state = states[name];
            assert_eq!(self.hub.state(name), Some(state), "{name}");
            if state == State::Waiting {
                let unknown = task.needs.iter().filter(|need| !states.contains_key(*need));
                missing.extend(unknown.map(|need| &**need));
            }
            match self.hub.scheduler.find(name) {
                Some(known) => {
                    assert_eq!(known.attempt, task.attempt, "{name}");
                    let counters = (known.failures, known.reclaims);
                    assert_eq!(counters, (task.failures, task.reclaims), "{name}");
                    let is_urgent = state.is_finished() || known.effective == urgent[name];
                    assert!(is_urgent, "{name}: {known:?}, expected {}", urgent[name]);
                }
                None => assert!(state.is_finished(), "{name} is {state:?}, and not in memory"),
            }
        }
        let counts = self.hub.scheduler.counts();
        for state in STATES.into_iter().filter(|&state| state != State::Missing) {
            let count = states.values().filter(|of| **of == state).count() as u64;
            assert_eq!(counts.of(state), count, "{state:?}");
        }
        assert_eq!(self.hub.scheduler.phase(), self.model.phase(&states));

        // Each running task has one lease, of the one who holds it.
        let mut running: Vec<(String, usize)> = Vec::new();
        for (task, worker, ..) in self.hub.scheduler.running(self.hub.now) {
            let worker = self.hub.scheduler.worker(worker).expect("a known worker");
            let of = WORKERS.iter().position(|name| **name == *called(&worker.who));
            running.push((task.name.to_string(), of.expect("one of ours")));
        }
        running.sort();
        let held = self.model.tasks.iter().filter(|(_, task)| task.held.is_some());
        let held: Vec<_> =
            held.map(|(name, task)| (name.clone(), task.holder.expect("a holder"))).collect();
        assert_eq!(running, held);
        let leases: usize =
            self.hub.scheduler.workers().map(|(_, worker)| worker.leases.len()).sum();
        assert_eq!(leases, held.len());

        // Nobody hungry waits beside a ready task, or for nothing.
        let hungry: Vec<_> =
            self.model.parked.values().filter(|(_, steal, _)| steal.n > 0).collect();
        let ready = self.model.tasks.iter().filter(|(name, _)| states[*name] == State::Ready);
        let (alone, others): (Vec<_>, Vec<_>) = ready.partition(|(_, task)| task.is_tried_alone());
        let held = |worker: usize| {
            let tasks = self.model.tasks.values();
            tasks.filter(move |it| it.held.is_some() && it.holder == Some(worker))
        };
        // What is tried alone waits for somebody who holds nothing, who gets nothing else then. Who makes room for it
        // is one of those that hold something, as `note_room` has it.
        let room = self.model.last_try_is_first();
        let may_have = |worker: usize| match has_id(worker) {
            true if room && self.model.could_make_room(worker) => false,
            true if held(worker).any(Task::is_tried_alone) => false,
            true if held(worker).next().is_some() => !others.is_empty(),
            _ => !others.is_empty() || !alone.is_empty(),
        };
        if let Some((worker, ..)) = hungry.iter().find(|(worker, ..)| may_have(*worker)) {
            panic!("{} waits beside a ready task", WORKERS[*worker]);
        }
        if matches!(self.hub.scheduler.phase(), Phase::Stuck | Phase::Finished) {
            assert!(hungry.iter().all(|(_, steal, _)| steal.stay), "{hungry:?} wait for nothing");
        }
        let known: BTreeSet<&str> = self.hub.scheduler.missing().map(|task| &*task.name).collect();
        assert!(known.is_superset(&missing), "{known:?}, expected {missing:?}");
    }

    /// Once all is committed, memory holds unfinished tasks only, and the names that they wait for.
    pub fn compare_committed(&mut self) {
        self.hub.commit();
        let states = self.model.states();
        let open = states.values().filter(|state| !state.is_finished()).count();
        let missing = self.hub.scheduler.counts().of(State::Missing) as usize;
        assert_eq!(self.hub.scheduler.tasks_from(0).count(), open + missing);
        assert_eq!(self.hub.scheduler.missing().count(), missing);
        let waits = |name: &str| {
            self.model
                .tasks
                .iter()
                .any(|(of, task)| states[of] == State::Waiting && task.needs.contains(name))
        };
        assert!(self.hub.scheduler.missing().all(|task| waits(&task.name)));
    }
}
