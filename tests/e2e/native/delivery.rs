//! Leases that reach nobody are taken back at once, not when they expire.

use dhub_proto::wire::Steal;
use dhub_proto::wire::request::Body;
use e2e::{Hub, Native, eventually, plain_worker, task, worker};

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
