//! The command lines of dwork, and the shell loops that people write around them.

use std::time::{Duration, Instant};

use e2e::{Hub, Log};

/// As in dwork's own documentation, with `run` written out.
const LOOP: &str =
    "while task=$(dquery steal -q); do echo \"$task\" >>log && dquery complete -- \"$task\"; done";

#[test]
fn the_shell_loop_drains_the_hub_in_order() {
    let hub = Hub::start();
    hub.write("tasks.txt", "c,a,b\nb,a\na\nlone\nwith space,c\n");
    hub.query(&["addfile", "tasks.txt"]).ok();
    hub.sh(LOOP).exits(0);
    let log = Log::new(hub.path("log"));
    assert_eq!(log.sorted(), ["a", "b", "c", "lone", "with space"]);
    let names = log.names();
    let place = |name: &str| names.iter().position(|it| it == name).unwrap();
    assert!(place("a") < place("b") && place("b") < place("c"), "{names:?}");
    assert!(place("c") < place("with space"), "{names:?}");
    assert_eq!(hub.count("done"), 5);
}

#[test]
fn names_that_look_like_options_are_names_behind_the_dashes() {
    let hub = Hub::start();
    for name in ["--help", "-x", "--version"] {
        let said = hub.query(&["create", "--", name]);
        said.exits(0).says(&["looks like an option", "complete -- NAME"]);
    }
    for verb in ["complete", "fail", "release", "heartbeat", "show", "cancel", "retry", "hold"] {
        hub.query(&[verb, "-x"]).exits(2).says(&["to pass '-x' as a value, use '-- -x'"]);
    }
    let whole = "to pass '-dash' as a value, use '-- -dash'";
    hub.query(&["show", "-dash"]).exits(2).says(&[whole]);
    let alike = "to pass '--help-me' as a value, use '-- --help-me'";
    hub.query(&["complete", "--help-me"]).exits(2).says(&["similar", "'--help'", alike]);
    hub.sh(LOOP).exits(0);
    assert_eq!(Log::new(hub.path("log")).sorted(), ["--help", "--version", "-x"]);
    assert_eq!(hub.count("done"), 3);
}

/// As a new user copies it.
#[test]
fn the_loop_of_the_help_of_steal_takes_any_name_and_any_end() {
    let hub = Hub::start();
    let help = hub.query(&["steal", "--help"]).ok().to_owned();
    let begin = help.find("  while task=").expect("a loop");
    let (lines, _) = help[begin..].split_once("\n  done\n").expect("its end");
    for name in ["--help", "-x", "bad"] {
        hub.query(&["create", "--", name]).ok();
    }
    hub.sh(&format!(
        "printf '#!/bin/sh\ntest \"$1\" != bad' >run.sh; chmod +x run.sh\n{lines}\ndone"
    ))
    .exits(0);
    assert_eq!((hub.count("done"), hub.count("failed")), (2, 1));
}

#[test]
fn two_shell_loops_share_the_work() {
    let hub = Hub::start();
    hub.write("tasks.txt", (0..30).map(|n| format!("t{n}\n")).collect::<String>());
    hub.query(&["addfile", "tasks.txt"]).ok();
    let script = format!(
        "(DHUB_WORKER=one; export DHUB_WORKER; {LOOP}) & \
                          (DHUB_WORKER=two; export DHUB_WORKER; {LOOP}) & wait"
    );
    hub.sh(&script).exits(0);
    let names = Log::new(hub.path("log")).sorted();
    assert_eq!(names.len(), 30, "{names:?}");
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    assert_eq!(hub.count("done"), 30);
}

#[test]
fn command_lines_of_dwork_work_unchanged() {
    let hub = Hub::start();
    let tcp = hub.tcp();
    let dquery =
        |args: &[&str]| hub.space.run("dquery", &[&["--insecure", "-s", &tcp], args].concat());
    dquery(&["create", "a"]).ok();
    dquery(&["create", "b", "a"]).ok();
    assert_eq!(dquery(&["steal", "-q", "node12"]).ok(), "a\n");
    dquery(&["status"]).exits(0).prints(&["run.db"]);
    dquery(&["exit", "node12"]).ok();
    assert_eq!(dquery(&["steal", "-q", "-n", "4"]).ok(), "a\n");
    assert_eq!(dquery(&["complete", "a"]).ok(), "");
    assert_eq!(dquery(&["steal"]).exits(0).stdout.matches('b').count(), 1);
    dquery(&["complete", "b"]).ok();
}

