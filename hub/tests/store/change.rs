//! Every kind of change, stored and read back.

use dhub::engine::archive::Page;
use dhub::engine::message::*;
use dhub::engine::scheduler::{Counts, Scheduler, State};
use dhub::store::Store;
use tempfile::TempDir;

use crate::common::*;
use crate::{added, dir, open};

/// Commits the changes, opens the file again, and starts a scheduler on it.
fn reopened(changes: &[Change], counts: &[(State, u64)]) -> (Store, Scheduler, TempDir) {
    let dir = dir();
    let file = dir.path().join("run.db");
    let mut store = open(&file);
    // One by one: each has to be enough for itself.
    let mut all = Counts::default();
    for &(state, count) in counts {
        all.set(state, count);
    }
    for change in changes {
        store.commit(vec![change.clone()], &all).expect("a change is stored");
    }
    drop(store);
    let store = open(&file);
    let mut scheduler = scheduler();
    store.restore(0, &mut scheduler).expect("the state is restored");
    (store, scheduler, dir)
}

fn worker(id: WorkerId, name: &str) -> Change {
    Change::Worker { id, who: who(name) }
}

fn leased(task: TaskId, attempt: u32, worker: WorkerId) -> Change {
    Change::Leased { task, attempt, worker, client: None, number: 7, term_ms: 5_000 }
}

fn ended(task: TaskId, attempt: u32, how: Ended) -> Change {
    let report = Report {
        exit_code: 3,
        reason: Some("why".into()),
        output: Some(b"the \xff end"[..].into()),
        output_file: Some("/scratch/out".into()),
        left_behind: 0,
        run_ms: None,
    };
    Change::Ended { task, attempt, worker: 1, how, report }
}

fn finished(task: TaskId, state: State, attempt: u32, blame: TaskId) -> Change {
    Change::Finished { task, state, attempt, failures: 2, reclaims: 1, blame }
}

