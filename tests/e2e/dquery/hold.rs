//! complete, fail, release, heartbeat, exit: what a holder of tasks says.

use e2e::Hub;

/// A hub with tasks that this machine holds.
fn holding(names: &[&str]) -> Hub {
    let hub = Hub::with(&["--retry-delay", "0s"]);
    for name in names {
        hub.query(&["create", name, "--retries", "1"]).ok();
    }
    hub.query(&["steal", "-q", "-n", &names.len().to_string()]).ok();
    hub
}

#[test]
fn complete_is_silent_and_can_be_repeated() {
    let hub = holding(&["a", "b"]);
    for _ in 0..2 {
        let output = hub.query(&["complete", "a", "b"]);
        assert_eq!((output.ok(), output.stderr.as_str()), ("", ""));
    }
    assert_eq!(hub.count("done"), 2);
}

#[test]
fn only_the_holder_completes() {
    let hub = holding(&["a"]);
    hub.query(&["complete", "a", "--worker", "thief"]).exits(6).says(&["a"]).is_one_message();
    hub.query(&["complete", "a", "--attempt", "2"]).exits(6).says(&["a"]).is_one_message();
    assert_eq!(hub.state("a"), "running");
    hub.query(&["complete", "a", "--attempt", "1"]).ok();
    hub.query(&["complete", "a", "a", "--attempt", "1"]).exits(2).says(&["--attempt"]);
}

#[test]
fn what_was_refused_is_told_task_by_task() {
    let hub = holding(&["a"]);
    hub.query(&["create", "waits", "b"]).ok();
    let output = hub.query(&["complete", "nosuch", "waits", "a", "--json"]);
    output.exits(6).says(&["nosuch", "waits"]);
    assert_eq!(output.json()["accepted"], 1);
    let refused = output.json()["refused"].as_array().unwrap().clone();
    let codes: Vec<_> = refused.iter().map(|it| it["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["not_found", "state"]);
    assert_eq!(hub.state("a"), "done");
}

#[test]
fn fail_uses_up_the_retries() {
    let hub = holding(&["a"]);
    let fail = ["fail", "a", "--exit-code", "3", "--reason", "no input file"];
    hub.query(&fail).ok();
    assert_eq!(hub.state("a"), "ready");
    hub.query(&["steal", "-q"]).ok();
    hub.query(&fail).ok();
    let shown = hub.show("a");
    assert_eq!(shown["task"]["state"], "failed");
    let attempt = &shown["attempts"][1];
    assert_eq!((&attempt["exit_code"], &attempt["reason"]), (&3.into(), &"no input file".into()));
    hub.query(&["complete", "a"]).exits(6).says(&["a", "failed"]);
}

#[test]
fn release_gives_back_unstarted() {
    let hub = holding(&["a"]);
    hub.query(&["release", "a", "--worker", "thief"]).exits(6).says(&["a"]);
    hub.query(&["release", "a"]).ok();
    assert_eq!(hub.state("a"), "ready");
    hub.query(&["complete", "a"]).exits(6).says(&["given back"]);
    assert_eq!(hub.query(&["steal", "--json"]).json()["tasks"][0]["attempt"], 2);
}

#[test]
fn heartbeat_tells_what_is_not_held_any_more() {
    let hub = holding(&["a", "b"]);
    hub.query(&["heartbeat", "a", "b"]).ok();
    hub.query(&["release", "b"]).ok();
    let output = hub.query(&["heartbeat", "a", "b", "--json"]);
    output.exits(6).says(&["b"]);
    assert_eq!(output.json()["lost"][0]["name"], "b");
}

#[test]
fn a_short_lease_ends_and_a_heartbeat_renews_it() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    hub.query(&["create", "b"]).ok();
    hub.query(&["steal", "-q", "--lease", "3s", "keeper"]).ok();
    hub.query(&["steal", "-q", "--lease", "1s", "sleeper"]).ok();
    e2e::eventually("b to be taken back", || {
        hub.query(&["heartbeat", "a", "--worker", "keeper"]).ok();
        (hub.state("b") == "ready").then_some(())
    });
    assert_eq!(hub.state("a"), "running");
    e2e::eventually("a to be taken back", || (hub.state("a") == "ready").then_some(()));
}

#[test]
fn exit_frees_what_a_worker_holds() {
    let hub = holding(&["a", "b"]);
    hub.query(&["exit"]).exits(0).prints(&["2 tasks"]);
    assert_eq!(hub.count("ready"), 2);
    assert_eq!(hub.query(&["exit", "--json"]).json()["released"], 0);
}
