//! A hub that does not come back in time.

use e2e::{Hub, Log, Process, eventually};

/// Each task says its process and waits for the file `gate`, or for its directory to go.
const SCRIPT: &str = "echo $$ >>pids; while test -e run.db && ! test -e gate; do sleep 0.02; done";

/// Two tasks run, one more is held; then the hub dies.
fn orphaned(hub: &mut Hub, args: &[&str]) -> (Process, Vec<String>) {
    for name in ["a", "b", "c"] {
        hub.query(&["create", name]).ok();
    }
    let all = ["-j", "2", "--ahead", "1", "--until-done", "--hub-timeout", "2s", "--shell", SCRIPT];
    let mut pool = hub.worker(&[args, &all].concat());
    let pids = Log::new(hub.path("pids"));
    eventually("two tasks to run", || (pids.len() == 2).then_some(()));
    eventually("the third to be held", || (hub.count("running") == 3).then_some(()));
    assert!(pool.is_running());
    hub.kill9();
    (pool, pids.names())
}

fn are_there(pids: &[String]) -> bool {
    pids.iter().any(|pid| std::fs::exists(format!("/proc/{pid}")).expect("/proc"))
}

#[test]
fn running_tasks_may_end_and_what_was_not_reported_is_told() {
    let mut hub = Hub::start();
    let (mut pool, pids) = orphaned(&mut hub, &[]);
    pool.hear("silent for too long; 2 running tasks finish");
    assert!(are_there(&pids));
    hub.write("gate", "");
    pool.end().exits(7).says(&["2 outcomes could not be reported", "0 running tasks killed"]);
    assert_eq!(Log::new(hub.path("pids")).len(), 2, "nothing new was begun");
}

#[test]
fn or_they_are_killed() {
    let mut hub = Hub::start();
    let (pool, pids) = orphaned(&mut hub, &["--when-hub-is-lost", "kill"]);
    pool.end().exits(7).says(&["2 running tasks killed", "0 outcomes could not be reported"]);
    eventually("the processes to be gone", || (!are_there(&pids)).then_some(()));
}

#[test]
fn a_hub_that_comes_back_before_they_end_is_worked_for_again() {
    let mut hub = Hub::start();
    let (mut pool, _) = orphaned(&mut hub, &[]);
    pool.hear("silent for too long");
    hub.restart();
    pool.hear("the hub is back in time");
    hub.write("gate", "");
    pool.end().exits(0);
    assert_eq!(hub.count("done"), 3);
    assert_eq!(hub.show("a")["task"]["attempt"], 1);
}

#[test]
fn a_pool_without_work_leaves_too() {
    let mut hub = Hub::start();
    let mut pool = hub.worker(&["-j", "2", "--hub-timeout", "1s"]);
    pool.hear("2 slots");
    hub.kill9();
    pool.end().exits(7).says(&["silent for", "--hub-timeout"]);
}
