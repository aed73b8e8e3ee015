//! Pools that leave by themselves: enough done, nothing to do, out of time, on a broken machine.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant, SystemTime};

use e2e::{Hub, Log, Process, eventually};

const GATE: &str = "while test -e run.db && ! test -e gate; do sleep 0.02; done";

fn add(hub: &Hub, n: usize) {
    hub.write("tasks.txt", (0..n).map(|n| format!("t{n}\n")).collect::<String>());
    hub.query(&["addfile", "tasks.txt"]).ok();
}

#[test]
fn after_so_many_tasks() {
    let hub = Hub::start();
    add(&hub, 10);
    let pool = hub.worker(&["-j", "2", "--max-tasks", "3", "--shell", "echo {} >>log"]);
    pool.end().exits(0).says(&["3 tasks started", "left; 3 tasks ran here"]);
    assert_eq!(Log::new(hub.path("log")).len(), 3);
    assert_eq!((hub.count("done"), hub.count("ready"), hub.count("running")), (3, 7, 0));
}

#[test]
fn when_there_is_nothing_to_run() {
    let hub = Hub::start();
    let pool = hub.worker(&["-j", "2", "--idle-timeout", "500ms", "--shell", "echo {} >>log"]);
    pool.end().exits(0).says(&["nothing to run for 0.5 s"]);
    hub.query(&["create", "a"]).ok();
    let pool =
        hub.worker(&["-j", "2", "--idle-timeout", "2s", "--shell", "sleep 3; echo {} >>log"]);
    pool.end().exits(0).says(&["1 task ran here"]);
    assert_eq!(hub.state("a"), "done");
}

#[test]
fn where_everything_fails_at_once() {
    let hub = Hub::start();
    hub.query(&["create", "long", "--priority", "1"]).ok();
    add(&hub, 20);
    let script = format!("test {{}} = long || exit 5; {GATE}");
    let args = ["-j", "2", "--max-failures-in-a-row", "4", "--name", "broken", "--shell"];
    let mut pool = hub.worker(&[args.as_slice(), &[&script]].concat());
    pool.hear("4 tasks in a row failed");
    // What runs may end, and meanwhile people see what is wrong.
    let note = || {
        let status = hub.query(&["status", "--json"]).json();
        let note = status["workers"][0]["note"].as_str()?.to_owned();
        (!note.is_empty()).then_some(note)
    };
    assert_eq!(eventually("a note", note), "4 tasks in a row failed at once; steals no more");
    hub.query(&["status"]).exits(0).prints(&["steals no more"]);
    hub.write("gate", "");
    pool.end().exits(12).says(&["--max-failures-in-a-row 0"]);
    assert_eq!((hub.count("failed"), hub.count("ready"), hub.count("done")), (4, 16, 1));
    let pool = hub.worker(&["--max-failures-in-a-row", "0", "--until-done", "--shell", "exit 5"]);
    pool.end().exits(1);
    assert_eq!(hub.count("failed"), 20);
}

#[test]
fn when_no_hub_comes_in_time() {
    let space = e2e::Space::new();
    for limit in ["--time-limit", "--idle-timeout", "--hub-timeout"] {
        let output = space.run("kworker", &["--wait-for-hub", limit, "500ms", "--", "true"]);
        output.exits(7).says(&["no hub came in time"]);
    }
}

/// Process of the only task, once it runs.
fn pid(hub: &Hub) -> String {
    eventually("the task to run", || {
        let pid = std::fs::read_to_string(hub.path("pid")).unwrap_or_default();
        pid.ends_with('\n').then(|| pid.trim().to_owned())
    })
}

/// It left in time, and the task that it had is there for others.
#[track_caller]
fn leaves_in_time(hub: &Hub, pool: Process, within: Duration) {
    let start = Instant::now();
    let pid = pid(hub);
    pool.end().exits(0);
    // The machine may be slow; without a limit it would stay for ever.
    assert!(start.elapsed() < within + Duration::from_secs(20), "{:?}", start.elapsed());
    assert!(!std::fs::exists(format!("/proc/{pid}")).unwrap());
    assert_eq!(hub.state("a"), "ready");
    assert_eq!(hub.show("a")["task"]["failures"], 0);
}

