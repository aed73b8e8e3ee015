//! The core without sockets: frames in, and after each turn what must hold.
//!
//! The scheduler and a store in memory, driven as the server drives them. What memory has is
//! compared with what a restart would make of the store; what was acknowledged has to stay.

use std::collections::BTreeMap;

use dhub::dialect::dwork;
use dhub::dialect::native;
use dhub::dialect::native::Asked;
use dhub::engine::archive;
use dhub::engine::delivery;
use dhub::engine::delivery::Delivery;
use dhub::engine::job::{Job, Step};
use dhub::engine::message::*;
use dhub::engine::scheduler::{Scheduler, State, Task};
use dhub::server::{Options, restore};
use dhub::store::Store;
use dhub_proto::limits::RECLAIMS_MAX;
use dhub_proto::wire;

use crate::frame::{Heard, hear, hear_report};
use crate::request::{Event, Known, Sent};

const OPTIONS: Options = Options {
    worker_timeout_ms: 5_000,
    lease_ms: 60_000,
    retry_delay_ms: 1_000,
    inherit_priority: true,
    disk_reserve_bytes: 0,
    descriptors: dhub::net::descriptors::Descriptors::UNLIMITED,
};

struct Core {
    scheduler: Scheduler,
    store: Store,
    now: Millis,
    last_ticket: Ticket,
    /// Requests whose answers are to come.
    asked: BTreeMap<Ticket, Request>,
    delivery: Delivery,
    unreachable: bool,
    known: Known,
    last: Option<Vec<u8>>,
    acknowledged: Acknowledged,
    /// A person has had done tasks run again: those that needed them need them no more, which the
    /// store does not know.
    redone: bool,
}

/// What clients were told, and may rely on.
#[derive(Default)]
struct Acknowledged {
    created: BTreeMap<String, u64>,
    merged: Vec<String>,
    /// Outcomes of named attempts.
    outcomes: BTreeMap<(String, u32), Verdict>,
}

/// How far sequences come: one that is refused from end to end shows little.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub requests: u64,
    pub created: u64,
    pub leases: u64,
    pub outcomes: u64,
}

/// Carries out all of it; panics if something does not hold.
pub fn run(events: &[Event]) -> Seen {
    let mut core = Core::new();
    events.iter().take(200).for_each(|event| core.event(event));
    core.turn();
    core.restart();
    let acknowledged = &core.acknowledged;
    Seen {
        requests: core.last_ticket,
        created: (acknowledged.created.len() + acknowledged.merged.len()) as u64,
        leases: core.known.told.len() as u64,
        outcomes: acknowledged.outcomes.len() as u64,
    }
}

impl Core {
    fn new() -> Self {
        let store = Store::open_in_memory().expect("a store in memory");
        Self {
            scheduler: restore(&store, &OPTIONS).expect("an empty store"),
            store,
            now: 0,
            last_ticket: 0,
            asked: BTreeMap::new(),
            delivery: Delivery::default(),
            unreachable: false,
            known: Known::default(),
            last: None,
            acknowledged: Acknowledged::default(),
            redone: false,
        }
    }

    fn event(&mut self, event: &Event) {
        match event.frame(&mut self.known) {
            Some(Sent::Request(frame)) => {
                self.request(&frame);
                self.last = Some(frame);
            }
            Some(Sent::Report(frame)) => {
                if let Some(request) = hear_report(&frame) {
                    self.apply(request);
                }
            }
            None => match event {
                Event::Again => {
                    if let Some(frame) = self.last.clone() {
                        self.request(&frame);
                    }
                }
                Event::Unreachable => self.unreachable = true,
                Event::Pass(s) => {
                    for _ in 0..*s % 70 {
                        self.now += 1000;
                        self.turn();
                    }
                }
                Event::Pause(s) => {
                    self.now += u64::from(*s) * 1000;
                    self.turn();
                }
                Event::Crash => self.restart(),
                _ => self.turn(),
            },
        }
    }

    // --- as the server does it ---------------------------------------------------------------

    fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        self.last_ticket
    }

    fn request(&mut self, frame: &[u8]) {
        let mut request = match hear(frame) {
            Heard::Native(Asked::Request(request) | Asked::Heartbeat(request, _)) => request,
            Heard::Dwork(dwork::Asked::Request(request)) => request,
            Heard::Native(Asked::Long(asked)) => return self.work(&asked),
            _ => return,
        };
        let ticket = self.ticket();
        // Some ask with another key than the owner's, which is taken back now and then.
        let key = if ticket.is_multiple_of(3) { "guest" } else { "" };
        if ticket.is_multiple_of(32) {
            self.apply(Body::Revoked { keys: vec!["guest".into()] });
        }
        request.ticket = ticket;
        request.who.key = key.into();
        self.asked.insert(ticket, request.clone());
        self.apply(request);
    }

    fn apply(&mut self, request: impl Into<Request>) {
        archive::carry_out(&mut self.scheduler, &self.store, self.now, request.into())
            .expect("the store reads");
    }

    fn turn(&mut self) {
        self.turn_with(None);
    }

    /// Time passes, changes are committed, answers leave. `job` gets its own.
    fn turn_with(&mut self, mut job: Option<(Ticket, &mut Job)>) {
        self.scheduler.apply(self.now, Body::Tick.into(), &Past::new());
        if self.commit() {
            self.check();
        }
        let unreachable = std::mem::take(&mut self.unreachable);
        for (ticket, answer) in self.scheduler.take_answers() {
            match &mut job {
                Some((of, job)) if *of == ticket => job.answered(answer),
                _ => self.answer(ticket, answer, unreachable),
            }
        }
        let leases = self.delivery.undelivered();
        if !leases.is_empty() {
            self.apply(Body::Undelivered { leases });
            return self.turn();
        }
        self.nobody_waits_beside_work();
    }

    /// False if there was nothing to write.
    fn commit(&mut self) -> bool {
        let changes = self.scheduler.take_changes();
        if changes.is_empty() {
            return false;
        }
        let counts = self.scheduler.counts();
        let turn = self.store.commit(changes, counts).expect("changes fit the store");
        self.scheduler.committed(turn);
        self.scheduler.folded(self.store.settle().expect("changes fit the tables"));
        true
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer, unreachable: bool) {
        let Some(request) = self.asked.remove(&ticket) else {
            panic!("an answer to a request that nobody made, or a second one: {answer:?}");
        };
        if let Some(handed) = delivery::handed(&answer) {
            if !unreachable {
                let worker = request.worker().map(|who| wire::Worker {
                    name: who.name.to_string(),
                    id: who.id.map_or_else(Vec::new, Vec::from),
                    ..wire::Worker::default()
                });
                let worker = worker.unwrap_or_default();
                let told = delivery::attempts(handed)
                    .map(|(name, attempt)| (name.into(), attempt, worker.clone()));
                self.known.told.extend(told);
            }
            self.delivery.note(handed, !unreachable);
        }
        // The replies themselves: they have to be made, in either dialect.
        dwork::encode(&answer, "host", 1);
        let details = |lease: &Leased| self.store.details(lease.id);
        native::encode(&answer, Default::default, details).expect("a reply can be made");
        if !unreachable {
            self.acknowledged.note(&request.body, &answer);
        }
    }

    /// A long request, from start to end.
    fn work(&mut self, asked: &Long) {
        if matches!(asked, Long::Backup { .. }) {
            return;
        }
        self.redone |= matches!(asked, Long::Retry { done: true, .. });
        let ticket = self.ticket();
        let Ok(mut job) = Job::new(asked, &self.store) else { return };
        for _ in 0..1000 {
            self.turn_with(Some((ticket, &mut job)));
            match job.step(&self.scheduler, &self.store).expect("a slice") {
                Step::Again | Step::Later => {}
                Step::Apply(body) => self.apply(Request { ticket, ..body.into() }),
                Step::Done(_) => return self.turn(),
            }
        }
        panic!("a long request without an end: {asked:?}");
    }

    /// The hub dies where it is, and starts again on what was committed.
    fn restart(&mut self) {
        self.scheduler = restore(&self.store, &OPTIONS).expect("the store is sound");
        self.now = 0;
        self.asked.clear();
        self.delivery = Delivery::default();
        self.commit();
        self.check();
    }

    // --- what holds --------------------------------------------------------------------------

    /// After a commit.
    fn check(&self) {
        self.leases_are_consistent();
        // Tasks that can never run are skipped a few at a time.
        if self.scheduler.deadline() != Some(0) && !self.redone {
            self.memory_is_what_a_restart_finds();
        }
        self.acknowledged.check(&self.scheduler, &self.store);
    }

    fn leases_are_consistent(&self) {
        let mut running = 0;
        for (task, worker, ..) in self.scheduler.running(self.now) {
            running += 1;
            assert_eq!(task.state, State::Running, "{}", task.name);
            assert!(self.scheduler.worker(worker).is_some(), "{} has no worker", task.name);
        }
        assert_eq!(self.scheduler.counts().of(State::Running), running);
        let held: usize = self.scheduler.workers().map(|(_, worker)| worker.leases.len()).sum();
        assert_eq!(held as u64, running);
        let of = |state| self.scheduler.tasks_from(0).filter(|(_, t)| t.state == state).count();
        for state in [State::Missing, State::Waiting, State::Ready, State::Running] {
            assert_eq!(self.scheduler.counts().of(state), of(state) as u64, "{state:?}");
        }
    }

    fn memory_is_what_a_restart_finds(&self) {
        let mut restored = restore(&self.store, &OPTIONS).expect("the store is sound");
        restored.apply(0, Body::Tick.into(), &Past::new());
        let late = restored.take_changes();
        assert!(late.is_empty(), "a restart would change something: {late:?}");
        // What waits for its next try is ready after a restart, unless it is held besides.
        let put_off = |task: &Task| !task.held && self.scheduler.retry_in_ms(&task.name).is_some();
        let waiting = self.scheduler.tasks_from(0).filter(|(_, task)| put_off(task)).count();
        let mut counts = *self.scheduler.counts();
        counts.set(State::Waiting, counts.of(State::Waiting) - waiting as u64);
        counts.set(State::Ready, counts.of(State::Ready) + waiting as u64);
        assert_eq!(&counts, restored.counts());
        assert_eq!(self.scheduler.phase(), restored.phase());
        assert_eq!(self.scheduler.held(), restored.held());
        for (_, task) in self.scheduler.tasks_from(0) {
            let Some(other) = restored.find(&task.name) else {
                panic!("{} is {:?}, and lost at a restart", task.name, task.state);
            };
            let state = if put_off(task) { State::Ready } else { task.state };
            assert_eq!(state, other.state, "{}", task.name);
            let held = (task.id, task.attempt, task.failures, task.reclaims, task.definition);
            let found = (other.id, other.attempt, other.failures, other.reclaims, other.definition);
            assert!(task.state == State::Missing || held == found, "{}", task.name);
        }
    }

    fn nobody_waits_beside_work(&self) {
        // What is tried alone is not for all.
        let is_open = |task: &Task| task.state == State::Ready && task.reclaims < RECLAIMS_MAX - 1;
        let ready = self.scheduler.tasks_from(0).filter(|(_, task)| is_open(task)).count();
        let parked = self.asked.values().find(|request| match &request.body {
            Body::Steal(steal) => steal.n > 0,
            _ => false,
        });
        assert!(ready == 0 || parked.is_none(), "{parked:?} waits beside {ready} ready tasks");
    }
}

