//! Steal: parked requests, repeats, order.

use dhub_proto::wire::reply::Body as Answer;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::{Complete, ErrorCode, Phase, State, Steal, Task};
use e2e::{Hub, eventually, outcome_done, plain_worker, task, worker};

/// A steal of a worker with an id, repeatable under its number.
fn numbered(byte: u8, number: u64, n: u32) -> Steal {
    Steal { worker: Some(worker(byte)), number, n, ..Steal::default() }
}

/// A steal that the hub may keep until the test is over.
fn parked(byte: u8, number: u64) -> Steal {
    Steal { wait_ms: 60_000, ..numbered(byte, number, 1) }
}

#[test]
fn a_parked_steal_is_woken_by_a_create() {
    let hub = Hub::start();
    let (idle, other) = (hub.native(), hub.native());
    idle.send(Body::Steal(parked(1, 1)));
    eventually("the worker to be known", || (other.status().workers_total == 1).then_some(()));
    assert!(!idle.has_reply(0));
    other.create(&[task("a", &[])]);
    let Some(Answer::Stolen(stolen)) = idle.receive().body else { panic!("not stolen") };
    assert_eq!(stolen.leases[0].name, "a");
}

#[test]
fn parked_steals_are_woken_by_a_completion_oldest_first() {
    let hub = Hub::start();
    let (first, second, other) = (hub.native(), hub.native(), hub.native());
    other.create(&[task("a", &[]), task("b", &["a"])]);
    let lease = other.steal_one(&plain_worker("w"));
    for (known, (native, byte)) in [(&first, 1), (&second, 2)].into_iter().enumerate() {
        native.send(Body::Steal(parked(byte, 1)));
        let all = known as u64 + 2;
        eventually("the worker", || (other.status().workers_total == all).then_some(()));
    }
    other.report(&plain_worker("w"), vec![outcome_done(&lease)]);
    let Some(Answer::Stolen(stolen)) = first.receive().body else { panic!("not stolen") };
    assert_eq!(stolen.leases[0].name, "b");
    assert!(!second.has_reply(0), "one task for one worker");
    other.report(&worker(1), vec![outcome_done(&stolen.leases[0])]);
    let Some(Answer::Stolen(stolen)) = second.receive().body else { panic!("not stolen") };
    assert_eq!((stolen.leases.len(), stolen.phase()), (0, Phase::Finished), "nothing more comes");
}

#[test]
fn a_parked_steal_ends_when_its_time_is_over() {
    let hub = Hub::start();
    let steal = Steal { wait_ms: 50, ..numbered(1, 1, 1) };
    let stolen = hub.native().steal(steal);
    assert_eq!((stolen.leases.len(), stolen.phase()), (0, Phase::Empty));
}

#[test]
fn a_newer_steal_takes_the_place_of_the_parked_one() {
    let hub = Hub::start();
    let native = hub.native();
    native.send(Body::Steal(parked(1, 1)));
    let newer = native.send(Body::Steal(parked(1, 2)));
    // Answered after both of them have arrived.
    assert_eq!(native.counts().ready, 0);
    hub.native().create(&[task("a", &[]), task("b", &[])]);
    assert_eq!(native.receive().id, newer);
    assert!(!native.has_reply(100), "the older one has no reply");
    assert_eq!(native.counts().running, 1);
}

#[test]
fn a_worker_that_stays_outlives_the_graph() {
    let hub = Hub::start();
    let (idle, other) = (hub.native(), hub.native());
    other.create(&[task("a", &[])]);
    let lease = other.steal_one(&plain_worker("w"));
    other.report(&plain_worker("w"), vec![outcome_done(&lease)]);
    let leaves = idle.steal(parked(1, 1));
    assert_eq!(leaves.phase(), Phase::Finished);
    idle.send(Body::Steal(Steal { stay: true, ..parked(1, 2) }));
    assert!(!idle.has_reply(100));
    other.create(&[task("b", &[])]);
    let Some(Answer::Stolen(stolen)) = idle.receive().body else { panic!("not stolen") };
    assert_eq!(stolen.leases[0].name, "b");
}

#[test]
fn a_repeat_gets_the_same_leases_also_after_a_kill() {
    let mut hub = Hub::start();
    let native = hub.native();
    native.create(&["a", "b", "c", "d", "e"].map(|name| task(name, &[])));
    let first = native.steal(numbered(1, 7, 3));
    assert_eq!(first.leases.len(), 3);
    assert_eq!(native.steal(numbered(1, 7, 3)).leases, first.leases);
    hub.restart();
    let native = hub.native();
    assert_eq!(native.steal(numbered(1, 7, 3)).leases, first.leases);
    assert_eq!(native.steal(numbered(1, 6, 3)).leases, [], "a lower number gets nothing");
    assert_eq!(native.counts().running, 3);
    let second = native.steal(numbered(1, 8, 3));
    assert_eq!(second.leases.len(), 2);
    assert_eq!(native.steal(numbered(1, 7, 3)).leases, [], "it is lower now");
}

