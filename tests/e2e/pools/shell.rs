//! scripts/worker.sh: the worker that docs/protocol.md explains.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use e2e::{Hub, Process, eventually};
use rustix::process::Signal;

use crate::{has, left, script};

/// Writes its process, starts another one in the background, and ends when `gate` is there.
const WAITS: &str = "#!/bin/sh
sleep 1000 &
echo $$ >pid
while test -e run.db && ! test -e gate; do sleep 0.02; done
";

fn hub_with(tasks: &[&str], program: &str) -> Hub {
    let hub = Hub::start();
    for task in tasks {
        hub.query(&["create", "--", task]).ok();
    }
    hub.write("run", program);
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(hub.path("run"), mode).expect("a program");
    hub
}

/// The script, under a name of its own, by which what it leaves behind is found.
fn worker(hub: &Hub, shell: &str, args: &[&str]) -> Process {
    let mut command = hub.command(shell);
    command.arg(script("worker.sh")).args(["-n", &name(hub)]).args(args);
    Process::start(command)
}

fn name(hub: &Hub) -> String {
    format!("sh-{}-{}", std::process::id(), hub.port())
}

fn nothing_is_left(hub: &Hub) {
    left::nothing(&format!("DHUB_WORKER={}", name(hub)));
}

/// The process of the task, once it runs.
fn task_process(hub: &Hub) -> String {
    eventually("the task to start", || {
        let pid = fs::read_to_string(hub.path("pid")).unwrap_or_default();
        pid.ends_with('\n').then(|| format!("/proc/{}", pid.trim()))
    })
}

fn gone(process: &str) {
    let is_gone = || (!fs::exists(process).expect("/proc")).then_some(());
    eventually("the task's process to be gone", is_gone);
}

const NAMES: [&str; 8] = ["a", "b", "bad", "it's", "two words", "x\ny", "-n", "$(touch pwned)"];

#[test]
fn every_task_runs_once_and_its_outcome_counts() {
    for shell in ["sh", "bash"].into_iter().filter(|shell| has(shell)) {
        let note = "#!/bin/sh\nprintf '%s\\0' \"$1\" >>log; test \"$DHUB_TASK\" != bad || exit 3\n";
        let hub = hub_with(&NAMES, note);
        worker(&hub, shell, &["./run"]).end().exits(0);
        let log = fs::read_to_string(hub.path("log")).expect("a log");
        let mut ran: Vec<&str> = log.split_terminator('\0').collect();
        ran.sort_unstable();
        let mut names = NAMES;
        names.sort_unstable();
        assert_eq!(ran, names, "{shell}");
        assert!(!hub.path("pwned").exists());
        assert_eq!((hub.count("done"), hub.count("failed")), (7, 1), "{shell}");
        assert_eq!(hub.show("bad")["task"]["exit_code"], 3, "{shell}");
        nothing_is_left(&hub);
    }
}

#[test]
fn a_task_that_ends_before_its_heartbeats_have_begun_does_not_make_it_hang() {
    let hub = hub_with(&["a", "b"], "#!/bin/sh\n");
    // A signal between the fork and the trap is lost; that moment is long here.
    let text = fs::read_to_string(script("worker.sh")).expect("the script");
    let late = text.replace("heartbeats() {\n", "heartbeats() {\ntrap '' TERM; sleep 0.3\n");
    assert_ne!(late.matches("sleep 0.3").count(), 0);
    hub.write("late.sh", &late);
    let mut command = hub.command("sh");
    command.args(["late.sh", "-n", &name(&hub), "true"]);
    Process::start(command).end().exits(0);
    assert_eq!(hub.count("done"), 2);
    nothing_is_left(&hub);
}

#[test]
fn it_ends_when_the_rest_can_never_run() {
    let hub = hub_with(&[], "#!/bin/sh\n");
    hub.query(&["create", "a", "nobody"]).ok();
    worker(&hub, "sh", &["./run"]).end().exits(5).says(&["nobody added"]);
}

