//! Where people get stuck: what is said there is what "What now?" of the operator's page says.

use e2e::{Hub, Output, Space, eventually};

const DOCS: &str = include_str!("../../../docs/operations.md");

/// It was said, by this exit code, and the page has it.
#[track_caller]
fn says(output: &Output, code: i32, phrase: &str) {
    let what_now = DOCS.split("\n## What now?\n").nth(1).expect("the section");
    output.exits(code);
    let said = output.stdout.clone() + &output.stderr;
    assert!(said.contains(phrase), "nobody said '{phrase}': {output:#?}");
    assert!(what_now.contains(phrase), "the page does not have '{phrase}'");
}

#[test]
fn tasks_that_do_not_run() {
    let hub = Hub::start();
    hub.query(&["create", "waits", "misspelt"]).ok();
    let status = || hub.query(&["status"]);
    says(&hub.query(&["show", "waits"]), 0, "waiting");
    hub.query(&["create", "b", "waits", "other"]).ok();
    says(&status(), 0, "names that nobody added are waited for");
    hub.query(&["create", "r1"]).ok();
    hub.query(&["create", "r2"]).ok();
    says(&status(), 0, "tasks are ready, and no worker asks for them");
    for worker in ["w1", "w2"] {
        hub.query(&["steal", "-q", "--worker", worker]).ok();
        hub.query(&["release", if worker == "w1" { "r1" } else { "r2" }, "--worker", worker]);
    }
    hub.query(&["worker", "drain", "*"]).ok();
    says(&status(), 0, "workers were told to leave");
    says(&hub.query(&["create", "r1", "--command", "x"]), 6, "exists with another definition");
    hub.write("loop.txt", "x,y\ny,x\n");
    says(&hub.query(&["addfile", "loop.txt"]), 8, "these tasks wait for each other");
}

#[test]
fn tasks_that_failed() {
    let hub = Hub::with(&["--retry-delay", "1m"]);
    for (name, code) in [("lost", "127"), ("large", "137")] {
        hub.query(&["create", name]).ok();
        hub.query(&["steal", "-q"]).ok();
        hub.query(&["fail", name, "--exit-code", code]).ok();
    }
    hub.query(&["create", "later", "lost"]).ok();
    says(&hub.query(&["status"]), 0, "exit 127 (command not found)");
    says(&hub.query(&["status"]), 0, "exit 137 (killed; out of memory?)");
    says(&hub.query(&["show", "later"]), 0, "skipped");
    hub.query(&["cancel", "later"]);
    hub.query(&["create", "again", "--retries", "1"]).ok();
    hub.query(&["steal", "-q"]).ok();
    hub.query(&["fail", "again"]).ok();
    says(&hub.query(&["show", "again"]), 0, "tries again in");
    says(&hub.query(&["status"]), 0, "failed and waits for the next try");
}

#[test]
fn tasks_that_are_held() {
    let hub = Hub::start();
    for name in ["a", "b", "c"] {
        hub.query(&["create", name]).ok();
    }
    hub.query(&["hold", "a", "b"]).ok();
    says(&hub.query(&["status"]), 0, "are not given out until somebody says so");
    hub.query(&["list", "--held", "--columns", "name,held"]).exits(0).prints(&["a     held"]);
    says(&hub.query(&["show", "a"]), 0, "dquery unhold a");
}

#[test]
fn hubs_that_are_not_there() {
    let space = Space::new();
    let gone = ["--insecure", "-s", "tcp://127.0.0.1:9", "--timeout", "100ms", "status"];
    says(&space.run("dquery", &gone), 7, "no hub answers at");
    says(&space.run("dquery", &["status"]), 7, "none of your hubs runs");
    let hub = Hub::start();
    says(&hub.space.run("dhub", &["-f", "run.db", "--local"]), 20, "is in use by the hub on");
    hub.write("text.db", "no database, but long enough to be taken for the head of one".repeat(99));
    says(&hub.space.run("dhub", &["-f", "text.db", "--local"]), 22, "cannot use");
    let port = hub.port().to_string();
    let other = ["-f", "other.db", "--insecure", "-p", &port];
    says(&hub.space.run("dhub", &other), 23, "the address is in use");
    let program = ["--insecure", "-s", &hub.tcp(), "--", "./simulat"];
    says(&hub.space.run("kworker", &program), 2, "looked up before any task was stolen");
}

#[test]
fn a_shell_loop_that_has_ended_is_no_worker() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    hub.query(&["create", "b"]).ok();
    hub.query(&["steal", "-q", "--worker", "loop"]).ok();
    let state = || hub.query(&["workers", "--json"]).json()["state"].clone();
    assert_eq!(state(), "alive", "it runs a");
    hub.query(&["complete", "a", "--worker", "loop"]).ok();
    eventually("it to be away", || (state() == "away").then_some(()));
    let status = hub.query(&["status"]);
    status.prints(&["1 task is ready, and no worker is alive", "0 alive, 1 away"]);
    assert!(!status.stdout.contains("done at"), "{status:#?}");
    // One that waits for the next task is there.
    let waits = hub.query_process(&["steal", "-q", "--worker", "loop", "--wait", "-n", "1"]);
    waits.end().prints(&["b"]);
    assert_eq!(state(), "alive");
}
