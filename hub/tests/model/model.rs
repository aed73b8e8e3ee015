//! The model: what was said and done to each task, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};

use dhub::engine::message::*;
use dhub::engine::scheduler::State;

use crate::common::{LEASE_MS, WORKER_TIMEOUT_MS, who};
use crate::{SLOTS, WORKERS, may_act};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newest {
    Void,
    Held,
    Reclaimed,
    Failed,
}

#[derive(Clone, Debug)]
pub struct Held {
    pub number: u64,
    pub expires: Millis,
    pub term: u64,
    /// A heartbeat said so, or its worker has a slot for it.
    pub started: bool,
    pub has_slot: bool,
    /// Its place in the order in which leases were given out; 0: before the hub started.
    pub order: usize,
}

#[derive(Clone, Debug)]
pub struct Task {
    pub needs: BTreeSet<String>,
    pub definition: u64,
    pub priority: i32,
    pub retries: u32,
    pub attempt: u32,
    pub failures: u32,
    pub reclaims: u32,
    pub holder: Option<usize>,
    pub newest: Newest,
    pub held: Option<Held>,
    /// Done, failed or cancelled; the rest follows.
    pub end: Option<State>,
    /// Reclaimed before a person's retry: whether that outcome counts depends on a restart.
    pub vague: bool,
    /// It failed, and is not tried again before.
    pub retry_at: Option<Millis>,
}

#[derive(Default)]
pub struct Model {
    pub tasks: BTreeMap<String, Task>,
    pub now: Millis,
    /// Parked steals: whose, how many, until when, do they stay.
    pub parked: BTreeMap<Ticket, (usize, Steal, Millis)>,
    /// All leases ever given out.
    pub given: Vec<(usize, String, u32)>,
    pub numbers: [u64; WORKERS.len()],
    /// Has stolen, and has been given something.
    pub known: [bool; WORKERS.len()],
    pub stored: [bool; WORKERS.len()],
    /// Whether the hub heard of their slots since it started.
    pub said_slots: [bool; WORKERS.len()],
    pub retry_delay_ms: u64,
    /// As urgent the tasks are until the end of the command under way.
    pub urgent_before: Option<BTreeMap<String, i32>>,
    /// Who wanted more than it was given, and was given nothing since, and since when.
    pub refused: BTreeMap<usize, Millis>,
    /// Who was given something after that, and since when it had not been.
    pub go_on: BTreeMap<usize, Millis>,
}

impl Task {
    pub fn is_tried_alone(&self) -> bool {
        self.reclaims >= 4
    }
}

pub fn has_id(worker: usize) -> bool {
    who(WORKERS[worker]).id.is_some()
}

pub type States = BTreeMap<String, State>;

impl Model {
    /// The state of every task, by definition.
    pub fn states(&self) -> States {
        let mut states = States::new();
        for name in self.tasks.keys() {
            self.state(name, &mut states);
        }
        states
    }

    fn state(&self, name: &str, states: &mut States) -> State {
        if let Some(&state) = states.get(name) {
            return state;
        }
        let Some(task) = self.tasks.get(name) else {
            return State::Missing;
        };
        let state = match task.end {
            Some(end) => end,
            None if task.held.is_some() => State::Running,
            None => {
                // In no cycle, so this ends.
                let needs: Vec<State> =
                    task.needs.iter().map(|need| self.state(need, states)).collect();
                if needs.iter().any(|need| need.is_dead()) {
                    State::Skipped
                } else if needs.iter().any(|&need| need != State::Done) || task.retry_at.is_some() {
                    State::Waiting
                } else {
                    State::Ready
                }
            }
        };
        states.insert(name.to_owned(), state);
        state
    }

