//! Leases end when nobody renews them; what is late counts as long as nobody else has begun.

use dhub_proto::Message;
use dhub_proto::wire::reply::Body as Answer;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::{
    Attempt, ErrorCode, Exit, Heartbeat, Hello, Lease, Report, State, Steal, Worker, report,
};
use e2e::{Hub, Native, eventually, outcome_done, outcome_failed, plain_worker, task, worker};

const SHORT: [&str; 2] = ["--worker-timeout", "1s"];

fn beat(who: &Worker, leases: &[&Lease]) -> Heartbeat {
    let attempts = leases.iter().map(|lease| Attempt {
        name: lease.name.clone(),
        attempt: lease.attempt,
        started: true,
    });
    let attempts = attempts.collect();
    Heartbeat { worker: Some(who.clone()), attempts, ..Heartbeat::default() }
}

#[track_caller]
fn await_state(native: &Native, name: &str, state: State) {
    let what = format!("{name} to be {state:?}");
    eventually(&what, || (native.state(name) == state).then_some(()));
}

#[test]
fn the_task_of_a_silent_worker_is_ready_again() {
    let hub = Hub::with(&SHORT);
    let native = hub.native();
    native.create(&[task("a", &[])]);
    let lease = native.steal_one(&worker(1));
    assert_eq!(lease.term_ms, 1000);
    await_state(&native, "a", State::Ready);
    let lost = native.status().workers.into_iter().find(|it| it.name == worker(1).name);
    assert_eq!(lost.unwrap().leases, 0);
    assert_eq!(native.steal_one(&worker(2)).attempt, 2);
}

#[test]
fn a_late_outcome_counts_if_nobody_stole_the_task_again() {
    let hub = Hub::with(&SHORT);
    let native = hub.native();
    native.create(&[task("a", &[]), task("b", &["a"])]);
    let lease = native.steal_one(&worker(1));
    await_state(&native, "a", State::Ready);
    assert_eq!(native.report(&worker(1), vec![outcome_done(&lease)]), []);
    assert_eq!((native.state("a"), native.state("b")), (State::Done, State::Ready));
}

#[test]
fn a_late_outcome_is_stale_once_somebody_else_has_the_task() {
    let hub = Hub::with(&SHORT);
    let native = hub.native();
    native.create(&[task("a", &[])]);
    let old = native.steal_one(&worker(1));
    await_state(&native, "a", State::Ready);
    let new = native.steal_one(&plain_worker("patient"));
    for late in [outcome_done(&old), outcome_failed(&old)] {
        assert_eq!(native.report(&worker(1), vec![late]), [ErrorCode::ErrorStale]);
    }
    assert_eq!(native.state("a"), State::Running);
    assert_eq!(native.report(&plain_worker("patient"), vec![outcome_done(&new)]), []);
}

#[test]
fn a_late_outcome_counts_after_a_restart_as_well() {
    let mut hub = Hub::with(&SHORT);
    let native = hub.native();
    native.create(&[task("a", &[])]);
    let lease = native.steal_one(&worker(1));
    await_state(&native, "a", State::Ready);
    hub.restart();
    let native = hub.native();
    assert_eq!(native.report(&worker(1), vec![outcome_done(&lease)]), []);
    assert_eq!(native.state("a"), State::Done);
}

/// Renewed as a request, `kept` outlives `dropped` by several terms of its lease.
#[test]
fn a_heartbeat_renews_what_it_lists_and_nothing_else() {
    let hub = Hub::with(&SHORT);
    let native = hub.native();
    native.create(&[task("kept", &[]), task("dropped", &[]), task("twice", &[])]);
    let kept = native.steal_one(&worker(1));
    for name in ["dropped", "twice"] {
        // Each time a lease of 1 s ends, more than 1 s has passed.
        native.steal_one(&worker(2));
        eventually("the lease to end", || {
            let answer = native.ask(Body::Heartbeat(beat(&worker(1), &[&kept])));
            let Answer::Heartbeaten(beaten) = answer else { panic!("no heartbeat") };
            assert_eq!(beaten.lost, [], "renewed before {name} was reclaimed");
            (native.counts().ready == 2).then_some(())
        });
    }
    assert_eq!(native.state("kept"), State::Running);
    assert_eq!(native.show("kept").task.unwrap().attempt, 1);
}

#[test]
fn a_report_by_push_renews_as_well() {
    let hub = Hub::with(&SHORT);
    let native = hub.native();
    let Answer::Welcome(welcome) = native.ask(Body::Hello(Hello::default())) else {
        panic!("no welcome");
    };
    let port = welcome.report_endpoint.strip_prefix("tcp://:").expect("a port");
    let push = zmq::Context::new().socket(zmq::PUSH).unwrap();
    push.set_linger(0).unwrap();
    push.connect(&format!("tcp://127.0.0.1:{port}")).unwrap();
    native.create(&[task("kept", &[]), task("dropped", &[])]);
    let kept = native.steal_one(&worker(1));
    let send = || {
        let body = Some(report::Body::Heartbeat(beat(&worker(1), &[&kept])));
        push.send(Report { body }.encode_to_vec(), 0).unwrap();
    };
    for _ in 0..2 {
        native.steal_one(&worker(2));
        eventually("the other lease to end", || {
            send();
            (native.state("dropped") == State::Ready).then_some(())
        });
    }
    assert_eq!(native.state("kept"), State::Running);
    let status = native.status();
    let known = status.workers.iter().find(|it| it.name == worker(1).name).unwrap();
    assert_eq!((known.leases, known.started), (1, 1));
}

