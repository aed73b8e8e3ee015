//! Signals: once, it finishes what runs and gives the rest back; twice, it stops now.

use e2e::{Hub, Log, Process, eventually};
use rustix::process::{Pid, Signal, kill_process_group};

/// A pool of two that runs two of ten tasks, which wait for the file `gate`, and holds two more.
fn busy(hub: &Hub) -> Process {
    hub.write("tasks.txt", (0..10).map(|n| format!("t{n}\n")).collect::<String>());
    hub.query(&["addfile", "tasks.txt"]).ok();
    let script = "echo {} >>log; while test -e run.db && ! test -e gate; do sleep 0.02; done";
    let pool = hub.worker(&["-j", "2", "--ahead", "2", "--shell", script]);
    let log = Log::new(hub.path("log"));
    eventually("two tasks to run", || (log.len() == 2).then_some(()));
    pool
}

#[track_caller]
fn drains(signal: Signal) {
    let hub = Hub::start();
    let mut pool = busy(&hub);
    pool.signal(signal);
    pool.hear("finishes 2 running tasks");
    eventually("the rest to be given back", || (hub.count("ready") == 8).then_some(()));
    assert_eq!(hub.count("running"), 2);
    hub.write("gate", "");
    pool.end().exits(0);
    assert_eq!((hub.count("done"), hub.count("ready")), (2, 8));
    assert_eq!(Log::new(hub.path("log")).len(), 2, "nothing new was begun");
}

#[test]
fn sigterm_finishes_what_runs() {
    drains(Signal::TERM);
}

#[test]
fn so_does_ctrl_c() {
    drains(Signal::INT);
}

#[test]
fn ctrl_c_twice_stops_at_once_and_the_tasks_are_ready_again() {
    let hub = Hub::start();
    let mut pool = busy(&hub);
    pool.signal(Signal::INT);
    pool.hear("once more");
    pool.signal(Signal::INT);
    let output = pool.end();
    output.says(&["stops now"]);
    assert_ne!(output.code, Some(0));
    assert_eq!((hub.count("ready"), hub.count("running")), (10, 0));
    hub.write("gate", "");
    hub.worker(&["-j", "2", "--until-done", "--", "true"]).end().exits(0);
    assert_eq!(hub.count("done"), 10);
}

#[test]
fn an_idle_pool_leaves_at_once() {
    let hub = Hub::start();
    let mut pool = hub.worker(&["-j", "2", "--", "true"]);
    pool.hear("2 slots");
    eventually("the pool to be known", || {
        let status = hub.query(&["status", "--json"]).json();
        (status["workers_total"] == 1).then_some(())
    });
    pool.signal(Signal::TERM);
    pool.end().exits(0);
    assert_eq!(hub.query(&["status", "--json"]).json()["workers_total"], 0);
}

#[test]
fn a_drain_while_the_hub_is_away_reports_when_it_is_back() {
    let mut hub = Hub::start();
    let mut pool = busy(&hub);
    hub.kill9();
    pool.signal(Signal::TERM);
    pool.hear("finishes 2 running tasks");
    hub.restart();
    hub.write("gate", "");
    pool.end().exits(0);
    assert_eq!((hub.count("done"), hub.count("ready")), (2, 8));
}

#[test]
fn drained_from_outside_it_gives_back_at_once_and_leaves_when_the_rest_has_ended() {
    let hub = Hub::start();
    let mut pool = busy(&hub);
    eventually("tasks to be held ahead", || (hub.count("running") == 4).then_some(()));
    hub.query(&["worker", "drain", "*"]).ok();
    eventually("the rest to be given back", || (hub.count("ready") == 8).then_some(()));
    assert_eq!(hub.count("running"), 2);
    assert!(pool.is_running());
    hub.write("gate", "");
    pool.end().exits(0).says(&["the hub wants no more work done here; 2 running tasks finish"]);
    assert_eq!((hub.count("done"), hub.count("ready")), (2, 8));
}

#[test]
fn stopped_from_outside_it_kills_and_leaves_with_code_0() {
    let hub = Hub::start();
    let pool = busy(&hub);
    hub.query(&["worker", "stop", "*"]).ok();
    pool.end().exits(0).says(&["kills 2 running tasks"]);
    assert_eq!((hub.count("ready"), hub.count("running")), (10, 0));
    // Somebody else may run them all.
    hub.write("gate", "");
    hub.worker(&["-j", "2", "--until-done", "--", "true"]).end().exits(0);
    assert_eq!(hub.count("done"), 10);
}

#[test]
fn an_idle_pool_is_drained_and_stopped_too() {
    let hub = Hub::start();
    for order in ["drain", "stop"] {
        let mut pool = hub.worker(&["-j", "2", "--name", order, "--", "true"]);
        pool.hear("2 slots");
        let list = || hub.query(&["worker", "list"]).ok().contains(order).then_some(());
        eventually("the pool to be known", list);
        hub.query(&["worker", order, order]).ok();
        pool.end().exits(0);
    }
}

/// Two tasks, and their process groups.
fn with_groups(hub: &Hub) -> (Process, Vec<Pid>) {
    hub.query(&["create", "a"]).ok();
    hub.query(&["create", "b"]).ok();
    let pool = hub.worker(&["-j", "2", "--shell", "echo $$ >>groups; sleep 1000"]);
    let log = Log::new(hub.path("groups"));
    eventually("two tasks to run", || (log.len() == 2).then_some(()));
    let groups = log.names().into_iter().map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap());
    (pool, groups.collect())
}

#[test]
fn tasks_that_are_killed_together_with_their_pool_are_given_back() {
    for pool_first in [true, false] {
        let hub = Hub::start();
        let (pool, groups) = with_groups(&hub);
        // As a batch system does it with all processes of a job.
        if pool_first {
            pool.signal(Signal::TERM);
        }
        for group in groups {
            kill_process_group(group, Signal::TERM).unwrap();
        }
        pool.signal(Signal::TERM);
        let ended = pool.end();
        assert_eq!((hub.count("ready"), hub.count("failed")), (2, 0), "{pool_first} {ended:?}");
    }
}

#[test]
fn a_task_that_is_killed_alone_has_failed() {
    let hub = Hub::start();
    let (_pool, groups) = with_groups(&hub);
    kill_process_group(groups[0], Signal::TERM).unwrap();
    eventually("the failure", || (hub.count("failed") == 1).then_some(()));
    assert_eq!(hub.count("running"), 1);
    let failed = if hub.state("a") == "failed" { "a" } else { "b" };
    assert_eq!(hub.show(failed)["task"]["exit_code"], 143);
}