#[test]
fn when_its_time_is_nearly_over() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    let script = "trap 'echo saved >saved; exit 0' TERM; echo $$ >pid; while :; do sleep 0.1; done";
    let pool = hub.worker(&["-j", "2", "--time-limit", "5s", "--shell", script]);
    leaves_in_time(&hub, pool, Duration::from_secs(5));
    assert!(hub.path("saved").exists(), "it was asked first");
}

#[test]
fn when_its_time_is_over_also_of_a_task_that_does_not_listen() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    let script = "trap '' TERM; echo $$ >pid; while :; do sleep 0.1; done";
    let pool = hub.worker(&["-j", "2", "--time-limit", "5s", "--shell", script]);
    leaves_in_time(&hub, pool, Duration::from_secs(5));
}

#[test]
fn tasks_that_would_not_end_in_time_are_not_begun() {
    let hub = Hub::start();
    add(&hub, 10);
    let pool = hub.worker(&["-j", "1", "--time-limit", "12s", "--shell", "echo {} >>log; sleep 3"]);
    pool.end().exits(0).says(&["the time is nearly over"]);
    // Whatever began, ended by itself.
    let begun = Log::new(hub.path("log")).len() as u64;
    assert!((1..4).contains(&begun), "{begun}");
    assert_eq!((hub.count("done"), hub.count("ready")), (begun, 10 - begun));
}

#[test]
fn before_the_end_of_its_slurm_job() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    let end = SystemTime::now() + Duration::from_secs(6);
    let end = end.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let script = "echo $$ >pid; sleep 1000";
    let mut command = hub.command("kworker");
    command.env("SLURM_JOB_ID", "4711").env("SLURM_JOB_END_TIME", end.to_string());
    let mut pool = Process::start({
        command.args(["-j", "2", "--shell", script]);
        command
    });
    pool.hear("Slurm job 4711");
    leaves_in_time(&hub, pool, Duration::from_secs(6));
}

/// Pools in a job of a Slurm that does not tell its end but by this `squeue`.
fn in_slurm<'a>(hub: &'a Hub, squeue: &str) -> impl Fn(&[&str]) -> Process + use<'a> {
    std::fs::create_dir(hub.path("bin")).unwrap();
    hub.write("bin/squeue", format!("#!/bin/sh\n{squeue}\n"));
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(hub.path("bin/squeue"), mode).unwrap();
    let path = format!("{}:{}", hub.path("bin").display(), std::env::var("PATH").unwrap());
    move |args| {
        let mut command = hub.command("kworker");
        command.env("SLURM_JOB_ID", "4711").env("PATH", &path).args(args);
        Process::start(command)
    }
}

#[test]
fn a_squeue_that_hangs_keeps_no_pool() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    let pool = in_slurm(&hub, "echo $$ >asked; sleep 1000");
    let said = pool(&["-j", "1", "--until-done", "--shell", "true"]).end();
    said.exits(0).says(&["squeue has not answered for 10 s; better say --time-limit"]);
    let asked = std::fs::read_to_string(hub.path("asked")).unwrap();
    let there = std::path::Path::new("/proc").join(asked.trim());
    eventually("squeue to be gone", || (!there.exists()).then_some(()));
}

#[test]
fn older_slurms_are_asked_for_the_end() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    let pool = in_slurm(&hub, "test \"$*\" = '-h -j 4711 -o %L' && echo 0:05");
    let script = "echo $$ >pid; sleep 1000";
    leaves_in_time(&hub, pool(&["-j", "1", "--shell", script]), Duration::from_secs(5));
    // Who says something else knows better.
    let args = ["-j", "1", "--time-limit", "none", "--until-done", "--shell", "true"];
    let said = pool(&args).end();
    said.exits(0);
    assert!(!said.stderr.contains("Slurm"), "{said:?}");
}

#[test]
fn until_done_ends_at_once_where_there_is_nothing() {
    let hub = Hub::start();
    let output = hub.worker(&["-j", "2", "--until-done"]).end();
    output.exits(0).says(&["the hub has no tasks", "0 tasks ran here"]);
}