impl Acknowledged {
    fn note(&mut self, body: &Body, answer: &Answer) {
        match (body, answer) {
            (Body::Create { tasks, merge: true }, Answer::Created { .. }) => {
                self.merged.extend(tasks.iter().map(|task| task.name.to_string()));
            }
            (Body::Create { tasks, .. }, Answer::Created { .. }) => {
                let tasks = tasks.iter().map(|task| (task.name.to_string(), task.definition));
                self.created.extend(tasks);
            }
            (Body::Complete { outcomes, .. }, Answer::Completed { refused, .. }) => {
                for outcome in outcomes.iter().filter(|outcome| outcome.attempt > 0) {
                    let same = |refused: &&Refused| {
                        (&refused.name, refused.attempt) == (&outcome.name, outcome.attempt)
                    };
                    if refused.iter().find(same).is_none() {
                        let key = (outcome.name.to_string(), outcome.attempt);
                        let before = self.outcomes.insert(key, outcome.verdict);
                        assert!(
                            before.is_none_or(|before| before == outcome.verdict),
                            "two outcomes of attempt {} of {} were accepted",
                            outcome.attempt,
                            outcome.name
                        );
                    }
                }
            }
            _ => {}
        }
    }

    fn check(&self, scheduler: &Scheduler, store: &Store) {
        let find = |name: &str| {
            let row = store.task(name).expect("the store reads");
            let row = row.unwrap_or_else(|| panic!("{name} was acknowledged and is not there"));
            assert_ne!(row.finished, Some(State::Missing), "{name}");
            row
        };
        for (name, definition) in &self.created {
            find(name);
            if let Some(task) = scheduler.find(name) {
                assert_eq!(task.definition, *definition, "{name}");
            }
        }
        self.merged.iter().for_each(|name| drop(find(name)));
        for ((name, attempt), verdict) in &self.outcomes {
            let attempts = store.attempts(find(name).id, 1000).expect("the store reads");
            let how = match verdict {
                Verdict::Done => "done",
                Verdict::Failed => "failed",
            };
            let stored = attempts.iter().find(|row| row.attempt == *attempt);
            assert_eq!(stored.map(|row| row.outcome), Some(how), "attempt {attempt} of {name}");
        }
    }
}
