//! wait: its exit code tells how the run ended.

use e2e::{Hub, Terminal, eventually};

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
fn the_first_failure_holds_the_rest() {
    let hub = Hub::start();
    for name in ["a", "b", "c"] {
        hub.query(&["create", name]).ok();
    }
    hub.query(&["create", "d", "c"]).ok();
    hub.query(&["create", "else"]).ok();
    let waiting = hub.query_process(&["wait", "--hold-on-failure", "?"]);
    for name in ["a", "b"] {
        assert_eq!(hub.query(&["steal", "-q"]).ok(), format!("{name}\n"));
    }
    hub.query(&["fail", "a"]).ok();
    let output = waiting.end();
    output.exits(1).prints(&["1 failed"]);
    output.says(&["1 task failed: 2 tasks are held, 1 runs on", "dquery unhold --held"]);
    let held = |name: &str| hub.show(name)["task"]["held"] == true;
    assert_eq!(["b", "c", "d", "else"].map(held), [false, true, true, false]);
    // All of them: what failed before counts too, as it does for the exit code.
    let output = hub.query(&["wait", "--hold-on-failure"]);
    output.exits(1).says(&["1 task failed: 3 tasks are held, 1 runs on"]);
    hub.query(&["unhold", "--held"]).ok();
    hub.query(&["retry", "a"]).ok();
    let waiting = hub.query_process(&["wait", "--hold-on-failure"]);
    hub.query(&["complete", "b"]).ok();
    hub.sh(DRAIN).exits(0);
    waiting.end().exits(0);
}

#[test]
fn what_only_waits_in_a_worker_is_not_said_to_run() {
    let hub = Hub::start();
    hub.query(&["create", "bad"]).ok();
    hub.query(&["steal", "-q"]).ok();
    for n in 0..12 {
        let gate = "while test -e run.db && ! test -e gate; do sleep 0.02; done";
        hub.query(&["create", &format!("t{n}"), "--command", gate]).ok();
    }
    let pool = hub.worker(&["-j2", "--ahead", "3", "--until-done"]);
    eventually("it to have them", || (hub.count("running") == 6).then_some(()));
    hub.query(&["fail", "bad"]).ok();
    let rest = ", 2 run on, 3 wait in a worker and will run";
    let output = hub.query(&["wait", "--hold-on-failure", "t*", "bad"]);
    output.exits(1).says(&[&format!("1 task failed: 7 tasks are held{rest}")]);
    let output = hub.query(&["wait", "--hold-on-failure"]);
    output.exits(1).says(&[&format!("1 task failed: 7 tasks are held{rest}")]);
    hub.query(&["unhold", "--held"]).ok();
    hub.write("gate", "");
    pool.end().exits(1);
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
    hub.query(&["wait", "--timeout", "300ms"]).exits(10).says(&["not finished after 0.3 s"]);
    // The hub has its time to answer, however short the wait is.
    for short in ["0", "1ms"] {
        hub.query(&["wait", "--timeout", short]).exits(10).says(&["not finished after"]);
        hub.query(&["wait", "a", "--timeout", short]).exits(10).says(&["not finished after"]);
    }
    assert_eq!(hub.state("a"), "ready", "waiting changes nothing");
    hub.query(&["steal", "-q", "--wait", "--timeout", "0"]).exits(0).prints(&["a"]);
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
    let mut waiting = hub.query_process(&["wait", "--timeout", "1s", "--wait-limit", "1h"]);
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

#[test]
fn failures_are_grouped_at_the_end() {
    let hub = Hub::start();
    for name in ["a", "b", "c"] {
        hub.query(&["create", name]).ok();
        hub.query(&["steal", "-q"]).ok();
        hub.query(&["fail", name, "--exit-code", if name == "c" { "3" } else { "137" }]).ok();
    }
    let output = hub.query(&["wait"]);
    output.exits(1).prints(&["3 tasks: 3 failed", "2 × exit 137", "1 × exit 3", "dquery retry"]);
    let json = hub.query(&["wait", "--json"]).json();
    assert_eq!(
        (&json["failures"][0]["count"], &json["failures"][1]["names"][0]),
        (&2.into(), &"c".into())
    );
}

#[test]
fn without_a_terminal_it_says_now_and_then_how_far_it_is() {
    let hub = Hub::start();
    for name in ["a", "b"] {
        hub.query(&["create", name]).ok();
    }
    let mut waiting = hub.query_process(&["wait", "--every", "50ms"]);
    hub.sh("dquery complete $(dquery steal -q)").exits(0);
    waiting.hear("dquery: 50.0 %  1/2");
    hub.sh(DRAIN).exits(0);
    let output = waiting.end();
    output.exits(0);
    assert!(!output.stderr.contains(['\r', '\x1b', '[']), "no bar: {output:?}");
}

#[test]
fn at_a_terminal_there_is_a_bar_that_fits() {
    let hub = Hub::start();
    hub.write("tasks.txt", (0..4).map(|n| format!("t{n}\n")).collect::<String>());
    hub.query(&["addfile", "tasks.txt"]).ok();
    hub.sh("dquery complete $(dquery steal -q)").exits(0);
    let mut command = hub.command("dquery");
    command.args(["--timeout", "1s", "wait", "--wait-limit", "1h"]);
    let mut screen = Terminal::start(&command, 80, 24);
    let text = screen.shows("] 25.0 %  1/4");
    assert!(text.contains("[███████  "), "{text}");
    screen.resize(30, 10);
    screen.becomes("no bar, and one line", |text| {
        text.lines().filter(|line| line.contains("25.0 %")).count() == 1
            && text.trim_end().ends_with("25.0 %  1/4")
    });
    screen.resize(120, 24);
    hub.sh("dquery complete $(dquery steal -q)").exits(0);
    let text = screen.shows("] 50.0 %  2/4");
    assert!(text.trim_end().lines().last().is_some_and(|line| line.starts_with('[')), "{text}");
    screen.type_keys("\x03");
    assert_eq!(screen.end(), -2);
    screen.is_tidy();
    assert_eq!(hub.count("ready"), 2, "the run goes on");
}

#[test]
fn the_bar_goes_and_the_end_stays() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    let mut command = hub.command("dquery");
    command.arg("wait");
    let mut screen = Terminal::start(&command, 80, 24);
    screen.shows("0.0 %  0/1");
    hub.sh(DRAIN).exits(0);
    assert_eq!(screen.end(), 0);
    let text = screen.shows("1 task: 1 done");
    assert!(!text.contains('['), "{text}");
}