#[test]
fn an_added_task_keeps_all_that_defines_it() {
    let details = Details {
        command: Some("run é $X".into()),
        time_limit_ms: 90_000,
        dir: Some("/scratch/é".into()),
        env: Some(r#"["A=1","B=\n"]"#.into()),
        stdin: Some(b"in\0\xff"[..].into()),
    };
    let task = NewTask {
        definition: u64::MAX - 3,
        priority: -7,
        retries: 2,
        details: Some(Box::new(details.clone())),
        ..task("a é\n", &[])
    };
    let change = Change::Added { id: 1, task: Box::new(task), needs: vec![], adopted: false };
    let (store, scheduler, _dir) = reopened(&[change], &[]);
    let known = scheduler.find("a é\n").expect("the task");
    assert_eq!((known.id, known.state, known.definition), (1, State::Ready, u64::MAX - 3));
    assert_eq!((known.priority, known.retries, known.details_bytes), (-7, 2, details.bytes()));
    assert_eq!(store.details(1).expect("its details"), Some(details));
    let row = store.task("a é\n").expect("a row").expect("the task");
    assert_eq!((row.command.as_str(), row.time_limit_ms, row.finished), ("run é $X", 90_000, None));
    assert_eq!((row.dir.as_str(), row.stdin_bytes), ("/scratch/é", 4));
    assert_eq!(dhub::dialect::native::environment(Some(&row.env)), ["A=1", "B=\n"]);
    assert!(row.created_ms > 0);
}

#[test]
fn needs_are_kept_and_can_be_added() {
    let changes = [
        added(1, "a", &[]),
        added(2, "b", &[]),
        added(3, "c", &[1]),
        added(4, "d", &[]),
        Change::Needs { task: 3, needs: vec![2] },
        Change::Needs { task: 4, needs: vec![3, 1] },
    ];
    let (store, scheduler, _dir) = reopened(&changes, &[]);
    assert_eq!(store.needs(3).expect("needs"), [1, 2]);
    assert_eq!(store.needs(4).expect("needs"), [3, 1]);
    assert_eq!(scheduler.counts().of(State::Ready), 2);
    assert_eq!(
        scheduler.find("d").map(|task| (task.state, task.pending)),
        Some((State::Waiting, 2))
    );
}

#[test]
fn a_missing_name_waits_to_be_adopted() {
    let missing = Change::Missing { id: 1, name: "a".into() };
    let changes = [missing.clone(), added(2, "b", &[1])];
    let (store, scheduler, _dir) = reopened(&changes, &[]);
    assert_eq!(scheduler.find("a").map(|task| task.state), Some(State::Missing));
    assert_eq!(scheduler.find("b").map(|task| task.state), Some(State::Waiting));
    assert_eq!(store.look_up("a").expect("a look").map(|past| past.state), Some(State::Missing));

    let adopted =
        Change::Added { id: 1, task: Box::new(task("a", &[])), needs: vec![], adopted: true };
    let (_store, scheduler, _dir) = reopened(&[missing, added(2, "b", &[1]), adopted], &[]);
    assert_eq!(scheduler.find("a").map(|task| (task.id, task.state)), Some((1, State::Ready)));
    assert_eq!(scheduler.counts().of(State::Missing), 0);
}

/// What nothing waits for any more is not read back.
#[test]
fn an_unwanted_name_stays_out_of_memory() {
    let changes = [
        Change::Missing { id: 1, name: "a".into() },
        added(2, "b", &[1]),
        finished(2, State::Cancelled, 0, 2),
    ];
    let (_store, scheduler, _dir) = reopened(&changes, &[(State::Cancelled, 1)]);
    assert_eq!(scheduler.tasks_from(0).count(), 0);
    assert!(scheduler.has_past());
}

#[test]
fn workers_are_found_by_id_or_by_name() {
    let same_name = Change::Worker {
        id: 3,
        who: Who { name: "h1".into(), id: Some(client("other")), ..Who::default() },
    };
    let (store, ..) = reopened(&[worker(1, "w1"), worker(2, "h1"), same_name], &[]);
    let find = |who: &Who| store.find_worker(who).expect("a look").map(|(id, _)| id);
    assert_eq!(find(&who("w1")), Some(1));
    assert_eq!(
        find(&Who { name: "another name".into(), id: who("w1").id, ..Who::default() }),
        Some(1)
    );
    assert_eq!(find(&who("h1")), Some(2));
    assert_eq!(
        find(&Who { name: "h1".into(), id: Some(client("other")), ..Who::default() }),
        Some(3)
    );
    assert_eq!(find(&who("h2")), None);
    assert_eq!(find(&Who { name: "w1".into(), ..Who::default() }), None);
}

#[test]
fn a_lease_keeps_worker_attempt_client_number_and_term() {
    let lease = Change::Leased {
        task: 1,
        attempt: 4,
        worker: 1,
        client: Some(client("c")),
        number: i64::MAX as u64,
        term_ms: 12_345,
    };
    let (store, mut scheduler, _dir) = reopened(&[added(1, "a", &[]), worker(1, "w1"), lease], &[]);
    let known = scheduler.find("a").expect("the task");
    assert_eq!((known.state, known.attempt, known.holder), (State::Running, 4, 1));
    let row = store.task("a").expect("a row").expect("the task");
    assert_eq!((row.worker.as_str(), row.attempt), ("w1", 4));
    // The client may repeat its steal.
    let again = Steal { client: Some(client("c")), ..steal(&who("w1"), i64::MAX as u64, 1) };
    let request = Request { ticket: 1, ..Request::by(who("w1"), Body::Steal(again)) };
    scheduler.apply(0, request, &Past::new());
    let [(1, Answer::Stolen(stolen))] = &scheduler.take_answers()[..] else {
        panic!("no answer to a repeated steal");
    };
    let leases: Vec<_> = stolen.leases.iter().map(|l| (&*l.name, l.attempt, l.term_ms)).collect();
    assert_eq!(leases, [("a", 4, 12_345)]);
}

#[test]
fn a_task_that_came_back_keeps_its_counters_and_its_place() {
    let back = Change::Back { task: 2, attempt: 3, failures: 2, reclaims: 1 };
    let changes = [
        added(1, "a", &[]),
        added(2, "b", &[]),
        worker(1, "w1"),
        leased(2, 3, 1),
        ended(2, 3, Ended::Reclaimed),
        back,
    ];
    let (_store, mut scheduler, _dir) = reopened(&changes, &[]);
    let known = scheduler.find("b").expect("the task");
    assert_eq!((known.state, known.attempt), (State::Ready, 3));
    assert_eq!((known.failures, known.reclaims, known.holder), (2, 1, 1));
    // It goes first, with the next attempt.
    let request = Request::by(who("h1"), Body::Steal(steal(&who("h1"), 0, 1)));
    scheduler.apply(0, request, &Past::new());
    let known = scheduler.find("b").expect("the task");
    assert_eq!((known.state, known.attempt), (State::Running, 4));
}

#[test]
fn attempts_are_kept_and_a_late_outcome_takes_the_place_of_the_reclaim() {
    let changes = [
        added(1, "a", &[]),
        worker(1, "w1"),
        leased(1, 1, 1),
        ended(1, 1, Ended::Failed),
        Change::Back { task: 1, attempt: 1, failures: 1, reclaims: 0 },
        leased(1, 2, 1),
        ended(1, 2, Ended::Reclaimed),
        Change::Back { task: 1, attempt: 2, failures: 1, reclaims: 0 },
        ended(1, 2, Ended::Done),
        finished(1, State::Done, 2, 0),
    ];
    let (store, scheduler, _dir) = reopened(&changes, &[(State::Done, 1)]);
    let rows = store.attempts(1, 10).expect("the attempts");
    let short: Vec<_> = rows.iter().map(|row| (row.attempt, row.outcome, &*row.worker)).collect();
    assert_eq!(short, [(1, "failed", "w1"), (2, "done", "w1")]);
    assert_eq!(
        (rows[0].exit_code, &*rows[0].reason, &*rows[0].output),
        (3, "why", &b"the \xff end"[..])
    );
    assert!(rows[0].started_ms > 0 && rows[0].ended_ms >= rows[0].started_ms);
    assert_eq!(store.attempts(1, 1).expect("the newest").len(), 1);
    let past = store.look_up("a").expect("a look").expect("the task");
    assert_eq!((past.state, past.attempt, past.holder), (State::Done, 2, Some(1)));
    assert_eq!(scheduler.counts().of(State::Done), 1);
    assert!(scheduler.find("a").is_none());
}

#[test]
fn each_end_is_kept_with_the_one_to_blame() {
    let changes = [
        added(1, "done", &[]),
        added(2, "failed", &[]),
        added(3, "skipped", &[2]),
        added(4, "cancelled", &[]),
        added(5, "open", &[1]),
        worker(1, "w1"),
        leased(1, 1, 1),
        finished(1, State::Done, 1, 0),
        finished(2, State::Failed, 0, 2),
        finished(3, State::Skipped, 0, 2),
        finished(4, State::Cancelled, 0, 4),
    ];
    let totals = [(State::Done, 1), (State::Failed, 1), (State::Skipped, 1), (State::Cancelled, 1)];
    let (store, scheduler, _dir) = reopened(&changes, &totals);
    for (name, state, blame) in [
        ("done", State::Done, 1),
        ("failed", State::Failed, 2),
        ("skipped", State::Skipped, 2),
        ("cancelled", State::Cancelled, 4),
    ] {
        let past = store.look_up(name).expect("a look").expect("the task");
        assert_eq!((past.state, past.blame), (state, blame), "{name}");
        let row = store.task(name).expect("a row").expect("the task");
        assert_eq!((row.finished, row.failures, row.reclaims), (Some(state), 2, 1), "{name}");
        assert_eq!(scheduler.counts().of(state), 1, "{name}");
        assert_eq!(store.totals().of(state), 1, "{name}");
    }
    // A lease ends with its task, and what is done does not keep others waiting.
    assert_eq!(scheduler.running(0).count(), 0);
    assert_eq!(scheduler.find("open").map(|task| task.state), Some(State::Ready));
    assert_eq!(store.skipped_for(2, 0, 10).expect("the skipped"), [(3, vec![2])]);
    assert_eq!(store.skipped_for(2, 3, 10).expect("the skipped"), []);
    let ids = |page| -> Vec<TaskId> {
        store.page(page, 0, 10).expect("a page").iter().map(|row| row.id).collect()
    };
    assert_eq!(ids(Page::All), [1, 2, 3, 4, 5]);
    let before = |page, before, most| -> Vec<TaskId> {
        let rows = store.page_before(page, before, most).expect("a page");
        rows.iter().map(|row| row.id).collect()
    };
    assert_eq!(before(Page::All, 5, 10), [4, 3, 2, 1]);
    assert_eq!(before(Page::All, u64::MAX, 2), [5, 4]);
    assert_eq!(before(Page::Dead(State::Failed), 2, 10).len(), 0);
    assert_eq!(ids(Page::Open), [5]);
    assert_eq!(ids(Page::Dead(State::Failed)), [2]);
    assert_eq!(ids(Page::Dead(State::Skipped)), [3]);
    assert_eq!(ids(Page::Dead(State::Cancelled)), [4]);
    assert_eq!(store.failures(10).expect("the failures")[0].name, "failed");
}

#[test]
fn a_reopened_task_is_open_again_with_its_attempts_used() {
    let changes = [
        added(1, "a", &[]),
        worker(1, "w1"),
        leased(1, 1, 1),
        ended(1, 1, Ended::Failed),
        finished(1, State::Failed, 1, 1),
        Change::Reopened { task: 1 },
    ];
    let (store, scheduler, _dir) = reopened(&changes, &[]);
    let known = scheduler.find("a").expect("the task");
    assert_eq!((known.state, known.attempt), (State::Ready, 1));
    assert_eq!((known.failures, known.reclaims), (0, 0));
    assert_eq!(store.attempts(1, 10).expect("the attempts").len(), 1);
    assert_eq!(store.page(Page::Dead(State::Failed), 0, 10).expect("a page").len(), 0);
}

#[test]
fn a_skipped_task_can_get_another_to_blame() {
    let changes = [
        added(1, "a", &[]),
        added(2, "b", &[]),
        added(3, "c", &[1, 2]),
        finished(1, State::Failed, 0, 1),
        finished(2, State::Failed, 0, 2),
        finished(3, State::Skipped, 0, 1),
        Change::Blamed { task: 3, blame: 2 },
    ];
    let totals = [(State::Failed, 2), (State::Skipped, 1)];
    let (store, ..) = reopened(&changes, &totals);
    assert_eq!(store.skipped_for(1, 0, 10).expect("the skipped"), []);
    assert_eq!(store.skipped_for(2, 0, 10).expect("the skipped"), [(3, vec![1, 2])]);
    let revived = store.revived(3, true).expect("a row").expect("the task");
    assert_eq!((revived.state, revived.task.needs.len()), (State::Skipped, 2));
    assert!(store.revived(99, true).expect("no row").is_none());
}

/// The hub died between a failure and the skips that follow from it.
#[test]
fn skips_that_were_not_stored_are_made_up_for() {
    let changes = [
        added(1, "a", &[]),
        added(2, "b", &[1]),
        added(3, "c", &[2]),
        finished(1, State::Failed, 0, 1),
    ];
    let (mut store, mut scheduler, _dir) = reopened(&changes, &[(State::Failed, 1)]);
    assert_eq!(scheduler.counts().of(State::Skipped), 2);
    let changes = scheduler.take_changes();
    store.commit(changes, scheduler.counts()).expect("the skips are stored");
    store.settle().expect("the skips are folded");
    assert_eq!(store.skipped_for(1, 0, 10).expect("the skipped").len(), 2);
}

#[test]
fn a_worker_is_another_keys_unless_that_has_one_that_is_called_so() {
    let of = |key: &str| Who { key: key.into(), ..who("w1") };
    let worker = |id| Change::Worker { id, who: of("?") };
    let key = |id| Change::Key { id, key: "lab#01".into() };
    let found = |changes: &[Change]| {
        let (store, _, _dir) = reopened(changes, &[]);
        ["?", "lab#01"].map(|key| store.find_worker(&of(key)).expect("a look").map(|it| it.0))
    };
    assert_eq!(found(&[worker(1), key(1)]), [None, Some(1)]);
    assert_eq!(found(&[worker(1), key(1), worker(2), key(2)]), [Some(2), Some(1)]);
}