#[test]
fn a_parked_steal_tells_what_was_lost() {
    let hub = Hub::with(&SHORT);
    let native = hub.native();
    native.create(&[task("a", &[])]);
    let lease = native.steal_one(&worker(1));
    let listen = Steal { worker: Some(worker(1)), number: 2, wait_ms: 60_000, ..Steal::default() };
    let Answer::Stolen(told) = native.ask(Body::Steal(listen)) else { panic!("not stolen") };
    assert_eq!(told.leases, []);
    assert_eq!((told.lost[0].name.as_str(), told.lost[0].attempt), ("a", lease.attempt));
}

/// What it lost through silence would only be lost once more.
#[test]
fn a_silent_worker_gets_nothing_through_its_parked_steal() {
    let hub = Hub::with(&SHORT);
    let native = hub.native();
    native.create(&[task("a", &[])]);
    native.steal_one(&worker(1));
    let who = Some(worker(1));
    let more = Steal { worker: who, number: 2, n: 1, wait_ms: 60_000, ..Steal::default() };
    let Answer::Stolen(told) = native.ask(Body::Steal(more)) else { panic!("not stolen") };
    assert_eq!((told.leases, told.lost[0].name.as_str()), (vec![], "a"));
    assert_eq!(native.state("a"), State::Ready);
}

#[test]
fn a_heartbeat_hears_what_is_not_held() {
    let hub = Hub::start();
    let native = hub.native();
    native.create(&[task("a", &[])]);
    let lease = native.steal_one(&worker(1));
    let answer = native.ask(Body::Heartbeat(beat(&worker(2), &[&lease])));
    let Answer::Heartbeaten(beaten) = answer else { panic!("no heartbeat") };
    assert_eq!(beaten.lost[0].name, "a");
    assert_eq!(native.state("a"), State::Running);
}

#[test]
fn a_worker_without_heartbeats_has_its_own_long_term() {
    let hub = Hub::with(&["--worker-timeout", "1s", "--lease", "2h"]);
    let native = hub.native();
    native.create(&[task("short", &[]), task("long", &[]), task("own", &[])]);
    native.steal_one(&worker(1));
    assert_eq!(native.steal_one(&plain_worker("w")).term_ms, 2 * 3600 * 1000);
    let own = Steal { worker: Some(worker(2)), n: 1, lease_ms: 5_000, ..Steal::default() };
    assert_eq!(native.steal(own).leases[0].term_ms, 5_000);
    await_state(&native, "short", State::Ready);
    assert_eq!(native.state("long"), State::Running);
}

/// Five workers in a row went silent with the task started.
#[test]
fn a_task_that_takes_its_workers_down_fails() {
    let hub = Hub::with(&SHORT);
    let native = hub.native();
    native.create(&[task("killer", &[]), task("after", &["killer"])]);
    for byte in 1..=5 {
        let lease = native.steal_one(&worker(byte));
        native.ask(Body::Heartbeat(beat(&worker(byte), &[&lease])));
        eventually("the lease to end", || (native.state("killer") != State::Running).then_some(()));
    }
    let shown = native.show("killer").task.unwrap();
    assert_eq!((shown.state(), shown.reclaims), (State::Failed, 5));
    assert!(shown.reason.contains("took down 5 workers"), "{}", shown.reason);
    assert_eq!(native.state("after"), State::Skipped);
}

#[test]
fn leases_start_afresh_after_a_restart() {
    let mut hub = Hub::with(&SHORT);
    hub.native().create(&[task("a", &[])]);
    let lease = hub.native().steal_one(&worker(1));
    hub.restart();
    let native = hub.native();
    assert_eq!(native.state("a"), State::Running);
    let shown = native.show("a").task.unwrap();
    assert_eq!((shown.attempt, shown.worker), (lease.attempt, worker(1).name));
    await_state(&native, "a", State::Ready);
}

/// Reports have a connection of their own: a last one may arrive after the Exit.
#[test]
fn a_late_heartbeat_does_not_bring_a_worker_back() {
    let hub = Hub::start();
    let native = hub.native();
    native.create(&[task("a", &[])]);
    native.steal_one(&worker(1));
    native.ask(Body::Exit(Exit { worker: Some(worker(1)) }));
    assert_eq!(native.status().workers_total, 0);
    native.ask(Body::Heartbeat(beat(&worker(1), &[])));
    assert_eq!(native.status().workers_total, 0);
    native.steal_one(&worker(1));
    assert_eq!(native.status().workers_total, 1);
}