/// Steals that task alone, and reports how it ended.
fn run(hub: &Hub, task: &str, verb: &str) {
    let stolen = hub.query(&["steal", "-q", "-n", "9"]).ok().to_owned();
    assert!(stolen.lines().any(|it| it == task), "{stolen}");
    hub.query(&[verb, task]).ok();
    let others: Vec<_> = stolen.lines().filter(|&it| it != task).collect();
    if !others.is_empty() {
        hub.query(&[&["release"], &others[..]].concat()).ok();
    }
}

#[test]
fn some_are_waited_for_by_name_and_pattern() {
    let hub = Hub::start();
    for name in ["sim-1", "sim-2", "other", "bad"] {
        hub.query(&["create", name]).ok();
    }
    hub.query(&["create", "never", "nobody"]).ok();
    let mut waiting = hub.query_process(&["wait", "sim-*"]);
    run(&hub, "sim-1", "complete");
    assert!(waiting.is_running());
    // One that matches and is added later counts too.
    hub.query(&["create", "sim-3"]).ok();
    run(&hub, "sim-2", "complete");
    run(&hub, "sim-3", "complete");
    let output = waiting.end();
    output.exits(0).prints(&["3 tasks: 3 done"]);
    assert_eq!(hub.state("other"), "ready");
    hub.query(&["wait", "sim-1", "sim-2"]).exits(0).prints(&["2 tasks: 2 done"]);
    // Failures are those of what was waited for.
    run(&hub, "bad", "fail");
    hub.query(&["wait", "bad", "sim-*"]).exits(1).prints(&["4 tasks: 3 done, 1 failed", "bad"]);
    let json = hub.query(&["wait", "sim-*", "--json"]).json();
    assert_eq!((&json["counts"]["done"], json["failures"].as_array()), (&3.into(), Some(&vec![])));
    // The rest is stuck: what is finished is, and what is not will not be.
    run(&hub, "other", "complete");
    hub.query(&["wait", "sim-*"]).exits(0);
    hub.query(&["wait", "never", "sim-*"]).exits(5).says(&["nobody"]);
}

#[test]
fn some_are_waited_for_that_are_so_now() {
    let hub = Hub::start();
    for name in ["a", "b"] {
        hub.query(&["create", name]).ok();
    }
    hub.query(&["steal", "-q"]).ok();
    let mut waiting = hub.query_process(&["wait", "--state", "running", "--every", "50ms"]);
    // It has looked which those are.
    hub.query(&["wait", "--state", "running", "--wait-limit", "300ms"])
        .exits(10)
        .prints(&["1 task: 1 running"]);
    assert!(waiting.is_running());
    hub.query(&["steal", "-q"]).ok();
    hub.query(&["complete", "a"]).ok();
    waiting.end().exits(0).prints(&["1 task: 1 done"]);
    assert_eq!(hub.state("b"), "running");
}

#[test]
fn what_is_not_there_is_not_waited_for() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    hub.query(&["wait", "a", "nosuch"]).exits(6).says(&["there is no task 'nosuch'"]);
    hub.query(&["wait", "sim-*"]).exits(6).says(&["there is no such task", "dquery list"]);
    hub.query(&["wait", "--failed"]).exits(6).says(&["there is no such task"]);
}
