//! Complete, Release, Exit: exactly one recorded outcome.

use dhub_proto::wire::reply::Body as Answer;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::{
    Attempt, ErrorCode, Exit, Outcome, Phase, Release, Released, State, Steal, Task, Worker,
};
use e2e::{Hub, Native, outcome_done, outcome_failed, plain_worker, task, worker};

#[track_caller]
fn release(native: &Native, who: &Worker, name: &str, attempt: u32) -> Released {
    let attempts = vec![Attempt { name: name.into(), attempt, started: false }];
    match native.ask(Body::Release(Release { worker: Some(who.clone()), attempts })) {
        Answer::Released(released) => released,
        other => panic!("not released: {other:?}"),
    }
}

#[test]
fn the_first_outcome_counts_and_its_repeat_is_accepted() {
    let mut hub = Hub::start();
    let native = hub.native();
    native.create(&[task("a", &[])]);
    let lease = native.steal_one(&worker(1));
    assert_eq!(native.report(&worker(1), vec![outcome_done(&lease)]), []);
    hub.restart();
    let native = hub.native();
    assert_eq!(native.report(&worker(1), vec![outcome_done(&lease)]), []);
    let other = native.report(&worker(1), vec![outcome_failed(&lease)]);
    assert_eq!(other, [ErrorCode::ErrorStale]);
    assert_eq!(native.state("a"), State::Done);
}

#[test]
fn outcomes_are_taken_one_by_one() {
    let hub = Hub::start();
    let native = hub.native();
    native.create(&[task("a", &[]), task("b", &["a"])]);
    let lease = native.steal_one(&worker(1));
    let unknown = Outcome { name: "x".into(), ..outcome_done(&lease) };
    let waiting = Outcome { name: "b".into(), attempt: 0, ..outcome_done(&lease) };
    let future = Outcome { attempt: 9, ..outcome_done(&lease) };
    let all = vec![unknown, waiting, future, outcome_done(&lease)];
    let refused = native.report(&worker(1), all);
    assert_eq!(
        refused,
        [ErrorCode::ErrorNotFound, ErrorCode::ErrorState, ErrorCode::ErrorNotFound]
    );
    assert_eq!(native.state("a"), State::Done);
}