#[test]
fn a_repeat_leaves_out_what_was_completed() {
    let hub = Hub::start();
    let native = hub.native();
    native.create(&[task("a", &[]), task("b", &[])]);
    let leases = native.steal(numbered(1, 1, 2)).leases;
    native.report(&worker(1), vec![outcome_done(&leases[0])]);
    assert_eq!(native.steal(numbered(1, 1, 2)).leases, leases[1..]);
}

#[test]
fn the_client_of_a_nameless_worker_makes_its_steals_repeatable() {
    let hub = Hub::start();
    let native = hub.native();
    native.create(&[task("a", &[]), task("b", &[])]);
    let client = vec![9; 16];
    let steal =
        Steal { worker: Some(plain_worker("w")), client, number: 1, n: 1, ..numbered(0, 0, 0) };
    let first = native.steal(steal.clone());
    assert_eq!(native.steal(steal).leases, first.leases);
    assert_eq!(native.counts().running, 1);
}

#[test]
fn complete_with_want_steals_in_one_round_trip_and_can_be_repeated() {
    let mut hub = Hub::start();
    let native = hub.native();
    native.create(&[task("a", &[]), task("b", &["a"]), task("c", &[])]);
    let lease = native.steal(numbered(1, 1, 1)).leases.remove(0);
    let complete = Complete {
        worker: Some(worker(1)),
        outcomes: vec![outcome_done(&lease)],
        want: 1,
        number: 2,
        ..Complete::default()
    };
    let completed = native.complete(complete.clone());
    let stolen = completed.stolen.unwrap();
    assert_eq!(completed.refused, []);
    assert_eq!(stolen.leases[0].name, "b", "made ready by this very outcome");
    hub.restart();
    let native = hub.native();
    let again = native.complete(complete.clone());
    assert_eq!((again.refused, again.stolen.unwrap().leases), (vec![], stolen.leases));
    assert_eq!(native.counts().running, 1);
    native.steal(numbered(1, 3, 1));
    let nothing = Complete { outcomes: vec![], number: 4, ..complete };
    assert_eq!(native.complete(nothing).stolen.unwrap().leases, [], "it never waits");
}

#[test]
fn larger_priorities_first_and_given_back_before_new() {
    let hub = Hub::start();
    let native = hub.native();
    let with = |name: &str, priority| Task { priority, ..task(name, &[]) };
    native.create(&[with("low", -1), with("old", 0), with("new", 0), with("high", 5)]);
    let who = plain_worker("w");
    let order: Vec<String> = (0..4).map(|_| native.steal_one(&who).name).collect();
    assert_eq!(order, ["high", "old", "new", "low"]);
    let exit = dhub_proto::wire::Exit { worker: Some(who.clone()) };
    native.ask(Body::Exit(exit));
    native.create(&[with("newest", 0)]);
    let order: Vec<String> = (0..5).map(|_| native.steal_one(&who).name).collect();
    assert_eq!((order[0].as_str(), order[3].as_str()), ("high", "newest"), "{order:?}");
}

#[test]
fn the_phase_tells_stuck_from_finished() {
    let hub = Hub::start();
    let native = hub.native();
    native.create(&[task("a", &["nobody"])]);
    let stolen = native.steal(parked(1, 1));
    assert_eq!((stolen.leases.len(), stolen.phase()), (0, Phase::Stuck));
    assert_eq!(native.state("nobody"), State::Missing);
    native.create(&[task("nobody", &[])]);
    assert_eq!(native.steal(numbered(1, 2, 1)).phase(), Phase::Active);
}

#[test]
fn steals_that_make_no_sense_are_refused() {
    let hub = Hub::start();
    let native = hub.native();
    let named = |name: &str| Some(plain_worker(name));
    let short = dhub_proto::wire::Worker { id: vec![1; 15], ..worker(1) };
    let cases = [
        (Steal { worker: None, n: 1, ..Steal::default() }, ErrorCode::ErrorInvalid),
        (Steal { worker: named(""), n: 1, ..Steal::default() }, ErrorCode::ErrorInvalid),
        (Steal { worker: Some(short), n: 1, ..Steal::default() }, ErrorCode::ErrorInvalid),
        (Steal { client: vec![1], ..numbered(1, 1, 1) }, ErrorCode::ErrorInvalid),
        (Steal { lease_ms: 999, ..numbered(1, 1, 1) }, ErrorCode::ErrorInvalid),
        (numbered(1, u64::MAX, 1), ErrorCode::ErrorInvalid),
        (
            Steal { worker: named(&"w".repeat(256)), n: 1, ..Steal::default() },
            ErrorCode::ErrorLimit,
        ),
        (Steal { lease_ms: u64::MAX, ..numbered(1, 1, 1) }, ErrorCode::ErrorLimit),
        (numbered(1, 1, 65_537), ErrorCode::ErrorLimit),
    ];
    for (steal, code) in cases {
        assert_eq!(native.error(Body::Steal(steal.clone())).0, code, "{steal:?}");
    }
    assert_eq!(native.status().workers_total, 0);
}
