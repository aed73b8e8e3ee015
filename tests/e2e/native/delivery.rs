//! Leases that reach nobody are taken back at once, not when they expire.

use std::time::Duration;

use dhub_proto::wire::reply::Body as Answer;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::{Lease, Steal};
use e2e::{Hub, Native, eventually, outcome_done, plain_worker, task, worker};
use rustix::process::Signal;

#[test]
fn leases_for_a_client_that_is_gone_are_taken_back_at_once() {
    let hub = Hub::start();
    let native = hub.native();
    let gone = hub.native();
    let steal = Steal { worker: Some(worker(1)), n: 2, wait_ms: 60_000, ..Steal::default() };
    gone.send(Body::Steal(steal));
    eventually("the steal to be parked", || (native.status().workers_total == 1).then_some(()));
    drop(gone);
    native.create(&[task("a", &[]), task("b", &[])]);
    // A lease would last 30 s, and nobody else ends it.
    let counts = eventually("both to be ready", || {
        let counts = native.counts();
        (counts.ready == 2).then_some(counts)
    });
    assert_eq!(counts.running, 0);
    assert_eq!(native.steal_one(&plain_worker("w")).attempt, 2, "the attempt stays used");
}

#[test]
fn a_parked_client_that_vanished_does_not_hide_the_next_one() {
    let hub = Hub::start();
    let (native, next) = (hub.native(), hub.native());
    let steal = |byte| {
        let worker = Some(worker(byte));
        Body::Steal(Steal { worker, n: 1, wait_ms: 60_000, ..Steal::default() })
    };
    for byte in 1..=3 {
        let gone: Native = hub.native();
        gone.send(steal(byte));
        let all = u64::from(byte);
        eventually("the steal", || (native.status().workers_total == all).then_some(()));
    }
    next.send(steal(4));
    eventually("the steal", || (native.status().workers_total == 4).then_some(()));
    native.create(&[task("a", &[])]);
    let reply = next.receive();
    assert!(format!("{reply:?}").contains("\"a\""), "{reply:?}");
}

/// Sends a steal over two connections to a hub that is stopped meanwhile; of the first, nobody is at
/// the end any more when it goes on. Which of them the hub reads first differs from round to round.
fn steal_twice(hub: &mut Hub, round: u64, steal: Steal) -> Native {
    let (first, second) = (hub.native(), hub.native());
    let (old, new) = if round.is_multiple_of(2) { (first, second) } else { (second, first) };
    old.status();
    new.status();
    hub.signal(Signal::STOP);
    // Both have to leave this process before the old one goes; nothing tells when they have.
    old.send(Body::Steal(steal.clone()));
    std::thread::sleep(Duration::from_millis(100));
    new.send(Body::Steal(steal));
    std::thread::sleep(Duration::from_millis(100));
    drop(old);
    hub.signal(Signal::CONT);
    new
}

#[track_caller]
fn first_lease(client: &Native) -> Lease {
    match client.receive().body {
        Some(Answer::Stolen(stolen)) => stolen.leases.into_iter().next().expect("a lease"),
        other => panic!("not stolen: {other:?}"),
    }
}

/// A client that got no answer asks again over a new connection; the hub, stopped meanwhile, finds
/// both copies, in either order, and nobody at the end of the old one.
#[test]
fn a_late_copy_on_a_dead_connection_takes_nothing_back() {
    let mut hub = Hub::start();
    let native = hub.native();
    for round in 1..=6 {
        native.create(&[task(&format!("t{round}"), &[])]);
        let steal = Steal { worker: Some(worker(1)), n: 1, number: round, ..Steal::default() };
        let lease = first_lease(&steal_twice(&mut hub, round, steal));
        // Whatever the hub still had to do with the other copy is done by then.
        native.status();
        assert_eq!(native.counts().running, 1, "round {round}");
        assert_eq!(native.report(&worker(1), vec![outcome_done(&lease)]), [], "round {round}");
    }
}

/// The same with nothing to steal: whichever copy is parked last, the live one is answered.
#[test]
fn a_late_copy_on_a_dead_connection_takes_no_place() {
    let mut hub = Hub::start();
    let native = hub.native();
    for round in 1..=6 {
        let steal = Steal {
            worker: Some(worker(1)),
            n: 1,
            number: round,
            wait_ms: 60_000,
            stay: true,
            ..Steal::default()
        };
        let new = steal_twice(&mut hub, round, steal);
        native.status();
        native.create(&[task(&format!("t{round}"), &[])]);
        let lease = first_lease(&new);
        assert_eq!(native.report(&worker(1), vec![outcome_done(&lease)]), [], "round {round}");
    }
}
