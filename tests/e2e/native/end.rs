//! Cancel, Retry, Wait, Shutdown.

use dhub_proto::wire::reply::Body as Answer;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::*;
use e2e::{Hub, Native, eventually, outcome_done, outcome_failed, plain_worker, task, worker};

fn named(names: &[&str]) -> Option<Selection> {
    let names = names.iter().map(|&name| name.to_owned()).collect();
    Some(Selection { names, ..Selection::default() })
}

fn in_state(state: State) -> Option<Selection> {
    Some(Selection { states: vec![state.into()], ..Selection::default() })
}

#[track_caller]
fn cancel(native: &Native, selection: Option<Selection>) -> Cancelled {
    match native.ask(Body::Cancel(Cancel { selection })) {
        Answer::Cancelled(cancelled) => cancelled,
        other => panic!("not cancelled: {other:?}"),
    }
}

#[track_caller]
fn retry(native: &Native, selection: Option<Selection>, done: bool) -> Retried {
    match native.ask(Body::Retry(Retry { selection, done })) {
        Answer::Retried(retried) => retried,
        other => panic!("not retried: {other:?}"),
    }
}

#[test]
fn cancelled_tasks_do_not_run_and_dependents_are_skipped() {
    let hub = Hub::start();
    let native = hub.native();
    native.create(&[task("a", &[]), task("b", &["a"]), task("c", &["b"]), task("free", &[])]);
    let cancelled = cancel(&native, named(&["a", "x"]));
    assert_eq!(cancelled.cancelled, 1);
    assert_eq!(cancelled.refused[0].code(), ErrorCode::ErrorNotFound);
    assert_eq!(native.state("a"), State::Cancelled);
    assert_eq!((native.state("b"), native.state("c")), (State::Skipped, State::Skipped));
    assert_eq!(native.steal_one(&worker(1)).name, "free");
}

#[test]
fn the_worker_of_a_cancelled_task_is_told_and_its_outcome_is_stale() {
    let hub = Hub::start();
    let (native, listening) = (hub.native(), hub.native());
    native.create(&[task("a", &[])]);
    let lease = native.steal_one(&worker(1));
    let listen = Steal { worker: Some(worker(1)), wait_ms: 60_000, ..Steal::default() };
    listening.send(Body::Steal(listen));
    assert_eq!(cancel(&native, named(&["a"])).cancelled, 1);
    let Some(Answer::Stolen(told)) = listening.receive().body else { panic!("not stolen") };
    assert_eq!(told.lost[0].name, "a");
    let late = native.report(&worker(1), vec![outcome_done(&lease)]);
    assert_eq!(late, [ErrorCode::ErrorStale]);
    assert_eq!(native.state("a"), State::Cancelled);
}

#[test]
fn finished_tasks_are_not_cancelled() {
    let hub = Hub::start();
    let native = hub.native();
    native.create(&[task("a", &[]), task("b", &[])]);
    let lease = native.steal_one(&worker(1));
    native.report(&worker(1), vec![outcome_done(&lease)]);
    assert_eq!(cancel(&native, named(&["a"])).refused[0].code(), ErrorCode::ErrorState);
    assert_eq!(cancel(&native, in_state(State::Ready)).cancelled, 1);
    assert_eq!(native.state("b"), State::Cancelled);
    let again = cancel(&native, named(&["b"]));
    assert_eq!(again.refused, [], "cancelled already is no error");
    let all = native.error(Body::Cancel(Cancel { selection: None }));
    assert_eq!(all.0, ErrorCode::ErrorInvalid);
}

/// bad -> child -> grandchild, with bad failed.
fn failed_graph(native: &Native) {
    native.create(&[task("bad", &[]), task("child", &["bad"]), task("grandchild", &["child"])]);
    let lease = native.steal_one(&worker(1));
    native.report(&worker(1), vec![outcome_failed(&lease)]);
    assert_eq!(native.state("grandchild"), State::Skipped);
}