#[test]
fn steal_tells_nothing_yet_from_all_done() {
    let hub = Hub::start();
    assert_eq!(hub.query(&["steal", "-q"]).exits(3).stdout, "", "nothing was added yet");
    hub.query(&["create", "a"]).ok();
    hub.query(&["create", "b", "a"]).ok();
    assert_eq!(hub.query(&["steal", "-q"]).ok(), "a\n");
    assert_eq!(hub.query(&["steal", "-q"]).exits(3).stdout, "", "b waits for a");
    hub.query(&["complete", "a"]).ok();
    assert_eq!(hub.query(&["steal", "-q"]).ok(), "b\n");
    hub.query(&["complete", "b"]).ok();
    assert_eq!(hub.query(&["steal", "-q"]).exits(4).stdout, "", "all are done");
    hub.query(&["steal"]).exits(4).says(&["all tasks are done"]);
    hub.query(&["create", "c", "nobody"]).ok();
    hub.query(&["steal", "-q"]).exits(5).says(&["nobody added"]);
}

#[test]
fn steal_waits_for_a_task_if_it_is_told_to() {
    let hub = Hub::start();
    let waiting = hub.query_process(&["steal", "-q", "--wait"]);
    hub.query(&["create", "a"]).ok();
    assert_eq!(waiting.end().ok(), "a\n");
    hub.query(&["steal", "-q", "--wait=200ms"]).exits(3);
    // The time is also that of --timeout, which says elsewhere how long the hub may take.
    for (args, least_ms) in
        [(&["--wait", "--timeout", "400ms"][..], 400), (&["--wait=300ms", "--timeout", "1h"], 300)]
    {
        let begin = Instant::now();
        hub.query(&[&["steal"], args].concat()).exits(3).says(&["nothing is ready yet"]);
        assert!(begin.elapsed() >= Duration::from_millis(least_ms), "{args:?}");
    }
    let waiting = hub.query_process(&["steal", "--wait"]);
    hub.query(&["complete", "a"]).ok();
    waiting.end().exits(4);
}

#[test]
fn steal_prints_names_a_table_or_json() {
    let hub = Hub::start();
    hub.query(&["create", "a", "--command", "./sim a", "--time-limit", "10m"]).ok();
    hub.query(&["create", "b"]).ok();
    let stolen = hub.query(&["steal", "--json", "-n", "2", "--lease", "5m"]);
    let tasks = &stolen.json()["tasks"];
    assert_eq!((&tasks[0]["name"], &tasks[0]["attempt"]), (&"a".into(), &1.into()));
    assert_eq!(tasks[0]["command"], "./sim a");
    assert_eq!(
        (&tasks[0]["time_limit_ms"], &tasks[1]["lease_ms"]),
        (&600_000.into(), &300_000.into())
    );
    hub.query(&["exit"]).exits(0).prints(&["2 tasks"]);
    let table = hub.query(&["steal", "-n", "2"]);
    table.exits(0).prints(&["TASK", "a", "./sim a", "b", "10 m"]);
    let nothing = hub.query(&["steal", "--json"]);
    assert_eq!(nothing.exits(3).json()["tasks"], serde_json::json!([]));
}

#[test]
fn create_says_what_became_of_the_task() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).exits(0).prints(&["a", "ready"]);
    hub.query(&["create", "b", "a"]).exits(0).prints(&["b", "not ready yet"]);
    hub.query(&["create", "a"]).exits(0).prints(&["already"]);
    let json = hub.query(&["create", "c", "--json"]).json();
    assert_eq!((&json["added"], &json["ready"]), (&1.into(), &1.into()));
    hub.query(&["create", "c", "--priority", "-3"]).exits(6).says(&["c"]).is_one_message();
    let max = "n".repeat(1024);
    hub.query(&["create", &max]).ok();
    hub.query(&["create", &(max + "n")]).exits(2).says(&["1,024"]);
}