    /// Would the tasks, with these added, wait for each other? Counting only unfinished ones or all.
    pub fn has_cycle(&self, added: &BTreeMap<String, BTreeSet<String>>, all: bool) -> bool {
        let states = self.states();
        let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (name, task) in &self.tasks {
            if all || !states[name].is_finished() {
                edges.entry(name).or_default().extend(task.needs.iter().map(|need| &**need));
            }
        }
        for (name, needs) in added {
            edges.entry(name).or_default().extend(needs.iter().map(|need| &**need));
        }
        // Take away what waits for nothing until nothing changes: the rest is in or behind a cycle.
        loop {
            let before = edges.len();
            let names: BTreeSet<&str> = edges.keys().copied().collect();
            edges.retain(|_, needs| needs.iter().any(|need| names.contains(need)));
            if edges.len() == before {
                return before > 0;
            }
        }
    }

    pub fn lease_ended(&mut self, name: &str, newest: Newest) {
        let task = self.tasks.get_mut(name).expect("a task");
        task.held = None;
        task.newest = newest;
    }

    /// What may come of an outcome; true if it is accepted.
    pub fn outcome(&mut self, worker: usize, name: &str, attempt: u32, verdict: Verdict) -> bool {
        let state = self.states().get(name).copied().unwrap_or(State::Missing);
        let Some(task) = self.tasks.get_mut(name) else {
            return false;
        };
        if attempt > task.attempt || (attempt != 0 && attempt < task.attempt) || task.attempt == 0 {
            return false;
        }
        let end = if verdict == Verdict::Done { State::Done } else { State::Failed };
        if state.is_finished() {
            return state == end && task.holder == Some(worker);
        }
        if task.newest == Newest::Void || !task.holder.is_some_and(|it| may_act(worker, it)) {
            return false;
        }
        if task.newest == Newest::Failed {
            return verdict == Verdict::Failed;
        }
        if state == State::Waiting {
            return false;
        }
        let was_held = task.held.take().is_some();
        match verdict {
            Verdict::Done => task.end = Some(State::Done),
            Verdict::Failed => {
                task.failures += 1;
                task.reclaims = 0;
                task.newest = Newest::Failed;
                if task.failures > task.retries {
                    task.end = Some(State::Failed);
                } else if was_held && self.retry_delay_ms > 0 {
                    let delay_ms = self.retry_delay_ms << (task.failures - 1);
                    task.retry_at = Some(self.now + delay_ms);
                }
            }
        }
        true
    }

    pub fn tick(&mut self) {
        for task in self.tasks.values_mut() {
            task.retry_at = task.retry_at.filter(|&at| at > self.now);
            let Some(held) = &task.held else { continue };
            if held.expires <= self.now {
                task.reclaims += u32::from(held.started || held.has_slot);
                task.held = None;
                task.newest = Newest::Reclaimed;
                if task.reclaims >= 5 {
                    task.end = Some(State::Failed);
                }
            }
        }
    }