#[test]
fn retry_brings_back_what_was_skipped() {
    let hub = Hub::start();
    let native = hub.native();
    failed_graph(&native);
    let retried = retry(&native, in_state(State::Failed), false);
    assert_eq!((retried.retried, retried.unskipped), (1, 2));
    assert_eq!(native.state("bad"), State::Ready);
    assert_eq!(
        (native.state("child"), native.state("grandchild")),
        (State::Waiting, State::Waiting)
    );
    for name in ["bad", "child", "grandchild"] {
        let lease = native.steal_one(&worker(1));
        assert_eq!(lease.name, name);
        native.report(&worker(1), vec![outcome_done(&lease)]);
    }
    assert_eq!(native.counts().done, 3);
}

#[test]
fn retry_works_after_a_restart_and_the_attempts_go_on() {
    let mut hub = Hub::start();
    failed_graph(&hub.native());
    hub.restart();
    let native = hub.native();
    assert_eq!(retry(&native, named(&["bad"]), false).unskipped, 2);
    assert_eq!(native.steal_one(&worker(2)).attempt, 2);
}

#[test]
fn a_skipped_task_is_brought_back_by_what_failed() {
    let hub = Hub::start();
    let native = hub.native();
    failed_graph(&native);
    let retried = retry(&native, named(&["grandchild"]), false);
    assert_eq!((retried.retried, retried.refused[0].code()), (0, ErrorCode::ErrorState));
    assert!(retried.refused[0].message.contains("bad"), "{:?}", retried.refused);
    assert_eq!(native.state("grandchild"), State::Skipped);
}

#[test]
fn a_done_task_runs_again_only_if_a_person_says_so() {
    let hub = Hub::start();
    let native = hub.native();
    native.create(&[task("a", &[])]);
    let lease = native.steal_one(&worker(1));
    native.report(&worker(1), vec![outcome_done(&lease)]);
    assert_eq!(retry(&native, named(&["a"]), false).refused[0].code(), ErrorCode::ErrorState);
    assert_eq!(native.state("a"), State::Done);
    assert_eq!(retry(&native, named(&["a"]), true).retried, 1);
    assert_eq!(native.steal_one(&worker(1)).attempt, 2);
}

#[test]
fn wait_is_answered_at_the_end() {
    let hub = Hub::start();
    let (native, waiting) = (hub.native(), hub.native());
    native.create(&[task("a", &[])]);
    waiting.send(Body::Wait(Wait { wait_ms: 60_000, ..Default::default() }));
    let lease = native.steal_one(&worker(1));
    assert!(!waiting.has_reply(50));
    native.report(&worker(1), vec![outcome_done(&lease)]);
    let Some(Answer::Waited(waited)) = waiting.receive().body else { panic!("not waited") };
    assert_eq!((waited.phase(), waited.counts.unwrap().done), (Phase::Finished, 1));
}

#[test]
fn wait_is_answered_when_its_time_is_over() {
    let hub = Hub::start();
    let native = hub.native();
    native.create(&[task("a", &[])]);
    let Answer::Waited(waited) = native.ask(Body::Wait(Wait { wait_ms: 20, ..Default::default() }))
    else {
        panic!("not waited");
    };
    assert_eq!((waited.phase(), waited.counts.unwrap().ready), (Phase::Active, 1));
}

#[test]
fn shutdown_answers_and_stops() {
    let mut hub = Hub::start();
    let native = hub.native();
    native.create(&[task("a", &[])]);
    let answer = native.ask(Body::Shutdown(Shutdown {}));
    assert!(matches!(answer, Answer::ShuttingDown(_)), "{answer:?}");
    hub.end().exits(0);
    hub.restart();
    let again = hub.native();
    eventually("the task", || (again.counts().ready == 1).then_some(()));
    assert_eq!(again.steal_one(&plain_worker("w")).name, "a");
}
