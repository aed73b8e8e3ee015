//! Random operations on the hub and on a model of it that is too simple to be wrong.
//!
//! The model keeps what was said and done to each task and works out the rest by definition, from
//! scratch each time: a task is skipped if something it needs can never be done, waits if something
//! is not done yet, and is ready otherwise. Which of the ready tasks a steal gets is the hub's
//! choice; the model checks that it was allowed.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::*;
use dhub::convert::definition;
use dhub::scheduler::State;
use dhub::scheduler::message::*;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

const NAMES: usize = 12;
const WORKERS: [&str; 4] = ["w0", "w1", "h0", "h1"];

fn name(i: usize) -> String {
    format!("t{i}")
}

// --- operations ------------------------------------------------------------------------------

/// What a task of this name is, if nobody says otherwise.
#[derive(Clone, Debug)]
struct Definition {
    needs: BTreeSet<usize>,
    priority: i32,
    retries: u32,
}

#[derive(Clone, Debug)]
enum Op {
    Create(BTreeSet<usize>),
    /// With a further dependency that its definition does not have.
    CreateOther(usize, usize),
    Merge(usize, BTreeSet<usize>),
    Steal {
        worker: usize,
        n: u32,
        wait: bool,
        stay: bool,
    },
    Repeat {
        worker: usize,
    },
    /// Whose, which of the leases ever given out, and how it ended.
    Outcome {
        worker: usize,
        lease: usize,
        zero: bool,
        verdict: Verdict,
        want: u32,
    },
    /// As before, by the worker that holds it.
    HolderOutcome {
        lease: usize,
        verdict: Verdict,
    },
    Release {
        worker: usize,
        lease: usize,
    },
    Heartbeat {
        worker: usize,
        started: bool,
    },
    Undelivered {
        lease: usize,
    },
    Exit {
        worker: usize,
    },
    Cancel(usize),
    Retry {
        names: Vec<usize>,
        done: bool,
    },
    /// Those that failed or were cancelled, by their place among them.
    RetryDead(Vec<usize>),
    Advance {
        s: u64,
    },
    Pause {
        s: u64,
    },
    Commit,
    Restart,
}

fn definitions() -> impl Strategy<Value = Vec<Definition>> {
    // Mostly on earlier names; in some cases on later ones too, for cycles.
    prop_oneof![3 => Just(0u32), 1 => Just(1)].prop_flat_map(|cycles| {
        let one = |i: usize| {
            let need = prop_oneof![8 => 0..NAMES.min(i + 1), cycles => 0..NAMES];
            let needs = prop::collection::btree_set(need, 0..4);
            let priority = prop_oneof![3 => Just(0), 1 => -1..3i32];
            let retries = prop_oneof![2 => Just(0u32), 1 => 0..3u32];
            (needs, priority, retries).prop_map(move |(mut needs, priority, retries)| {
                needs.remove(&i);
                Definition { needs, priority, retries }
            })
        };
        (0..NAMES).map(one).collect::<Vec<_>>()
    })
}

fn op() -> impl Strategy<Value = Op> {
    let names = || prop::collection::btree_set(0..NAMES, 1..6);
    let (task, worker, lease) = (0..NAMES, 0..WORKERS.len(), 0..64usize);
    let verdict = || prop_oneof![3 => Just(Verdict::Done), 2 => Just(Verdict::Failed)];
    prop_oneof![
        6 => names().prop_map(Op::Create),
        1 => (task.clone(), task.clone()).prop_map(|(a, b)| Op::CreateOther(a, b)),
        1 => (task.clone(), prop::collection::btree_set(0..NAMES, 0..3))
            .prop_map(|(a, needs)| Op::Merge(a, needs)),
        8 => (worker.clone(), 0..4u32, any::<bool>(), any::<bool>())
            .prop_map(|(worker, n, wait, stay)| Op::Steal { worker, n, wait, stay }),
        2 => worker.clone().prop_map(|worker| Op::Repeat { worker }),
        2 => (worker.clone(), lease.clone(), any::<bool>(), verdict(), 0..3u32).prop_map(
            |(worker, lease, zero, verdict, want)| {
                Op::Outcome { worker, lease, zero, verdict, want }
            }
        ),
        8 => (lease.clone(), verdict())
            .prop_map(|(lease, verdict)| Op::HolderOutcome { lease, verdict }),
        1 => (worker.clone(), lease.clone())
            .prop_map(|(worker, lease)| Op::Release { worker, lease }),
        3 => (worker.clone(), any::<bool>())
            .prop_map(|(worker, started)| Op::Heartbeat { worker, started }),
        1 => lease.prop_map(|lease| Op::Undelivered { lease }),
        1 => worker.prop_map(|worker| Op::Exit { worker }),
        2 => task.clone().prop_map(Op::Cancel),
        4 => prop::collection::vec(0..NAMES, 1..3).prop_map(Op::RetryDead),
        1 => (prop::collection::vec(0..NAMES, 1..3), prop::bool::weighted(0.2))
            .prop_map(|(names, done)| Op::Retry { names, done }),
        3 => (1..45u64).prop_map(|s| Op::Advance { s }),
        1 => (3..100u64).prop_map(|s| Op::Pause { s }),
        4 => Just(Op::Commit),
        1 => Just(Op::Restart),
    ]
}

