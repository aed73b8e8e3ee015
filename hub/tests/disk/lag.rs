//! Tables that lag behind: the thread that folds waits for its disk, as long as a test likes, while
//! the hub goes on and commits.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dhub::engine::message::*;
use dhub::engine::scheduler::{Scheduler, State};
use dhub::store::{Access, Store};
use tempfile::TempDir;

use crate::common::{outcome, scheduler, steal, task, who};
use crate::model::{Disk, Gate};
use crate::{directory, vfs};

/// For a thread to do what it has to.
const PATIENCE: Duration = Duration::from_secs(30);

/// Than changes wait for others to be folded with.
const LONGER: Duration = Duration::from_millis(30);

/// A hub whose tables are on a disk with a gate, and whose redo log is not.
struct Lagging {
    gate: Arc<Gate>,
    scheduler: Scheduler,
    store: Store,
    ticket: Ticket,
    now: Millis,
    /// Last: it is there until the store is gone.
    _dir: TempDir,
}

impl Drop for Lagging {
    fn drop(&mut self) {
        // The store waits for its thread.
        self.gate.open();
    }
}

impl Lagging {
    fn new(vfs: &str) -> Self {
        let disk = Arc::new(Mutex::new(Disk::default()));
        vfs::register(vfs, &disk);
        let gate = Arc::clone(&disk.lock().expect("a disk").gate);
        let dir = directory();
        let access = Access { vfs: Some(vfs), ..Access::default() };
        let opened = Store::open_with(&dir.path().join("run.db"), "now", access);
        let store = opened.expect("a new file").store;
        let mut lagging =
            Self { _dir: dir, gate, scheduler: scheduler(), store, ticket: 0, now: 1_000 };
        lagging.turn();
        lagging
    }

    /// A request in a turn of its own, as the server has them.
    fn ask(&mut self, request: impl Into<Request>) -> Answer {
        self.ticket += 1;
        let request = Request { ticket: self.ticket, ..request.into() };
        let (scheduler, store, now) = (&mut self.scheduler, &self.store, self.now);
        without_tables(&self.gate, || {
            dhub::engine::archive::carry_out(scheduler, store, now, request)
        })
        .expect("the store reads");
        let answers = self.turn();
        answers.into_iter().find(|(to, _)| *to == self.ticket).expect("an answer").1
    }

    fn turn(&mut self) -> Vec<(Ticket, Answer)> {
        self.now += 1;
        self.scheduler.apply(self.now, Body::Tick.into(), &Past::new());
        let changes = self.scheduler.take_changes();
        if !changes.is_empty() {
            let turn = self.store.commit(changes, self.scheduler.counts()).expect("a commit");
            self.scheduler.committed(turn);
        }
        let answers = self.scheduler.take_answers();
        self.fold();
        answers
    }

    fn fold(&mut self) -> Turn {
        let folded = self.store.fold().expect("a fold");
        self.scheduler.folded(folded);
        folded
    }

    /// Until the thread has got what there is.
    fn lend(&mut self) {
        std::thread::sleep(LONGER);
        self.fold();
    }

    /// Until the tables have this turn.
    fn catch_up(&mut self, turn: Turn) {
        self.gate.open();
        self.await_folded(turn, || ());
    }

    /// The same, and what comes after it waits.
    fn catch_up_only(&mut self, turn: Turn) {
        let gate = Arc::clone(&self.gate);
        self.await_folded(turn, || gate.let_one_pass());
        self.gate.close();
    }

