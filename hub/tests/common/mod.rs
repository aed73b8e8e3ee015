//! A hub without sockets: scheduler and store, driven as the server drives them.

#![allow(dead_code, reason = "each test file uses its own part")]

use dhub::dialect::native::{self, definition};
use dhub::engine::job::{Job, RetryJob, Step};
use dhub::engine::message::*;
use dhub::engine::scheduler::{Config, Scheduler, State};
use dhub::store::Store;
use dhub_proto::wire::{self, reply};
use tempfile::TempDir;

pub const WORKER_TIMEOUT_MS: u64 = 30_000;
pub const LEASE_MS: u64 = 3_600_000;
/// The server's turns are no longer apart than this.
pub const TURN_MS: u64 = 1_000;

pub const STATES: [State; 8] = [
    State::Missing,
    State::Waiting,
    State::Ready,
    State::Running,
    State::Done,
    State::Failed,
    State::Skipped,
    State::Cancelled,
];

pub fn config() -> Config {
    Config {
        worker_timeout_ms: WORKER_TIMEOUT_MS,
        lease_ms: LEASE_MS,
        parked_requests_max: 100,
        needs_max: 65_536,
        leases_bytes_max: 24 << 20,
        reclaims_max: 5,
        skips_max: 2_000,
        retry_delay_ms: 0,
        inherit_priority: true,
    }
}

/// A scheduler alone, for tests that need no store.
pub fn scheduler() -> Scheduler {
    Scheduler::new(config())
}

pub fn task(name: &str, needs: &[&str]) -> NewTask {
    let needs: Vec<Name> = needs.iter().map(|&need| need.into()).collect();
    let definition = definition(&needs, 0, 0, None);
    NewTask { name: name.into(), needs, definition, priority: 0, retries: 0, details: None }
}

/// Workers whose name starts with w have an id, as kworker has; others are known by their name. With a key that is
/// not the owner's: KEY/NAME.
pub fn who(name: &str) -> Who {
    let (key, name) = name.split_once('/').unwrap_or(("", name));
    Who {
        name: name.into(),
        id: name.starts_with('w').then(|| client(name)),
        host: Name::default(),
        key: key.into(),
    }
}

/// The same, for people.
pub fn called(who: &Who) -> String {
    let slash = if who.is_owner() { "" } else { "/" };
    format!("{}{slash}{}", who.key, who.name)
}

pub fn client(name: &str) -> ClientId {
    let mut id = [0; 16];
    id[..name.len()].copy_from_slice(name.as_bytes());
    id
}

pub fn steal(who: &Who, number: u64, n: u32) -> Steal {
    Steal {
        client: who.id,
        number,
        n,
        wait_ms: 0,
        lease_ms: 0,
        stay: false,
        replaces: 0,
        slots: 0,
        waiting: 0,
    }
}

pub fn outcome(name: &str, attempt: u32, verdict: Verdict) -> Outcome {
    Outcome { name: name.into(), attempt, verdict, is_final: false, report: Report::default() }
}

pub struct Hub {
    config: Config,
    pub scheduler: Scheduler,
    /// None only while it restarts.
    store: Option<Store>,
    dir: Option<TempDir>,
    pub now: Millis,
    last_ticket: Ticket,
    /// All that was committed.
    pub changes: Vec<Change>,
}

impl Hub {
    pub fn in_memory() -> Self {
        Self::with(Store::open_in_memory().expect("a store in memory"), None)
    }