#[test]
fn a_failure_is_retried_as_often_as_it_may_be() {
    let hub = Hub::with(&["--retry-delay", "0"]);
    let native = hub.native();
    native.create(&[Task { retries: 2, ..task("a", &[]) }, task("b", &["a"]), task("c", &["b"])]);
    for attempt in 1..=3 {
        let lease = native.steal_one(&worker(1));
        assert_eq!((lease.name.as_str(), lease.attempt), ("a", attempt));
        let output = format!("output of {attempt}").into_bytes();
        let outcome = Outcome { reason: "it broke".into(), output, ..outcome_failed(&lease) };
        assert_eq!(native.report(&worker(1), vec![outcome]), []);
    }
    assert_eq!(native.state("a"), State::Failed);
    assert_eq!((native.state("b"), native.state("c")), (State::Skipped, State::Skipped));
    let attempts = native.show("a").attempts;
    assert_eq!(attempts.iter().map(|it| it.attempt).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((attempts[2].exit_code, attempts[2].reason.as_str()), (3, "it broke"));
    assert_eq!(attempts[2].output, b"output of 3");
}

#[test]
fn a_failed_task_waits_before_it_is_tried_again() {
    let hub = Hub::with(&["--retry-delay", "2s"]);
    let native = hub.native();
    native.create(&[Task { retries: 2, ..task("a", &[]) }]);
    let lease = native.steal_one(&worker(1));
    native.report(&worker(1), vec![outcome_failed(&lease)]);
    let info = native.show("a").task.expect("a task");
    assert_eq!(info.state(), State::Waiting);
    assert!((1..=2_000).contains(&info.retry_in_ms), "{info:?}");
    assert_eq!(native.status().phase(), Phase::Active, "it goes on");
    hub.query(&["show", "a"]).exits(0).prints(&["waiting", "1 failure, tries again in"]);
    // Not yet; a steal that waits gets it by itself.
    let steal = || Steal { worker: Some(worker(1)), n: 1, ..Steal::default() };
    assert_eq!(native.steal(steal()).leases, []);
    let stolen = native.steal(Steal { wait_ms: 60_000, ..steal() });
    assert_eq!(stolen.leases[0].attempt, 2);
    assert_eq!(native.show("a").task.expect("a task").retry_in_ms, 0);

    // Twice as long now; a person need not wait.
    native.report(&worker(1), vec![outcome_failed(&stolen.leases[0])]);
    hub.query(&["retry", "a"]).exits(0).prints(&["1 task"]);
    assert_eq!(native.state("a"), State::Ready);
    // A retry is left, and would not help.
    let lease = native.steal_one(&worker(1));
    native.report(&worker(1), vec![Outcome { r#final: true, ..outcome_failed(&lease) }]);
    assert_eq!(native.state("a"), State::Failed);
}

#[test]
fn what_is_released_goes_to_the_next_one_and_its_attempt_is_used() {
    let hub = Hub::start();
    let native = hub.native();
    native.create(&[task("a", &[])]);
    let lease = native.steal_one(&worker(1));
    assert_eq!(release(&native, &worker(2), "a", 1).refused[0].code(), ErrorCode::ErrorStale);
    assert_eq!(release(&native, &worker(1), "a", 1).released, 1);
    let again = release(&native, &worker(1), "a", 1);
    assert_eq!((again.released, again.refused.len()), (0, 0), "done already is no error");
    assert_eq!(release(&native, &worker(1), "x", 1).refused[0].code(), ErrorCode::ErrorNotFound);
    let late = native.report(&worker(1), vec![outcome_done(&lease)]);
    assert_eq!(late, [ErrorCode::ErrorStale]);
    assert_eq!(native.steal_one(&worker(2)).attempt, 2);
}

#[test]
fn exit_gives_everything_back() {
    let hub = Hub::start();
    let native = hub.native();
    native.create(&[task("a", &[]), task("b", &[])]);
    native.steal_one(&worker(1));
    native.steal_one(&worker(1));
    let exit = || Body::Exit(Exit { worker: Some(worker(1)) });
    let Answer::Exited(exited) = native.ask(exit()) else { panic!("not exited") };
    assert_eq!(exited.released, 2);
    assert_eq!(native.counts().ready, 2);
    let stranger = Body::Exit(Exit { worker: Some(plain_worker("stranger")) });
    assert_eq!(native.error(stranger).0, ErrorCode::ErrorNotFound);
}

#[test]
fn an_outcome_without_an_attempt_needs_the_newest_holder() {
    let hub = Hub::start();
    let native = hub.native();
    native.create(&[task("a", &[])]);
    let lease = native.steal_one(&plain_worker("w"));
    let outcome = Outcome { attempt: 0, ..outcome_done(&lease) };
    let refused = native.report(&plain_worker("other"), vec![outcome.clone()]);
    assert_eq!(refused, [ErrorCode::ErrorStale]);
    assert_eq!(native.report(&plain_worker("w"), vec![outcome]), []);
}

#[test]
fn of_a_long_output_the_end_is_kept() {
    let hub = Hub::start();
    let native = hub.native();
    native.create(&[task("a", &[])]);
    let lease = native.steal_one(&worker(1));
    let output = [vec![b'x'; 100_000], b"the end".to_vec()].concat();
    let outcome = Outcome { output, reason: "r".repeat(2_000), ..outcome_failed(&lease) };
    assert_eq!(native.report(&worker(1), vec![outcome]), []);
    let attempt = native.show("a").attempts.remove(0);
    assert_eq!((attempt.output.len(), attempt.reason.len()), (65_536, 1_024));
    assert!(attempt.output.ends_with(b"the end"));
}