    fn await_folded(&mut self, turn: Turn, mut meanwhile: impl FnMut()) {
        let begin = Instant::now();
        while self.fold() < turn {
            assert!(begin.elapsed() < PATIENCE, "turn {turn} is not folded");
            meanwhile();
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn create(&mut self, name: &str) -> TaskId {
        let details = Some(Box::new(Details {
            command: Some(format!("run {name}").into()),
            time_limit_ms: 7,
            dir: Some("/scratch".into()),
            env: Some(r#"["A=1"]"#.into()),
            stdin: Some(name.as_bytes().into()),
        }));
        let new = NewTask { details, ..task(name, &[]) };
        let made = self.ask(Body::Create { tasks: vec![new], merge: false });
        assert!(matches!(made, Answer::Created { .. }), "{made:?}");
        self.scheduler.find(name).expect("a new task").id
    }

    /// What a worker would be told of a task.
    fn command(&self, id: TaskId) -> Option<Name> {
        without_tables(&self.gate, || self.store.details(id)).expect("the details")?.command
    }
}

/// Fails if this asks the tables while the gate is closed.
fn without_tables<T>(gate: &Gate, act: impl FnOnce() -> T) -> T {
    std::thread::scope(|scope| {
        let (told, hear) = std::sync::mpsc::channel::<()>();
        let watch = scope.spawn(move || {
            let is_late = hear.recv_timeout(PATIENCE).is_err();
            if is_late {
                gate.open();
            }
            is_late
        });
        let done = act();
        let _ = told.send(());
        assert!(!watch.join().expect("a thread"), "the tables were asked, which lag");
        done
    })
}

#[test]
fn what_a_task_runs_is_known_before_the_tables_have_it() {
    let mut hub = Lagging::new("lag-details");
    let early = hub.create("early");
    hub.catch_up(1);
    hub.gate.close();
    // The thread has the second, and the third waits for the thread.
    let under_way = hub.create("under way");
    hub.lend();
    let behind = hub.create("behind");
    hub.lend();
    for _ in 0..2 {
        assert_eq!(hub.command(under_way).as_deref(), Some("run under way"));
        assert_eq!(hub.command(behind).as_deref(), Some("run behind"));
    }
    hub.catch_up_only(2);
    assert_eq!(hub.command(behind).as_deref(), Some("run behind"));
    hub.catch_up(3);
    for (id, told) in [(early, "early"), (under_way, "under way"), (behind, "behind")] {
        assert_eq!(hub.command(id).as_deref(), Some(&*format!("run {told}")));
    }
}

#[test]
fn a_turn_is_told_to_be_folded_when_the_tables_have_it() {
    let mut hub = Lagging::new("lag-turns");
    hub.create("a");
    hub.catch_up(1);
    hub.gate.close();
    hub.create("b");
    hub.lend();
    hub.create("c");
    for _ in 0..5 {
        hub.lend();
        assert_eq!(hub.fold(), 1);
    }
    hub.catch_up(3);
    for name in ["a", "b", "c"] {
        assert!(hub.store.task(name).expect("a look-up").is_some(), "{name}");
    }
}

#[test]
fn a_task_that_ended_is_found_while_the_tables_lag() {
    let mut hub = Lagging::new("lag-ends");
    hub.create("a");
    hub.catch_up(1);
    hub.gate.close();
    let worker = who("w1");
    let given = hub.ask(Request::by(worker.clone(), Body::Steal(steal(&worker, 1, 1))));
    assert!(matches!(given, Answer::Stolen(_)), "{given:?}");
    let outcomes = vec![outcome("a", 1, Verdict::Done)];
    let report = Request::by(worker, Body::Complete { outcomes, want: None });
    let completed = hub.ask(report.clone());
    assert!(matches!(&completed, Answer::Completed { refused, .. } if refused.is_empty()));
    // Under way, and behind what is under way.
    for _ in 0..3 {
        hub.lend();
        assert_eq!(hub.scheduler.find("a").map(|task| task.state), Some(State::Done));
        // Who reports it again, or adds it again, is told the same.
        let again = hub.ask(report.clone());
        assert!(matches!(&again, Answer::Completed { refused, .. } if refused.is_empty()));
        hub.create("b");
    }
    hub.catch_up(4);
    assert!(!hub.scheduler.holds("a"));
    let row = hub.store.task("a").expect("a look-up").expect("its row");
    assert_eq!(row.finished, Some(State::Done));
}

/// The name was to leave memory, as one that nobody waits for; then it was added, and has ended.
#[test]
fn a_task_stays_in_memory_for_its_own_end_not_for_that_of_its_name() {
    let mut hub = Lagging::new("lag-adopted");
    let add = |hub: &mut Lagging, name: &str, needs: &[&str]| {
        let tasks = vec![task(name, needs)];
        hub.ask(Body::Create { tasks, merge: false })
    };
    let cancel = |hub: &mut Lagging, name: &str| {
        let names = vec![name.into()];
        hub.ask(Body::Cancel { names })
    };
    add(&mut hub, "a", &["late"]);
    hub.catch_up(1);
    hub.gate.close();
    cancel(&mut hub, "a");
    hub.lend();
    add(&mut hub, "late", &[]);
    cancel(&mut hub, "late");
    hub.catch_up_only(2);
    assert_eq!(hub.scheduler.find("late").map(|task| task.state), Some(State::Cancelled));
    let again = add(&mut hub, "late", &[]);
    assert!(matches!(again, Answer::Created { added: 0, existing: 1, .. }), "{again:?}");
    hub.catch_up(4);
    assert!(!hub.scheduler.holds("late"));
}
