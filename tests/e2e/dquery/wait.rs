//! wait: its exit code tells how the run ended.

use e2e::Hub;

/// Steals and completes everything.
const DRAIN: &str = "while t=$(dquery steal -q); do dquery complete \"$t\" || exit; done";

#[test]
fn all_done_is_zero() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    let waiting = hub.query_process(&["wait"]);
    hub.sh(DRAIN).exits(0);
    let output = waiting.end();
    output.exits(0).prints(&["1 task", "1 done"]);
}

#[test]
fn some_failed_is_one() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    hub.query(&["create", "b", "a"]).ok();
    hub.query(&["steal", "-q"]).ok();
    hub.query(&["fail", "a"]).ok();
    hub.query(&["wait"]).exits(1).prints(&["1 failed", "1 skipped"]);
    let json = hub.query(&["wait", "--json"]).json();
    assert_eq!((&json["phase"], &json["counts"]["failed"]), (&"finished".into(), &1.into()));
}

#[test]
fn stuck_is_five_and_names_what_is_missing() {
    let hub = Hub::start();
    hub.query(&["create", "a", "nobody"]).ok();
    hub.query(&["wait"]).exits(5).says(&["nobody"]);
}

#[test]
fn time_over_is_ten() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    hub.query(&["wait", "--wait-limit", "100ms"]).exits(10).says(&["not finished"]);
    assert_eq!(hub.state("a"), "ready", "waiting changes nothing");
}

#[test]
fn an_empty_hub_is_waited_for() {
    let hub = Hub::start();
    let mut waiting = hub.query_process(&["wait"]);
    waiting.hear("no tasks yet");
    hub.query(&["create", "a"]).ok();
    hub.sh(DRAIN).exits(0);
    waiting.end().exits(0);
}

#[test]
fn a_restart_of_the_hub_is_waited_through() {
    let mut hub = Hub::start();
    let mut waiting = hub.query_process(&["wait", "--timeout", "1s"]);
    waiting.hear("no tasks yet");
    hub.kill9();
    waiting.hear("the hub is silent");
    assert!(waiting.is_running());
    hub.restart();
    waiting.hear("the hub is back");
    hub.query(&["create", "a"]).ok();
    hub.sh(DRAIN).exits(0);
    waiting.end().exits(0);
}

#[test]
fn ctrl_c_leaves_the_run_alone() {
    let hub = Hub::start();
    let mut waiting = hub.query_process(&["wait"]);
    waiting.hear("no tasks yet");
    waiting.signal(rustix::process::Signal::INT);
    assert_eq!(waiting.end().code, None, "ended by the signal");
    hub.query(&["status"]).ok();
}
