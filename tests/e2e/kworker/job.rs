//! The main job: a file of tasks, pools that drain it, exit codes that tell how it ended.

use e2e::{Hub, Log, Process, check_order};
use rustix::process::{Signal, kill_process};

/// Layers of tasks, each of which needs all of the layer before.
fn layers(layers: usize, width: usize) -> Vec<(String, Vec<String>)> {
    let name = |layer: usize, n: usize| format!("t{layer}-{n}");
    let needs = |layer: usize| match layer {
        0 => Vec::new(),
        _ => (0..width).map(|n| name(layer - 1, n)).collect(),
    };
    (0..layers)
        .flat_map(|layer| (0..width).map(move |n| (layer, n)))
        .map(|(layer, n)| (name(layer, n), needs(layer)))
        .collect()
}

/// In the reverse order, so that every line names what comes later.
fn lines(tasks: &[(String, Vec<String>)]) -> String {
    let line = |(name, needs): &(String, Vec<String>)| format!("{name},{}\n", needs.join(","));
    tasks.iter().rev().map(line).collect()
}

#[test]
fn two_pools_run_every_task_once_and_in_order() {
    let hub = Hub::start();
    let tasks = layers(6, 12);
    hub.write("tasks.txt", lines(&tasks));
    hub.query(&["addfile", "tasks.txt"]).ok();
    let start = || hub.worker(&["-j", "3", "--until-done", "--shell", "echo {} >>log"]);
    let pools = [start(), start()];
    for pool in pools {
        pool.end().exits(0);
    }
    check_order(&Log::new(hub.path("log")), &tasks, 1);
    hub.query(&["wait"]).exits(0).prints(&["72 done"]);
}

#[test]
fn pools_that_start_first_wait_for_tasks() {
    let hub = Hub::start();
    let mut pool = hub.worker(&["-j", "2", "--max-tasks", "1", "--shell", "echo {} >>log"]);
    pool.hear("2 slots");
    hub.query(&["create", "a"]).ok();
    pool.end().exits(0);
    assert_eq!(Log::new(hub.path("log")).names(), ["a"]);
}

#[test]
fn a_pool_that_stays_outlives_the_graph() {
    let hub = Hub::start();
    let mut pool = hub.worker(&["-j", "2", "--shell", "echo {} >>log"]);
    for name in ["a", "b"] {
        hub.query(&["create", name]).ok();
        hub.query(&["wait"]).exits(0);
        assert!(pool.is_running());
    }
    assert_eq!(Log::new(hub.path("log")).names(), ["a", "b"]);
}

#[test]
fn until_done_tells_how_it_ended() {
    let hub = Hub::start();
    let run = || hub.worker(&["-j", "2", "--until-done", "--shell", "test {} != bad"]).end();
    hub.query(&["create", "good"]).ok();
    run().exits(0);
    hub.query(&["create", "bad"]).ok();
    hub.query(&["create", "after", "bad"]).ok();
    run().exits(1);
    hub.query(&["create", "stuck", "nobody"]).ok();
    run().exits(5);
    assert_eq!((hub.state("bad"), hub.state("after")), ("failed".into(), "skipped".into()));
}

#[test]
fn the_hub_shows_who_works() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    let gate = "touch started; while test -e run.db && ! test -e gate; do sleep 0.02; done";
    let pool = hub.worker(&["-j", "3", "--name", "my-pool", "--until-done", "--shell", gate]);
    e2e::eventually("the task to start", || hub.path("started").exists().then_some(()));
    let worker = e2e::eventually("a report of it", || {
        let worker = hub.query(&["status", "--json"]).json()["workers"][0].clone();
        let disk = worker["sample"]["disk_free_bytes"].as_u64().unwrap_or_default();
        (worker["started"] == 1 && disk > 0).then_some(worker)
    });
    assert_eq!((&worker["name"], &worker["sample"]["slots"]), (&"my-pool".into(), &3.into()));
    hub.query(&["status"]).exits(0).prints(&["running 1", "my-pool"]);
    hub.write("gate", "");
    pool.end().exits(0);
}

#[test]
fn the_hub_is_found_without_an_option() {
    let hub = Hub::start();
    hub.space.run("dquery", &["create", "a"]).ok();
    hub.space.run("kworker", &["-j", "1", "--until-done", "--", "true"]).exits(0);
    assert_eq!(hub.state("a"), "done");
}

#[test]
fn no_request_is_lost_to_a_signal() {
    let hub = Hub::start();
    let names: String = (0..1000).map(|n| format!("t{n}\n")).collect();
    hub.write("tasks.txt", names);
    hub.query(&["addfile", "tasks.txt"]).ok();
    let mut command = hub.command("kworker");
    command.args(["-j", "2", "--until-done", "--", "/bin/true"]).env("RUST_LOG", "info");
    let pool = Process::start(command);
    // As when tasks end all the time: a signal may interrupt each system call.
    let pid = pool.pool();
    let signals = std::thread::spawn(move || {
        while kill_process(pid, Signal::CHILD).is_ok() {
            std::thread::sleep(std::time::Duration::from_micros(20));
        }
    });
    let output = pool.end();
    signals.join().unwrap();
    output.exits(0);
    assert!(!output.stderr.contains("sending again"), "{output:#?}");
    assert_eq!(hub.count("done"), 1000);
}
