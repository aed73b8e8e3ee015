//! worker: who works, and telling them to drain or to stop.

use dhub_proto::wire::{Heartbeat, Sample, Steal, Worker, request::Body};
use e2e::{Hub, worker};

/// Two pools and a loop of a person.
fn staffed() -> Hub {
    let hub = Hub::start();
    let native = hub.native();
    for byte in [1, 2] {
        let who = Worker { host: format!("node{byte}"), ..worker(byte) };
        native.steal(Steal { worker: Some(who.clone()), n: 1, ..Steal::default() });
        let sample = Sample { slots: 7, cpu_percent: 50.0, ..Sample::default() };
        let note = "all is well".into();
        let beat =
            Heartbeat { worker: Some(who), sample: Some(sample), note, ..Heartbeat::default() };
        native.ask(Body::Heartbeat(beat));
    }
    hub.query(&["steal", "--worker", "login"]).exits(3);
    hub
}

#[test]
fn list_says_how_it_is_with_each() {
    let hub = staffed();
    let output = hub.query(&["worker", "list"]);
    output.exits(0).prints(&[
        "WORKER",
        "node1:1",
        "node2",
        "alive",
        "50 %",
        "all is well",
        "login",
    ]);
    let lines = hub.query(&["worker", "list", "--json"]).json_lines();
    assert_eq!(lines.len(), 3);
    assert_eq!((&lines[0]["host"], &lines[0]["sample"]["slots"]), (&"node1".into(), &7.into()));
    assert_eq!(lines[2]["name"], "login");
    Hub::start().query(&["worker", "list"]).exits(0).says(&["no workers", "kworker"]);
}

#[test]
fn drain_and_stop_say_who_was_told() {
    let hub = staffed();
    let output = hub.query(&["worker", "drain", "node1:1"]);
    output.exits(0).prints(&["1 worker told to drain: node1:1"]);
    hub.query(&["worker", "stop", "node?:*", "nosuch"])
        .exits(6)
        .prints(&["2 workers told to stop"])
        .says(&["no worker 'nosuch' is known"]);
    hub.query(&["worker", "drain", "nosuch"]).exits(6).prints(&["no worker was told to drain"]);
    let told = hub.query(&["worker", "drain", "login", "--json"]).json();
    assert_eq!((&told["workers"][0], &told["workers_total"]), (&"login".into(), &1.into()));
    let states: Vec<_> = hub.query(&["worker", "list", "--json"]).json_lines();
    let states: Vec<_> = states.iter().map(|it| it["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["stopping", "stopping", "draining"]);
    hub.query(&["worker", "drain"]).exits(2);
}