#[test]
fn a_task_outlives_its_term_and_a_restart_of_the_hub() {
    let mut hub = hub_with(&["a", "b"], WAITS);
    let worker = worker(&hub, "sh", &["-l", "2", "./run"]);
    let process = task_process(&hub);
    hub.kill9();
    // Longer than the term, and the first heartbeat finds no hub.
    std::thread::sleep(std::time::Duration::from_secs(3));
    hub.restart();
    hub.write("gate", "");
    worker.end().exits(0);
    gone(&process);
    for task in ["a", "b"] {
        let shown = hub.show(task);
        assert_eq!(
            (&shown["task"]["state"], &shown["task"]["attempt"]),
            (&"done".into(), &1.into())
        );
    }
    nothing_is_left(&hub);
}

#[test]
fn a_term_that_is_renewed_does_not_end() {
    let hub = hub_with(&["a"], "#!/bin/sh\nsleep 5\n");
    worker(&hub, "sh", &["-l", "2", "./run"]).end().exits(0);
    assert_eq!(hub.show("a")["task"]["attempt"], 1);
}

#[test]
fn killed_with_9_it_loses_its_task_and_leaves_no_process() {
    let hub = hub_with(&["a"], WAITS);
    let mut worker = worker(&hub, "sh", &["-l", "2", "-g", "1", "./run"]);
    let process = task_process(&hub);
    worker.kill9();
    gone(&process);
    eventually("the task to be taken back", || (hub.state("a") == "ready").then_some(()));
    assert_eq!(hub.show("a")["attempts"][0]["outcome"], "reclaimed");
    nothing_is_left(&hub);
}

#[test]
fn a_signal_gives_the_task_back_and_leaves_no_process() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        // The task pays no heed to SIGTERM.
        let hub = hub_with(&["a", "b"], &WAITS.replace("echo", "trap '' TERM; echo"));
        let worker = worker(&hub, "sh", &["-g", "1", "./run"]);
        let process = task_process(&hub);
        worker.signal(signal);
        worker.end().exits(code);
        gone(&process);
        assert_eq!(hub.count("ready"), 2, "{code}");
        nothing_is_left(&hub);
    }
}

#[test]
fn a_signal_ends_the_waiting_for_tasks() {
    let hub = hub_with(&["a"], WAITS);
    hub.query(&["steal", "other"]).ok();
    let waiting = worker(&hub, "sh", &["./run"]);
    let entry = format!("DHUB_WORKER={}", name(&hub));
    eventually("a steal", || {
        let lines = left::with_environment(&entry);
        lines.iter().any(|line| line.contains("dquery steal")).then_some(())
    });
    waiting.signal(Signal::TERM);
    waiting.end().exits(143);
    nothing_is_left(&hub);
    hub.query(&["release", "a", "--worker", "other"]).ok();
    assert_eq!(hub.state("a"), "ready");
}

#[test]
fn a_cancelled_task_is_killed_and_the_next_one_runs() {
    let hub = hub_with(&["a"], WAITS);
    let worker = worker(&hub, "sh", &["-l", "3", "-g", "1", "./run"]);
    let process = task_process(&hub);
    hub.query(&["create", "b"]).ok();
    hub.query(&["cancel", "a"]).ok();
    gone(&process);
    hub.write("gate", "");
    worker.end().exits(0).says(&["'a' runs here no more"]);
    assert_eq!((hub.state("a"), hub.state("b")), ("cancelled".into(), "done".into()));
    nothing_is_left(&hub);
}

#[test]
fn it_leaves_when_it_is_told_to() {
    for (order, done) in [("drain", 1), ("stop", 0)] {
        let hub = hub_with(&["a", "b"], WAITS);
        let worker = worker(&hub, "sh", &["-l", "3", "-g", "1", "./run"]);
        let process = task_process(&hub);
        hub.query(&["worker", order, &name(&hub)]).ok();
        if order == "drain" {
            hub.write("gate", "");
        }
        gone(&process);
        worker.end().exits(0).says(&["told to"]);
        assert_eq!((hub.count("done"), hub.count("ready")), (done, 2 - done), "{order}");
        nothing_is_left(&hub);
    }
}
