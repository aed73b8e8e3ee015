//! What the protocol promises to a client that repeats itself over a new connection.

use dhub_proto::wire::request::Body;
use dhub_proto::wire::{Complete, State, Steal, Worker};
use e2e::{Hub, Native, Proxy, Way, eventually, outcome_done, plain_worker, task, worker};

/// Sends it over a connection that works, up to the answer.
fn with_lost_answer(proxy: &Proxy, body: Body) {
    let native = Native::connect(&proxy.tcp());
    native.status();
    let before = proxy.requests.swallowed(Way::ToClient);
    proxy.swallow(Way::ToClient);
    native.send(body);
    let lost = || (proxy.requests.swallowed(Way::ToClient) > before).then_some(());
    eventually("the answer to be lost", lost);
    proxy.heal();
}

fn steal(worker: &Worker, number: u64, n: u32) -> Steal {
    Steal { worker: Some(worker.clone()), number, n, ..Steal::default() }
}

#[test]
fn a_steal_whose_answer_was_lost_gets_the_same_leases() {
    let hub = Hub::start();
    let proxy = Proxy::to(&hub);
    let direct = hub.native();
    direct.create(&["a", "b", "c", "d", "e"].map(|name| task(name, &[])));
    let plain = Steal { client: vec![9; 16], ..steal(&plain_worker("w"), 1, 2) };
    for steal in [steal(&worker(1), 1, 2), plain] {
        with_lost_answer(&proxy, Body::Steal(steal.clone()));
        let running = direct.counts().running;
        let leases = Native::connect(&proxy.tcp()).steal(steal.clone()).leases;
        assert_eq!((leases.len(), leases[0].attempt), (2, 1));
        assert_eq!(direct.steal(steal).leases, leases);
        assert_eq!(direct.counts().running, running);
    }
    assert_eq!(direct.counts().running, 4);
}

#[test]
fn a_complete_whose_answer_was_lost_is_accepted_again_with_the_same_leases() {
    let hub = Hub::start();
    let proxy = Proxy::to(&hub);
    let direct = hub.native();
    direct.create(&["a", "b", "c"].map(|name| task(name, &[])));
    let lease = direct.steal(steal(&worker(1), 1, 1)).leases.remove(0);
    let complete = Complete {
        worker: Some(worker(1)),
        outcomes: vec![outcome_done(&lease)],
        want: 1,
        number: 2,
        ..Complete::default()
    };
    with_lost_answer(&proxy, Body::Complete(complete.clone()));
    assert_eq!(direct.state(&lease.name), State::Done);
    let completed = Native::connect(&proxy.tcp()).complete(complete);
    assert_eq!(completed.refused, []);
    let stolen = completed.stolen.expect("leases");
    assert_eq!((stolen.leases.len(), stolen.leases[0].attempt), (1, 1));
    let counts = direct.counts();
    assert_eq!((counts.done, counts.running, counts.ready), (1, 1, 1));
}

/// Parks a steal of this worker; its client is gone, and the hub does not know.
fn park_and_vanish(hub: &Hub, proxy: &Proxy, who: &Worker) {
    let native = Native::connect(&proxy.tcp());
    native.send(Body::Steal(Steal { wait_ms: 60_000, ..steal(who, 1, 1) }));
    let direct = hub.native();
    eventually("the steal to be parked", || (direct.status().workers_total == 1).then_some(()));
    proxy.cut_clients();
}

#[test]
fn a_half_open_connection_keeps_a_task_for_the_worker_timeout_at_most() {
    let hub = Hub::with(&["--worker-timeout", "3s"]);
    let proxy = Proxy::to(&hub);
    park_and_vanish(&hub, &proxy, &worker(1));
    let direct = hub.native();
    direct.create(&[task("a", &[])]);
    // It went to nobody, and is lost like every lease that is not renewed.
    let lease = eventually("the lease to end", || {
        direct.steal(steal(&plain_worker("w"), 0, 1)).leases.pop()
    });
    assert_eq!((lease.name.as_str(), lease.attempt), ("a", 2));
}

#[test]
fn a_half_open_connection_that_was_silent_for_the_worker_timeout_gets_nothing() {
    let hub = Hub::with(&["--worker-timeout", "1s"]);
    let proxy = Proxy::to(&hub);
    park_and_vanish(&hub, &proxy, &worker(1));
    let direct = hub.native();
    eventually("the worker to be lost", || {
        let status = direct.status();
        (status.workers.is_empty() || status.workers[0].lost).then_some(())
    });
    direct.create(&[task("a", &[])]);
    assert_eq!(direct.steal_one(&plain_worker("w")).attempt, 1);
}

#[test]
fn a_half_open_connection_of_a_worker_without_id_keeps_a_task_for_its_lease_or_until_exit() {
    let hub = Hub::with(&["--lease", "3s"]);
    let proxy = Proxy::to(&hub);
    let gone = plain_worker("gone");
    park_and_vanish(&hub, &proxy, &gone);
    let direct = hub.native();
    direct.create(&[task("a", &[]), task("b", &[])]);
    assert_eq!(direct.state("a"), State::Running);
    let lease = eventually("the lease to end", || {
        (direct.state("a") == State::Ready).then(|| direct.steal_one(&plain_worker("w")))
    });
    assert_eq!((lease.name.as_str(), lease.attempt), ("a", 2));
}