    pub fn on_file() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let opened = Store::open(&dir.path().join("run.db"), "now", false).expect("a new file");
        assert!(opened.new);
        Self::with(opened.store, Some(dir))
    }

    fn with(store: Store, dir: Option<TempDir>) -> Self {
        let mut hub = Self {
            config: config(),
            scheduler: scheduler(),
            store: Some(store),
            dir,
            now: 1_000,
            last_ticket: 0,
            changes: Vec::new(),
        };
        hub.restore();
        hub
    }

    /// The same hub with another --retry-delay.
    pub fn delay_retries(mut self, ms: u64) -> Self {
        self.config.retry_delay_ms = ms;
        self.restart();
        self
    }

    pub fn store(&self) -> &Store {
        self.store.as_ref().expect("no restart in progress")
    }

    pub fn path(&self) -> std::path::PathBuf {
        self.dir.as_ref().expect("a hub on a file").path().join("run.db")
    }

    pub fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        self.last_ticket
    }

    /// As the server's `apply`: with what memory lacks of the request.
    pub fn apply(&mut self, request: impl Into<Request>) {
        let store = self.store.as_ref().expect("no restart in progress");
        dhub::engine::archive::carry_out(&mut self.scheduler, store, self.now, request.into())
            .expect("the store reads");
    }

    /// The same, of one that is to be answered.
    pub fn send(&mut self, request: impl Into<Request>) -> Ticket {
        let ticket = self.ticket();
        self.apply(Request { ticket, ..request.into() });
        ticket
    }

    /// The rest of a turn: time passes, changes are committed, answers may leave.
    pub fn turn(&mut self) -> Vec<(Ticket, Answer)> {
        self.scheduler.apply(self.now, Body::Tick.into(), &Past::new());
        self.commit();
        self.scheduler.take_answers()
    }

    pub fn commit(&mut self) {
        let changes = self.scheduler.take_changes();
        if !changes.is_empty() {
            let store = self.store.as_mut().expect("no restart in progress");
            let counts = self.scheduler.counts();
            let turn = store.commit(changes.clone(), counts).expect("the changes are stored");
            self.scheduler.committed(turn);
            self.scheduler.folded(store.settle().expect("the changes are folded"));
            self.changes.extend(changes);
        }
    }

    /// A request alone in its turn.
    pub fn ask(&mut self, request: impl Into<Request>) -> Answer {
        let ticket = self.send(request);
        let answers = self.turn();
        answers.into_iter().find(|(to, _)| *to == ticket).expect("an answer at once").1
    }

    /// A person's retry, in slices as the server does it. The other answers come along.
    pub fn retry(&mut self, names: &[Name], done: bool) -> (wire::Retried, Vec<(Ticket, Answer)>) {
        let selection = Selection { names: names.to_vec(), ..Default::default() };
        self.run_retry(selection, done)
    }

    pub fn run_retry(
        &mut self,
        selection: Selection,
        done: bool,
    ) -> (wire::Retried, Vec<(Ticket, Answer)>) {
        let ticket = self.ticket();
        let mut job = Job::Retry(Box::new(RetryJob::new(selection, done)));
        let mut others = Vec::new();
        loop {
            for (to, answer) in self.turn() {
                if to == ticket {
                    job.answered(answer);
                } else {
                    others.push((to, answer));
                }
            }
            match job.step(&self.scheduler, self.store()).expect("a slice of the retry") {
                Step::Again | Step::Later => {}
                Step::Apply(body) => self.apply(Request { ticket, ..body.into() }),
                Step::Done(answer) => match native::told(*answer) {
                    Some(reply::Body::Retried(retried)) => return (retried, others),
                    body => panic!("a retry was answered with {body:?}"),
                },
            }
        }
    }

    /// The hub dies between two turns and starts again on what is stored.
    pub fn restart(&mut self) {
        self.scheduler = Scheduler::new(self.config.clone());
        if let Some(dir) = &self.dir {
            drop(self.store.take());
            // One that has stored nothing leaves nothing; what it has stored is looked for by all tests.
            let opened = Store::open(&dir.path().join("run.db"), "now", false).expect("the file");
            self.store = Some(opened.store);
        }
        self.restore();
    }

    fn restore(&mut self) {
        let store = self.store.as_ref().expect("a store");
        store.restore(self.now, &mut self.scheduler).expect("the state is restored");
        self.commit();
    }

    /// Where a task is, by memory or else by the store.
    pub fn state(&self, name: &str) -> Option<State> {
        match self.scheduler.find(name) {
            Some(task) => Some(task.state),
            None => self.store().task(name).expect("a task looked up").map(|row| {
                row.finished.unwrap_or_else(|| panic!("'{name}' is open, yet not in memory"))
            }),
        }
    }
}