    /// A steal was answered: everything in it must be allowed.
    pub fn stolen(&mut self, worker: usize, steal: &Steal, stolen: &Stolen, looks: bool) {
        assert!(stolen.leases.len() <= steal.n as usize);
        let mut lowest = i32::MAX;
        let urgent = self.urgent();
        let held = self.tasks.values().filter(|it| it.held.is_some() && it.holder == Some(worker));
        let mut is_busy = held.clone().next().is_some();
        let mut tries_alone = held.clone().any(Task::is_tried_alone);
        self.stored[worker] |= !stolen.leases.is_empty();
        for lease in &stolen.leases {
            let states = self.states();
            let task = self.tasks.get_mut(&*lease.name).expect("a known task");
            if task.attempt == lease.attempt {
                let held = task.held.as_ref().expect("a repeat of a lease that is held");
                assert_eq!((task.holder, held.number), (Some(worker), steal.number));
                continue;
            }
            assert_eq!(states[&*lease.name], State::Ready, "{} was given out", lease.name);
            self.assert_room(worker);
            if let Some(since) = self.refused.remove(&worker) {
                self.go_on.insert(worker, since);
            }
            let task = self.tasks.get_mut(&*lease.name).expect("a known task");
            assert_eq!(lease.attempt, task.attempt + 1);
            assert!(urgent[&*lease.name] <= lowest, "{} comes late", lease.name);
            lowest = urgent[&*lease.name];
            if has_id(worker) {
                assert!(!tries_alone, "{} is given to who tries another alone", lease.name);
                tries_alone = task.is_tried_alone();
                assert!(!tries_alone || !is_busy, "{} is not tried alone", lease.name);
            }
            is_busy = true;
            task.attempt += 1;
            task.holder = Some(worker);
            task.newest = Newest::Held;
            task.vague = false;
            let term = if who(WORKERS[worker]).id.is_some() { WORKER_TIMEOUT_MS } else { LEASE_MS };
            assert_eq!(lease.term_ms, term);
            let (number, expires) = (steal.number, self.now + term);
            let (started, has_slot, order) = (false, false, 1 + self.given.len());
            task.held = Some(Held { number, expires, term, started, has_slot, order });
            self.given.push((worker, lease.name.to_string(), lease.attempt));
        }
        if stolen.fresh && looks {
            self.said_slots[worker] = true;
            self.fill_slots(worker);
            if stolen.leases.len() < steal.n as usize {
                self.is_refused(worker);
            }
        }
        // Nothing better may be left.
        if lowest < i32::MAX {
            let states = self.states();
            let ready = self.tasks.iter().filter(|(name, _)| states[*name] == State::Ready);
            for (name, _) in ready.filter(|(_, task)| !(has_id(worker) && task.is_tried_alone())) {
                assert!(urgent[name] <= lowest, "{name} was passed over");
            }
        }
    }

    /// The oldest of what a worker holds is what it runs.
    pub fn fill_slots(&mut self, worker: usize) {
        let slots = if self.said_slots[worker] { SLOTS[worker] } else { 0 };
        let tasks = self.tasks.values_mut().filter(|task| task.holder == Some(worker));
        let mut held: Vec<&mut Held> = tasks.filter_map(|task| task.held.as_mut()).collect();
        held.sort_unstable_by_key(|held| held.order);
        let takes_one = |held: &Held| held.has_slot || held.order == 0;
        let taken = held.iter().filter(|held| takes_one(held)).count();
        let next = held.into_iter().filter(|held| !takes_one(held));
        next.take((slots as usize).saturating_sub(taken)).for_each(|held| held.has_slot = true);
    }

    /// The larger of each task's own priority and those of all unfinished ones that need it.
    pub fn urgent(&self) -> BTreeMap<String, i32> {
        if let Some(before) = &self.urgent_before {
            return before.clone();
        }
        let states = self.states();
        let open = |name: &String| !states[name].is_finished();
        let own = |(name, task): (&String, &Task)| (name.clone(), task.priority);
        let mut urgent: BTreeMap<String, i32> = self.tasks.iter().map(own).collect();
        loop {
            let before = urgent.clone();
            for (name, task) in self.tasks.iter().filter(|(name, _)| open(name)) {
                for need in task.needs.iter().filter(|need| states.contains_key(*need)) {
                    let most = before[name].max(urgent[need]);
                    urgent.insert(need.clone(), most);
                }
            }
            if urgent == before {
                return urgent;
            }
        }
    }

    fn is_putting_off(&self, states: &States) -> bool {
        let mut tasks = self.tasks.iter();
        tasks.any(|(name, task)| states[name] == State::Waiting && task.retry_at.is_some())
    }

    /// What has others to wait for does not wait for its next try besides.
    pub fn wait_for_others(&mut self) {
        let states = self.states();
        let open = |need: &String| states.get(need) != Some(&State::Done);
        for task in self.tasks.values_mut().filter(|task| task.needs.iter().any(open)) {
            task.retry_at = None;
        }
    }

    pub fn phase(&self, states: &States) -> Phase {
        let any = |wanted: &[State]| states.values().any(|state| wanted.contains(state));
        if states.is_empty() {
            Phase::Empty
        } else if any(&[State::Ready, State::Running]) || self.is_putting_off(states) {
            Phase::Active
        } else if any(&[State::Waiting]) {
            Phase::Stuck
        } else {
            Phase::Finished
        }
    }
}
