//! Pools that hear nothing of what happens to their hub, or whose heartbeats get lost.

use e2e::{Hub, Log, Proxy, Way, eventually};

use crate::run::{LONG, Run, through};

/// As when its machine loses power: no connection is ever closed.
#[test]
fn a_hub_that_vanishes_without_a_word_is_found_again_while_tasks_run() {
    let mut run = Run::start(16, LONG);
    // Each has the next ones in hand, too.
    let taken = |hub: &Hub| hub.count("running") + hub.count("done");
    eventually("all tasks to be taken", || (taken(&run.hub) == 16).then_some(()));
    run.proxy.hide_ends();
    run.hub.kill9();
    run.await_ran(9);
    run.hub.restart();
    run.ends_well();
}

#[test]
fn an_idle_pool_finds_a_hub_again_that_vanished_without_a_word() {
    let mut hub = Hub::start();
    let proxy = Proxy::to(&hub);
    let args = ["-j", "2", "--shell", "echo {} >>log"];
    let _pool = through(&hub, &proxy, "kworker", &args);
    let known = |hub: &Hub| (hub.native().status().workers_total == 1).then_some(());
    eventually("the pool", || known(&hub));
    proxy.hide_ends();
    hub.restart();
    hub.query(&["create", "a"]).ok();
    eventually("the task", || (hub.state("a") == "done").then_some(()));
    assert_eq!(Log::new(hub.path("log")).names(), ["a"]);
}

/// Reports vanish, requests do not: the pool has to notice within the term of its leases.
#[test]
fn heartbeats_that_vanish_cost_no_lease() {
    let hub = Hub::with(&["--worker-timeout", "6s"]);
    let proxy = Proxy::to(&hub);
    hub.query(&["create", "a"]).ok();
    let script = "echo {} >>started; while ! test -e gate; do sleep 0.1; done; echo {} >>log";
    let pool = through(&hub, &proxy, "kworker", &["-j", "1", "--until-done", "--shell", script]);
    let started = Log::new(hub.path("started"));
    eventually("the task to start", || (started.len() == 1).then_some(()));
    let connected = || (proxy.reports.accepted() > 0).then_some(());
    eventually("the reports' connection", connected);
    [Way::ToHub, Way::ToClient].map(|way| proxy.reports.swallow(way)).iter().for_each(drop);
    std::thread::sleep(std::time::Duration::from_secs(9));
    assert!(proxy.reports.swallowed(Way::ToHub) > 0);
    hub.write("gate", "");
    pool.end().exits(0);
    assert_eq!(Log::new(hub.path("log")).names(), ["a"]);
    let task = &hub.show("a")["task"];
    assert_eq!((&task["attempt"], &task["reclaims"]), (&1.into(), &0.into()));
}
