//! The hub and the model side by side: each operation is carried out on both, and the answers must
//! be those that the model allows.

use std::collections::{BTreeMap, BTreeSet};

use dhub::dialect::native::definition;
use dhub::engine::message::*;
use dhub::engine::scheduler::State;

use crate::common::*;
use crate::model::{Model, Newest, Task, has_id};
use crate::operation::{Definition, Op};
use crate::{NAMES, SLOTS, WORKERS, may_act, name};

pub struct Both {
    pub hub: Hub,
    pub model: Model,
    definitions: Vec<Definition>,
}

impl Both {
    pub fn new(definitions: Vec<Definition>, on_file: bool, retry_delay_ms: u64) -> Self {
        let hub = if on_file { Hub::on_file() } else { Hub::in_memory() };
        let hub = hub.delay_retries(retry_delay_ms);
        let model = Model { now: hub.now, retry_delay_ms, ..Model::default() };
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

    /// Applies a request, follows all answers, and hands back its own.
    fn ask(&mut self, request: impl Into<Request>) -> Option<Answer> {
        let ticket = self.hub.send(request);
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
                    Answer::Stolen(stolen) => {
                        // One that was parked has looked for tasks again only if it got some.
                        let looks = Some(to) == ticket || !stolen.leases.is_empty();
                        self.model.stolen(worker, &steal, stolen, looks);
                    }
                    Answer::Replaced | Answer::Joined { .. } | Answer::Forgotten => {}
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
        self.hub.scheduler.apply(self.hub.now, Body::Tick.into(), &Past::new());
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
                    retry_at: None,
                });
                known.needs.extend(needs);
            }
            self.model.wait_for_others();
            None
        };
        let count = tasks.len() as u64;
        match (self.ask(Body::Create { tasks, merge }), expected) {
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
        // Its answer may come at once; until it does it is parked.
        let until = self.model.now + steal.wait_ms;
        let parked = |(of, it, _): &(usize, Steal, _)| *of == worker && it.number == steal.number;
        let joins = who.id.is_some() && self.model.parked.values().any(parked);
        let ticket = self.hub.send(Request::by(who, Body::Steal(steal.clone())));
        self.model.parked.insert(ticket, (worker, steal, until));
        self.answers(Some(ticket));
        // It looked for tasks before it was parked.
        if self.model.parked.contains_key(&ticket) && !joins {
            self.model.said_slots[worker] = true;
            self.model.fill_slots(worker);
        }
    }

    fn one(&self, lease: usize) -> Option<(usize, String, u32)> {
        let given = &self.model.given;
        // The newest are the interesting ones.
        given.len().checked_sub(1 + lease % given.len().max(1)).map(|at| given[at].clone())
    }

    fn complete(&mut self, worker: usize, name: &str, attempt: u32, verdict: Verdict, want: u32) {
        let task = &self.model.tasks[name];
        let in_place = task.holder.is_some_and(|it| it != worker && may_act(worker, it));
        // For whom the owner acts is known while that one holds something.
        if task.vague || (in_place && task.held.is_none()) {
            return;
        }
        let who = who(WORKERS[worker]);
        self.model.known[worker] |= want > 0;
        self.model.urgent_before = Some(self.model.urgent());
        let accepted = self.model.outcome(worker, name, attempt, verdict);
        self.model.numbers[worker] += u64::from(want > 0);
        self.model.fill_slots(worker);
        let slots = SLOTS[worker];
        let want =
            (want > 0).then(|| Steal { slots, ..steal(&who, self.model.numbers[worker], want) });
        let outcomes = vec![outcome(name, attempt, verdict)];
        let asked = want.clone();
        // What is stolen along with it comes before parked steals are served.
        let ticket = self.hub.send(Request::by(who, Body::Complete { outcomes, want }));
        let mut answers = self.hub.scheduler.take_answers();
        let own = answers.iter().position(|(to, _)| *to == ticket).expect("an answer at once");
        let (_, answer) = answers.remove(own);
        let Answer::Completed { refused, stolen } = answer else {
            panic!("an outcome was answered with {answer:?}");
        };
        assert_eq!(refused.is_empty(), accepted, "{name}#{attempt} {verdict:?}: {refused:?}");
        if let (Some(want), Some(stolen)) = (asked, stolen) {
            self.model.stolen(worker, &want, &stolen, true);
        }
        self.model.urgent_before = None;
        self.follow(answers, None);
    }

    pub fn run(&mut self, op: Op) {
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
                    Steal {
                        wait_ms,
                        stay,
                        slots: SLOTS[worker],
                        ..steal(&who(WORKERS[worker]), number, n)
                    },
                );
            }
            Op::Repeat { worker } => {
                let number = self.model.numbers[worker];
                let who = who(WORKERS[worker]);
                if who.id.is_none() || number == 0 {
                    return;
                }
                let parked = self.model.parked.values().find(|(of, ..)| *of == worker);
                let again = Steal { slots: SLOTS[worker], ..steal(&who, number, 3) };
                let again = parked.map_or(again, |(_, steal, _)| steal.clone());
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
                let task = &self.model.tasks[&name];
                let holds = task.holder.is_some_and(|it| may_act(worker, it));
                let held = task.held.is_some() && holds && task.attempt == attempt;
                if held {
                    self.model.lease_ended(&name, Newest::Void);
                }
                let who = who(WORKERS[worker]);
                let attempts =
                    vec![AttemptRef { name: name.as_str().into(), attempt, started: false }];
                let needs = Vec::new();
                match self.ask(Request::by(who, Body::Release { attempts, needs })) {
                    Some(Answer::Released { released, .. }) => assert_eq!(released == 1, held),
                    answer => panic!("a release was answered with {answer:?}"),
                }
            }
            Op::Heartbeat { worker, started } => {
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
                self.ask(Request::by(who, Body::Heartbeat { attempts }));
            }
            Op::Undelivered { lease } => {
                let Some((_, name, attempt)) = self.one(lease) else { return };
                let task = &self.model.tasks[&name];
                if task.held.is_some() && task.attempt == attempt {
                    self.model.lease_ended(&name, Newest::Void);
                }
                let leases = vec![(name.as_str().into(), attempt)];
                self.hub.apply(Body::Undelivered { leases });
                self.answers(None);
            }
            Op::Exit { worker } => {
                let asked = worker;
                // The owner's, if there is one, else the other that is called so.
                let other = |&it: &usize| it != worker && may_act(worker, it);
                let other = (0..WORKERS.len()).find(other).filter(|&it| self.model.known[it]);
                let worker = if self.model.known[worker] { None } else { other }.unwrap_or(worker);
                let mut held = 0;
                for task in self.model.tasks.values_mut() {
                    if task.held.is_some() && task.holder == Some(worker) {
                        (task.held, task.newest) = (None, Newest::Void);
                        held += 1;
                    }
                }
                let who = who(WORKERS[asked]);
                match self.ask(Request::by(who, Body::Exit)) {
                    Some(Answer::Exited { released, .. }) => assert_eq!(released, held),
                    Some(Answer::Error { code: Code::NotFound, .. }) => {
                        // The other was forgotten, or one that never held anything.
                        let passing = WORKERS[worker].contains('/') && !self.model.stored[worker];
                        let forgotten = held == 0 && (worker != asked || passing);
                        assert!(!self.model.known[worker] || forgotten);
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
                    (task.held, task.retry_at) = (None, None);
                    task.end = Some(State::Cancelled);
                }
                let names = vec![name.into()];
                match self.ask(Body::Cancel { names }) {
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
            Op::WearOut { worker } => {
                for time in 1..=4 {
                    let steal = |worker| Op::Steal { worker, n: 1, wait: false, stay: false };
                    self.run(steal(worker));
                    if time == 4 {
                        let others = (0..WORKERS.len()).filter(|&it| it != worker && has_id(it));
                        others.for_each(|other| self.run(steal(other)));
                    }
                    for s in [20, 11] {
                        let others = (0..WORKERS.len()).filter(|&other| other != worker);
                        others.for_each(|worker| self.run(Op::Heartbeat { worker, started: true }));
                        self.run(Op::Advance { s });
                        self.compare();
                        self.model.note_room();
                    }
                }
            }
            Op::Commit => self.hub.commit(),
            Op::Restart => {
                self.hub.commit();
                self.hub.restart();
                self.model.known = self.model.stored;
                self.model.parked.clear();
                self.model.said_slots = Default::default();
                for task in self.model.tasks.values_mut() {
                    task.retry_at = None;
                    if let Some(held) = &mut task.held {
                        held.expires = self.model.now + held.term;
                        (held.started, held.has_slot) = (false, false);
                        held.order = 0;
                    }
                }
            }
        }
    }

    fn retry(&mut self, names: &[usize], done: bool) {
        self.tick();
        let before = self.model.states();
        let mut chosen: BTreeSet<String> = BTreeSet::new();
        let mut hastened = BTreeSet::new();
        for name in names.iter().map(|&i| name(i)) {
            let Some(&state) = before.get(&name) else { continue };
            if self.model.tasks[&name].retry_at.is_some() {
                hastened.insert(name.clone());
            }
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
        let mut retried = hastened.len() as u64;
        for name in hastened {
            self.model.tasks.get_mut(&name).expect("a task").retry_at = None;
        }
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
}
