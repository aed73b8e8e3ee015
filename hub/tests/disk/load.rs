//! A fixed load: all that a hub writes, in few turns, with a clean stop and a kill in between.
//!
//! It is driven as the server drives it: answers reach the clients only after the commit. A client
//! whose request was not answered repeats it after the restart.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use dhub::engine::job::{Job, RetryJob, Step};
use dhub::engine::message::*;
use dhub::engine::scheduler::{Scheduler, State};
use dhub::store::{Access, OpenError, Store, StoreError};

use crate::common::{LEASE_MS, WORKER_TIMEOUT_MS, outcome, scheduler, steal, task, who};
use crate::model::Disk;

#[derive(Clone)]
enum Action {
    Create(Vec<NewTask>),
    /// The worker with heartbeats, or the shell loop.
    Steal(usize, u32),
    /// So many outcomes, and as many new tasks.
    Report(usize, usize),
    Release(usize),
    Cancel(&'static str),
    Retry(&'static str),
    Silence(u64),
    /// A clean stop, and a start.
    Restart,
    /// kill -9, and a start.
    Kill,
    /// Until nothing is left to do.
    Drain,
}

#[derive(Debug, thiserror::Error)]
pub enum Stop {
    #[error("the start failed: {0}")]
    Open(#[from] OpenError),
    #[error("a turn failed: {0}")]
    Store(#[from] StoreError),
}

/// What a client knows.
#[derive(Clone)]
struct Client {
    who: Who,
    number: u64,
    held: Vec<(Name, u32)>,
}

/// Where the load stands, as the clients know it.
#[derive(Clone)]
pub struct Progress {
    /// The turn that is under way or next.
    turn: usize,
    clients: Vec<Client>,
    /// Commits that have returned well.
    pub commits: usize,
}

impl Progress {
    pub fn new() -> Self {
        let client = |name| Client { who: who(name), number: 0, held: Vec::new() };
        Self { turn: 0, clients: vec![client("w1"), client("shell")], commits: 0 }
    }
}

fn script() -> Vec<Vec<Action>> {
    use Action::*;
    let with = |name: &str, needs: &[&str], priority, retries| {
        let command = format!("run {name} {}", "x".repeat(300));
        let details = Some(Box::new(Details {
            command: Some(command.into()),
            time_limit_ms: 7,
            dir: Some("/scratch".into()),
            env: Some(r#"["A=1"]"#.into()),
            stdin: Some([7; 300].into()),
        }));
        NewTask { priority, retries, details, ..task(name, needs) }
    };
    let many = |from: usize, to: usize| {
        (from..to).map(|n| with(&format!("m{n}"), &[], n as i32 % 3, 0)).collect()
    };
    vec![
        vec![Create(vec![with("a", &[], 0, 0), with("b", &["a"], 5, 0), task("d", &["a", "b"])])],
        vec![
            Create(vec![with("f", &[], 9, 1), task("s", &["f"]), task("s2", &["s", "late"])]),
            Steal(0, 2),
        ],
        vec![Create(vec![with("g", &[], 8, 0), task("g2", &["g"])]), Report(0, 1), Steal(1, 2)],
        vec![Report(1, 2)],
        vec![Kill],
        vec![Report(0, 2), Report(1, 2)],
        vec![Release(0), Create(many(0, 4))],
        vec![Create(vec![task("c", &["late"]), task("c2", &["nobody"]), task("c3", &["c2"])])],
        vec![Cancel("c"), Cancel("c2"), Report(0, 2)],
        vec![Retry("f")],
        vec![Retry("c"), Steal(0, 4)],
        vec![Silence(WORKER_TIMEOUT_MS + 1)],
        vec![Restart],
        vec![Create(vec![with("late", &["m1"], 0, 2)]), Report(0, 4), Steal(1, 1)],
        vec![Drain],
        vec![Retry("g")],
        vec![Create(many(4, 7))],
        vec![Drain],
    ]
}

/// Tasks that the load adds.
pub const TASKS: usize = 19;

/// What becomes of each, whatever happens in between.
pub fn end(name: &str) -> State {
    match name {
        "f" => State::Failed,
        "s" | "s2" | "c3" => State::Skipped,
        "c2" => State::Cancelled,
        _ => State::Done,
    }
}

type AfterCommit<'a> = Box<dyn FnMut(&Progress) + 'a>;

pub struct Load<'a> {
    file: &'a Path,
    access: Access<'a>,
    disk: Option<&'a Arc<Mutex<Disk>>>,
    store: Option<Store>,
    scheduler: Scheduler,
    now: Millis,
    ticket: Ticket,
    /// What the clients have heard of. The turn under way may yet fail.
    pub heard: Progress,
    clients: Vec<Client>,
    /// The disk failed during a clean stop.
    pub struck_at_stop: bool,
    /// Called after each commit, with what is known then.
    pub after_commit: Option<AfterCommit<'a>>,
}

impl<'a> Load<'a> {
    /// Starts a hub, where the clients stand so. On this disk, or on the system's.
    pub fn start(
        file: &'a Path,
        access: Access<'a>,
        disk: Option<&'a Arc<Mutex<Disk>>>,
        heard: Progress,
    ) -> Self {
        let (now, ticket) = (1_000, 0);
        let (scheduler, clients) = (scheduler(), heard.clients.clone());
        Self {
            file,
            access,
            disk,
            store: None,
            scheduler,
            now,
            ticket,
            heard,
            clients,
            struck_at_stop: false,
            after_commit: None,
        }
    }

    pub fn open(&mut self) -> Result<(), Stop> {
        let opened = Store::open_with(self.file, "now", self.access)?;
        self.scheduler = scheduler();
        opened.store.restore(self.now, &mut self.scheduler)?;
        self.store = Some(opened.store);
        self.commit()
    }

    pub fn store(&self) -> &Store {
        self.store.as_ref().expect("a hub that runs")
    }

    /// What is committed is in the tables, as before a read.
    pub fn fold(&mut self) -> Result<(), Stop> {
        let store = self.store.as_mut().expect("a hub that runs");
        self.scheduler.folded(store.settle()?);
        Ok(())
    }

    /// To the end of the load, from the turn that was not answered.
    pub fn run(&mut self) -> Result<(), Stop> {
        let script = script();
        if self.heard.turn > 0 {
            // A shell loop whose request was not answered knows nothing of what it was given.
            let who = self.clients[1].who.clone();
            self.ask(Request::by(who, Body::Exit))?;
            self.clients[1].held.clear();
        }
        while let Some(turn) = script.get(self.heard.turn) {
            self.carry_out(turn)?;
            self.heard.clients = self.clients.clone();
            self.heard.turn += 1;
        }
        Ok(())
    }

    pub fn close(&mut self) -> Result<(), Stop> {
        let struck =
            || self.disk.is_some_and(|disk| disk.lock().expect("the disk").struck.is_some());
        let before = struck();
        let closed = self.store.take().expect("a hub that runs").close();
        self.struck_at_stop |= !before && struck();
        Ok(closed?)
    }

    /// On the system's disk the store still closes its file; there that is not what is tested.
    pub fn kill(&mut self) {
        let killed = |killed| {
            self.disk.inspect(|disk| disk.lock().expect("the disk").killed = killed);
        };
        killed(true);
        self.store = None;
        killed(false);
    }

    fn carry_out(&mut self, actions: &[Action]) -> Result<(), Stop> {
        // Requests of one turn share its commit.
        let mut asked = Vec::new();
        for action in actions {
            let (worker, request) = match action {
                Action::Create(tasks) => {
                    (None, Body::Create { tasks: tasks.clone(), merge: false }.into())
                }
                Action::Steal(worker, n) => {
                    let client = &mut self.clients[*worker];
                    client.number += 1;
                    let (who, steal) = (client.who.clone(), steal(&client.who, client.number, *n));
                    (Some(*worker), Request::by(who, Body::Steal(steal)))
                }
                Action::Report(worker, n) => (Some(*worker), self.report(*worker, *n)),
                Action::Release(worker) => {
                    let client = &mut self.clients[*worker];
                    let attempts = client.held.drain(..client.held.len().min(1));
                    let attempts = attempts
                        .map(|(name, attempt)| AttemptRef { name, attempt, started: false })
                        .collect();
                    let who = client.who.clone();
                    (None, Request::by(who, Body::Release { attempts, needs: Vec::new() }))
                }
                Action::Cancel(name) => (None, Body::Cancel { names: vec![(*name).into()] }.into()),
                Action::Silence(ms) => {
                    self.silence(*ms);
                    continue;
                }
                Action::Retry(name) => {
                    self.retry(name)?;
                    continue;
                }
                Action::Restart => {
                    self.close()?;
                    self.open()?;
                    continue;
                }
                Action::Kill => {
                    self.kill();
                    self.open()?;
                    continue;
                }
                Action::Drain => {
                    self.drain()?;
                    continue;
                }
            };
            asked.push((worker, self.apply(request)?));
        }
        let answers = self.settle()?;
        for (worker, ticket) in asked {
            let answer = answers.iter().find(|(to, _)| *to == ticket);
            let (_, answer) = answer.expect("an answer at once");
            if let Some(worker) = worker {
                self.take(worker, answer);
            }
        }
        Ok(())
    }

    fn report(&mut self, worker: usize, n: usize) -> Request {
        let client = &mut self.clients[worker];
        let outcomes = client.held.drain(..client.held.len().min(n)).map(|(name, attempt)| {
            let fails = &*name == "f" || &*name == "g" && attempt == 1;
            let verdict = if fails { Verdict::Failed } else { Verdict::Done };
            let output = Some(format!("{name}: {}", "o".repeat(700)).into_bytes().into());
            let reason = fails.then(|| format!("{name} never works").into());
            let report = Report {
                exit_code: 3 * i32::from(fails),
                reason,
                output,
                output_file: Some("/scratch/out".into()),
                left_behind: 0,
                run_ms: None,
            };
            Outcome { report, ..outcome(&name, attempt, verdict) }
        });
        let outcomes = outcomes.collect();
        client.number += 1;
        let want = Some(steal(&client.who, client.number, n as u32));
        Request::by(client.who.clone(), Body::Complete { outcomes, want })
    }

    /// Which leases a worker learns of.
    fn take(&mut self, worker: usize, answer: &Answer) -> usize {
        let (Answer::Stolen(stolen) | Answer::Completed { stolen: Some(stolen), .. }) = answer
        else {
            return 0;
        };
        let held = &mut self.clients[worker].held;
        for lease in &stolen.leases {
            let lease = (lease.name.clone(), lease.attempt);
            if !held.contains(&lease) {
                held.push(lease);
            }
        }
        stolen.leases.len()
    }

    fn drain(&mut self) -> Result<(), Stop> {
        for _ in 0..100 {
            let n = self.clients[0].held.len().max(6);
            let report = self.report(0, n);
            let answer = self.ask(report)?;
            let taken = self.take(0, &answer);
            self.heard.clients = self.clients.clone();
            if taken > 0 {
                continue;
            }
            if !matches!(self.scheduler.phase(), Phase::Active) {
                return Ok(());
            }
            // Somebody holds what nobody works on.
            self.silence(LEASE_MS + 1);
            self.settle()?;
        }
        panic!("the load has no end: {:?}", self.scheduler.counts());
    }

    /// Nothing is heard for so long; the hub itself had its turns.
    fn silence(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(1_000) {
            self.now += 1_000;
            self.scheduler.apply(self.now, Body::Tick.into(), &Past::new());
        }
    }

    fn retry(&mut self, name: &str) -> Result<(), Stop> {
        let selection = Selection { names: vec![name.into()], ..Default::default() };
        let mut job = Job::Retry(Box::new(RetryJob::new(selection, false)));
        self.ticket += 1;
        let ticket = self.ticket;
        loop {
            for (to, answer) in self.settle()? {
                if to == ticket {
                    job.answered(answer);
                }
            }
            self.fold()?;
            let store = self.store.as_ref().expect("a hub that runs");
            match job.step(&self.scheduler, store)? {
                Step::Again | Step::Later => {}
                Step::Apply(body) => {
                    let store = self.store.as_ref().expect("a hub that runs");
                    dhub::engine::archive::carry_out(
                        &mut self.scheduler,
                        store,
                        self.now,
                        Request { ticket, ..body.into() },
                    )?;
                }
                Step::Done(_) => return Ok(()),
            }
        }
    }

    fn apply(&mut self, request: impl Into<Request>) -> Result<Ticket, Stop> {
        self.ticket += 1;
        let request = Request { ticket: self.ticket, ..request.into() };
        let store = self.store.as_ref().expect("a hub that runs");
        dhub::engine::archive::carry_out(&mut self.scheduler, store, self.now, request)?;
        Ok(self.ticket)
    }

    /// A request alone in its turn.
    fn ask(&mut self, request: impl Into<Request>) -> Result<Answer, Stop> {
        let ticket = self.apply(request)?;
        let answers = self.settle()?;
        Ok(answers.into_iter().find(|(to, _)| *to == ticket).expect("an answer at once").1)
    }

    /// The rest of a turn, as the server has it.
    fn settle(&mut self) -> Result<Vec<(Ticket, Answer)>, Stop> {
        self.scheduler.apply(self.now, Body::Tick.into(), &Past::new());
        self.commit()?;
        Ok(self.scheduler.take_answers())
    }

    fn commit(&mut self) -> Result<(), Stop> {
        let changes = self.scheduler.take_changes();
        if !changes.is_empty() {
            let store = self.store.as_mut().expect("a hub that runs");
            let turn = store.commit(changes, self.scheduler.counts())?;
            self.scheduler.committed(turn);
            // Some commits are folded alone, some together, some after a kill.
            if turn % 3 == 0 {
                self.scheduler.folded(store.settle()?);
            }
            self.heard.commits += 1;
            if let Some(after) = &mut self.after_commit {
                after(&self.heard);
            }
            if turn % 2 == 0 {
                self.store.as_mut().expect("a hub that runs").note()?;
            }
        }
        Ok(())
    }
}

/// The log and the journal that belong to a file.
pub fn companions(file: &Path) -> [PathBuf; 4] {
    ["", "-wal", "-journal", ".redo"].map(|end| format!("{}{end}", file.display()).into())
}