// --- the model -------------------------------------------------------------------------------

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Newest {
    Void,
    Held,
    Reclaimed,
    Failed,
}

#[derive(Clone, Debug)]
struct Held {
    number: u64,
    expires: Millis,
    term: u64,
    started: bool,
}

#[derive(Clone, Debug)]
struct Task {
    needs: BTreeSet<String>,
    definition: u64,
    priority: i32,
    retries: u32,
    attempt: u32,
    failures: u32,
    reclaims: u32,
    holder: Option<usize>,
    newest: Newest,
    held: Option<Held>,
    /// Done, failed or cancelled; the rest follows.
    end: Option<State>,
    /// Reclaimed before a person's retry: whether that outcome counts depends on a restart.
    vague: bool,
}

#[derive(Default)]
struct Model {
    tasks: BTreeMap<String, Task>,
    now: Millis,
    /// Parked steals: whose, how many, until when, do they stay.
    parked: BTreeMap<Ticket, (usize, Steal, Millis)>,
    /// All leases ever given out.
    given: Vec<(usize, String, u32)>,
    numbers: [u64; WORKERS.len()],
    known: [bool; WORKERS.len()],
}

type States = BTreeMap<String, State>;

impl Model {
    /// The state of every task, by definition.
    fn states(&self) -> States {
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
                } else if needs.iter().any(|&need| need != State::Done) {
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
    fn has_cycle(&self, added: &BTreeMap<String, BTreeSet<String>>, all: bool) -> bool {
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

    fn lease_ended(&mut self, name: &str, newest: Newest) {
        let task = self.tasks.get_mut(name).expect("a task");
        task.held = None;
        task.newest = newest;
    }

    /// What may come of an outcome; true if it is accepted.
    fn outcome(&mut self, worker: usize, name: &str, attempt: u32, verdict: Verdict) -> bool {
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
        if task.newest == Newest::Void || task.holder != Some(worker) {
            return false;
        }
        if task.newest == Newest::Failed {
            return verdict == Verdict::Failed;
        }
        if state == State::Waiting {
            return false;
        }
        task.held = None;
        match verdict {
            Verdict::Done => task.end = Some(State::Done),
            Verdict::Failed => {
                task.failures += 1;
                task.reclaims = 0;
                task.newest = Newest::Failed;
                if task.failures > task.retries {
                    task.end = Some(State::Failed);
                }
            }
        }
        true
    }

    fn tick(&mut self) {
        for task in self.tasks.values_mut() {
            let Some(held) = &task.held else { continue };
            if held.expires <= self.now {
                task.reclaims += u32::from(held.started);
                task.held = None;
                task.newest = Newest::Reclaimed;
                if task.reclaims >= 5 {
                    task.end = Some(State::Failed);
                }
            }
        }
    }

    /// A steal was answered: everything in it must be allowed.
    fn stolen(&mut self, worker: usize, steal: &Steal, stolen: &Stolen) {
        assert!(stolen.leases.len() <= steal.n as usize);
        let mut lowest = i32::MAX;
        for lease in &stolen.leases {
            let states = self.states();
            let task = self.tasks.get_mut(&*lease.name).expect("a known task");
            if task.attempt == lease.attempt {
                let held = task.held.as_ref().expect("a repeat of a lease that is held");
                assert_eq!((task.holder, held.number), (Some(worker), steal.number));
                continue;
            }
            assert_eq!(states[&*lease.name], State::Ready, "{} was given out", lease.name);
            assert_eq!(lease.attempt, task.attempt + 1);
            assert!(task.priority <= lowest, "{} comes late", lease.name);
            lowest = task.priority;
            task.attempt += 1;
            task.holder = Some(worker);
            task.newest = Newest::Held;
            task.vague = false;
            let term = if who(WORKERS[worker]).id.is_some() { WORKER_TIMEOUT_MS } else { LEASE_MS };
            assert_eq!(lease.term_ms, term);
            let (number, expires) = (steal.number, self.now + term);
            task.held = Some(Held { number, expires, term, started: false });
            self.given.push((worker, lease.name.to_string(), lease.attempt));
        }
        // Nothing better may be left.
        if lowest < i32::MAX {
            let states = self.states();
            let ready = self.tasks.iter().filter(|(name, _)| states[*name] == State::Ready);
            for (name, task) in ready {
                assert!(task.priority <= lowest, "{name} was passed over");
            }
        }
    }

    fn phase(&self, states: &States) -> Phase {
        let any = |wanted: &[State]| states.values().any(|state| wanted.contains(state));
        if states.is_empty() {
            Phase::Empty
        } else if any(&[State::Ready, State::Running]) {
            Phase::Active
        } else if any(&[State::Waiting]) {
            Phase::Stuck
        } else {
            Phase::Finished
        }
    }
}

// --- both together -----------------------------------------------------------------------------

struct Both {
    hub: Hub,
    model: Model,
    definitions: Vec<Definition>,
}

impl Both {
    fn new(definitions: Vec<Definition>, on_file: bool) -> Self {
        let hub = if on_file { Hub::on_file() } else { Hub::in_memory() };
        let model = Model { now: hub.now, ..Model::default() };
        Self { hub, model, definitions }
    }

    fn new_task(&self, i: usize) -> NewTask {
        let Definition { needs, priority, retries } = &self.definitions[i];
        let needs: Vec<Name> = needs.iter().map(|&need| name(need).into()).collect();
        let definition = definition(&needs, *priority, *retries, None);
        NewTask {
            name: name(i).into(),
            needs,
            definition,
            priority: *priority,
            retries: *retries,
            details: None,
        }
    }

    /// Applies a command, follows all answers, and hands back its own.
    fn ask(&mut self, command: impl FnOnce(Ticket) -> Command) -> Option<Answer> {
        let ticket = self.hub.ticket();
        self.hub.apply(command(ticket));
        self.answers(Some(ticket))
    }

    /// Those that wait are followed; the one asked for comes back.
    fn answers(&mut self, ticket: Option<Ticket>) -> Option<Answer> {
        let answers = self.hub.scheduler.take_answers();
        self.follow(answers, ticket)
    }

    fn follow(&mut self, answers: Vec<(Ticket, Answer)>, ticket: Option<Ticket>) -> Option<Answer> {
        let mut own = None;
        for (to, answer) in answers {
            if let Some((worker, steal, _)) = self.model.parked.remove(&to) {
                match &answer {
                    Answer::Stolen(stolen) => self.model.stolen(worker, &steal, stolen),
                    Answer::Replaced | Answer::Joined { .. } => {}
                    other => panic!("a steal was answered with {other:?}"),
                }
            }
            if Some(to) == ticket {
                own = Some(answer);
            }
        }
        own
    }

    fn tick(&mut self) {
        self.model.tick();
        self.hub.scheduler.apply(self.hub.now, Command::Tick, &Past::new());
        self.answers(None);
        let now = self.model.now;
        assert!(self.model.parked.values().all(|(.., until)| *until > now), "time is over");
    }

    fn create(&mut self, tasks: Vec<NewTask>, merge: bool) {
        let states = self.model.states();
        let mut added: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let (mut conflict, mut existing) = (false, 0);
        for task in &tasks {
            let needs: BTreeSet<String> = task.needs.iter().map(|need| need.to_string()).collect();
            match self.model.tasks.get(&*task.name) {
                None => _ = added.insert(task.name.to_string(), needs),
                Some(known) => {
                    let open = matches!(states[&*task.name], State::Waiting | State::Ready);
                    if merge && open {
                        added.insert(task.name.to_string(), needs);
                    }
                    conflict |= !merge && known.definition != task.definition;
                    existing += 1;
                }
            }
        }
        let cycle = self.model.has_cycle(&added, false);
        if !cycle && self.model.has_cycle(&added, true) {
            // Through a finished task: the hub cannot see it, and the model has no answer.
            return;
        }
        let expected = if conflict {
            Some(Code::Conflict)
        } else if cycle {
            Some(Code::Cycle)
        } else {
            for task in &tasks {
                let Some(needs) = added.remove(&*task.name) else { continue };
                let known = self.model.tasks.entry(task.name.to_string()).or_insert(Task {
                    needs: BTreeSet::new(),
                    definition: task.definition,
                    priority: task.priority,
                    retries: task.retries,
                    attempt: 0,
                    failures: 0,
                    reclaims: 0,
                    holder: None,
                    newest: Newest::Void,
                    held: None,
                    end: None,
                    vague: false,
                });
                known.needs.extend(needs);
            }
            None
        };
        let count = tasks.len() as u64;
        match (self.ask(|ticket| Command::Create { ticket, tasks, merge }), expected) {
            (Some(Answer::Created { added, existing: said, .. }), None) => {
                assert_eq!((added, said), (count - existing, existing));
            }
            (Some(Answer::Error { code, .. }), Some(expected)) => assert_eq!(code, expected),
            (answer, expected) => panic!("{answer:?}, expected {expected:?}"),
        }
    }

    fn steal(&mut self, worker: usize, steal: Steal) {
        let who = who(WORKERS[worker]);
        self.model.known[worker] = true;
        let ticket = self.hub.ticket();
        // Its answer may come at once; until it does it is parked.
        let until = self.model.now + steal.wait_ms;
        self.model.parked.insert(ticket, (worker, steal.clone(), until));
        self.hub.apply(Command::Steal { ticket, who, steal });
        self.answers(None);
    }

    fn one(&self, lease: usize) -> Option<(usize, String, u32)> {
        let given = &self.model.given;
        // The newest are the interesting ones.
        given.len().checked_sub(1 + lease % given.len().max(1)).map(|at| given[at].clone())
    }

    fn complete(&mut self, worker: usize, name: &str, attempt: u32, verdict: Verdict, want: u32) {
        if self.model.tasks[name].vague {
            return;
        }
        let who = who(WORKERS[worker]);
        self.model.known[worker] = true;
        let accepted = self.model.outcome(worker, name, attempt, verdict);
        self.model.numbers[worker] += u64::from(want > 0);
        let want = (want > 0).then(|| steal(&who, self.model.numbers[worker], want));
        let outcomes = vec![outcome(name, attempt, verdict)];
        let asked = want.clone();
        // What is stolen along with it comes before parked steals are served.
        let ticket = self.hub.ticket();
        self.hub.apply(Command::Complete { ticket, who, outcomes, want });
        let mut answers = self.hub.scheduler.take_answers();
        let own = answers.iter().position(|(to, _)| *to == ticket).expect("an answer at once");
        let (_, answer) = answers.remove(own);
        let Answer::Completed { refused, stolen } = answer else {
            panic!("an outcome was answered with {answer:?}");
        };
        assert_eq!(refused.is_empty(), accepted, "{name}#{attempt} {verdict:?}: {refused:?}");
        if let (Some(want), Some(stolen)) = (asked, stolen) {
            self.model.stolen(worker, &want, &stolen);
        }
        self.follow(answers, None);
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Create(which) => {
                let tasks = which.into_iter().map(|i| self.new_task(i)).collect();
                self.create(tasks, false);
            }
            Op::CreateOther(i, need) => {
                let mut task = self.new_task(i);
                task.needs.push(name(need).into());
                task.definition = definition(&task.needs, task.priority, task.retries, None);
                self.create(vec![task], false);
            }
            Op::Merge(i, needs) => {
                let needs: Vec<String> = needs.into_iter().map(name).collect();
                let needs: Vec<&str> = needs.iter().map(|need| &**need).collect();
                self.create(vec![task(&name(i), &needs)], true);
            }
            Op::Steal { worker, n, wait, stay } => {
                self.model.numbers[worker] += 1;
                let wait_ms = if wait { 20_000 } else { 0 };
                let number = self.model.numbers[worker];
                self.steal(
                    worker,
                    Steal { wait_ms, stay, ..steal(&who(WORKERS[worker]), number, n) },
                );
            }
            Op::Repeat { worker } => {
                let number = self.model.numbers[worker];
                let who = who(WORKERS[worker]);
                if who.id.is_none() || number == 0 {
                    return;
                }
                let parked = self.model.parked.values().find(|(of, ..)| *of == worker);
                let again = parked.map_or(steal(&who, number, 3), |(_, steal, _)| steal.clone());
                self.steal(worker, again);
            }
            Op::Outcome { worker, lease, zero, verdict, want } => {
                if let Some((_, name, attempt)) = self.one(lease) {
                    let attempt = if zero { 0 } else { attempt };
                    self.complete(worker, &name, attempt, verdict, want);
                }
            }
            Op::HolderOutcome { lease, verdict } => {
                if let Some((worker, name, attempt)) = self.one(lease) {
                    self.complete(worker, &name, attempt, verdict, 0);
                }
            }
            Op::Release { worker, lease } => {
                let Some((_, name, attempt)) = self.one(lease) else { return };
                self.model.known[worker] = true;
                let task = &self.model.tasks[&name];
                let held =
                    task.held.is_some() && (task.holder, task.attempt) == (Some(worker), attempt);
                if held {
                    self.model.lease_ended(&name, Newest::Void);
                }
                let who = who(WORKERS[worker]);
                let attempts =
                    vec![AttemptRef { name: name.as_str().into(), attempt, started: false }];
                let needs = Vec::new();
                match self.ask(|ticket| Command::Release { ticket, who, attempts, needs }) {
                    Some(Answer::Released { released, .. }) => assert_eq!(released == 1, held),
                    answer => panic!("a release was answered with {answer:?}"),
                }
            }
            Op::Heartbeat { worker, started } => {
                self.model.known[worker] = true;
                let mut attempts = Vec::new();
                for (name, task) in &mut self.model.tasks {
                    if let Some(held) = &mut task.held
                        && task.holder == Some(worker)
                    {
                        held.expires = self.model.now + held.term;
                        held.started |= started;
                        let attempt = task.attempt;
                        attempts.push(AttemptRef { name: name.as_str().into(), attempt, started });
                    }
                }
                let who = who(WORKERS[worker]);
                self.ask(|ticket| Command::Heartbeat { ticket: Some(ticket), who, attempts });
            }
            Op::Undelivered { lease } => {
                let Some((_, name, attempt)) = self.one(lease) else { return };
                let task = &self.model.tasks[&name];
                if task.held.is_some() && task.attempt == attempt {
                    self.model.lease_ended(&name, Newest::Void);
                }
                let leases = vec![(name.as_str().into(), attempt)];
                self.hub.apply(Command::Undelivered { leases });
                self.answers(None);
            }
            Op::Exit { worker } => {
                let mut held = 0;
                for task in self.model.tasks.values_mut() {
                    if task.held.is_some() && task.holder == Some(worker) {
                        (task.held, task.newest) = (None, Newest::Void);
                        held += 1;
                    }
                }
                let who = who(WORKERS[worker]);
                match self.ask(|ticket| Command::Exit { ticket, who }) {
                    Some(Answer::Exited { released }) => assert_eq!(released, held),
                    Some(Answer::Error { code: Code::NotFound, .. }) => {
                        assert!(!self.model.known[worker]);
                    }
                    answer => panic!("an exit was answered with {answer:?}"),
                }
            }
            Op::Cancel(i) => {
                let name = name(i);
                let state = self.model.states().get(&name).copied();
                let open = state.is_some_and(|state| !state.is_finished());
                if open {
                    let task = self.model.tasks.get_mut(&name).expect("a task");
                    task.held = None;
                    task.end = Some(State::Cancelled);
                }
                let names = vec![name.into()];
                match self.ask(|ticket| Command::Cancel { ticket, names }) {
                    Some(Answer::Cancelled { cancelled, .. }) => assert_eq!(cancelled == 1, open),
                    answer => panic!("a cancel was answered with {answer:?}"),
                }
            }
            Op::Retry { names, done } => self.retry(&names, done),
            Op::RetryDead(which) => {
                let ends = [Some(State::Failed), Some(State::Cancelled)];
                let dead = |i: &usize| {
                    self.model.tasks.get(&name(*i)).is_some_and(|task| ends.contains(&task.end))
                };
                let dead: Vec<usize> = (0..NAMES).filter(dead).collect();
                if !dead.is_empty() {
                    let names: Vec<usize> = which.iter().map(|i| dead[i % dead.len()]).collect();
                    self.retry(&names, false);
                }
            }
            Op::Advance { s } => {
                for _ in 0..s {
                    self.hub.now += TURN_MS;
                    self.model.now += TURN_MS;
                    self.tick();
                }
                self.hub.commit();
            }
            Op::Pause { s } => {
                self.tick();
                let ms = s * 1000;
                self.hub.now += ms;
                self.model.now += ms;
                for task in self.model.tasks.values_mut() {
                    if let Some(held) = &mut task.held {
                        held.expires += ms;
                    }
                }
                self.tick();
            }
            Op::Commit => self.hub.commit(),
            Op::Restart => {
                self.hub.commit();
                self.hub.restart();
                self.model.parked.clear();
                for task in self.model.tasks.values_mut() {
                    if let Some(held) = &mut task.held {
                        held.expires = self.model.now + held.term;
                        held.started = false;
                    }
                }
            }
        }
    }

    fn retry(&mut self, names: &[usize], done: bool) {
        self.tick();
        let before = self.model.states();
        let mut chosen: BTreeSet<String> = BTreeSet::new();
        for name in names.iter().map(|&i| name(i)) {
            let Some(&state) = before.get(&name) else { continue };
            let again = matches!(state, State::Failed | State::Cancelled) || state == State::Done;
            if !again || (state == State::Done && !done) {
                continue;
            }
            // Its dependents stay as they are, which is not by definition: keep out of it.
            let open = |(of, task): (&String, &Task)| {
                task.needs.contains(&name) && !before[of].is_finished()
            };
            if state == State::Done && self.model.tasks.iter().any(open) {
                return;
            }
            chosen.insert(name);
        }
        // Whatever their order: each that has nothing dead in its way, until there is no such one.
        let mut retried = 0;
        loop {
            let states = self.model.states();
            let dead = |need: &String| states.get(need).is_some_and(|state| state.is_dead());
            let free = |name: &&String| !self.model.tasks[*name].needs.iter().any(dead);
            let Some(name) = chosen.iter().find(free).cloned() else { break };
            chosen.remove(&name);
            retried += 1;
            let task = self.model.tasks.get_mut(&name).expect("a task");
            task.vague |= task.newest == Newest::Reclaimed;
            (task.failures, task.reclaims) = (0, 0);
            (task.end, task.newest) = (None, Newest::Void);
        }
        // So are those that come back along with them.
        let after = self.model.states();
        for (name, task) in &mut self.model.tasks {
            if before[name] == State::Skipped && after[name] != State::Skipped {
                task.vague |= task.newest == Newest::Reclaimed;
                (task.failures, task.reclaims, task.newest) = (0, 0, Newest::Void);
            }
        }
        let names: Vec<Name> = names.iter().map(|&i| name(i).into()).collect();
        let (answer, others) = self.hub.retry(&names, done);
        assert_eq!(answer.retried, retried, "{answer:?}");
        self.follow(others, None);
    }

    /// The hub and the model say the same of every task, and of all of them.
    fn compare(&self) {
        let states = self.model.states();
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
            let of = WORKERS.iter().position(|name| **name == *worker.who.name);
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
        if states.values().any(|state| *state == State::Ready) {
            assert!(hungry.is_empty(), "{hungry:?} wait beside a ready task");
        }
        if matches!(self.hub.scheduler.phase(), Phase::Stuck | Phase::Finished) {
            assert!(hungry.iter().all(|(_, steal, _)| steal.stay), "{hungry:?} wait for nothing");
        }
        let known: BTreeSet<&str> = self.hub.scheduler.missing().map(|task| &*task.name).collect();
        assert!(known.is_superset(&missing), "{known:?}, expected {missing:?}");
    }

    /// Once all is committed, memory holds unfinished tasks only, and the names that they wait for.
    fn compare_committed(&mut self) {
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

fn run(definitions: Vec<Definition>, first: usize, ops: Vec<Op>, on_file: bool) {
    let mut both = Both::new(definitions, on_file);
    both.run(Op::Create((0..first).collect()));
    for op in ops {
        both.run(op);
        both.compare();
    }
    both.compare_committed();
    both.run(Op::Restart);
    both.compare();
}

fn cases(cases: u32) -> ProptestConfig {
    let failure_persistence = Some(Box::new(FileFailurePersistence::Off) as Box<_>);
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(cases);
    ProptestConfig { cases, failure_persistence, max_shrink_iters: 20_000, ..Default::default() }
}

proptest! {
    #![proptest_config(cases(400))]
    #[test]
    fn hub_and_model_agree(
        definitions in definitions(),
        first in 0..=NAMES,
        ops in prop::collection::vec(op(), 1..80),
    ) {
        run(definitions, first, ops, false);
    }
}

proptest! {
    #![proptest_config(cases(20))]
    #[test]
    fn hub_and_model_agree_on_a_file(
        definitions in definitions(),
        first in 0..=NAMES,
        ops in prop::collection::vec(op(), 1..80),
    ) {
        run(definitions, first, ops, true);
    }
}
