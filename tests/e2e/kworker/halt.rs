//! `--halt`: pools that have enough of failures.

use e2e::{Hub, Process, eventually};

/// `bad` fails once `long` runs, which does not end by itself before the file `gate` is there.
const SCRIPT: &str = "case {} in
    bad) until test -e began; do sleep 0.02; done; exit 3;;
    long) echo >began; while test -e run.db && ! test -e gate; do sleep 0.02; done;;
    esac";

fn pool(halt: &str) -> (Hub, Process) {
    let hub = Hub::start();
    for (name, priority) in [("long", "9"), ("bad", "8"), ("a", "0"), ("b", "0")] {
        hub.query(&["create", name, "--priority", priority]).ok();
    }
    let pool = hub.worker(&["-j", "2", "--until-done", "--halt", halt, "--shell", SCRIPT]);
    (hub, pool)
}

#[test]
fn soon_lets_what_runs_end_and_gives_the_rest_back() {
    let (hub, mut pool) = pool("soon,fail=1");
    pool.hear("1 task failed here (--halt soon,fail=1; dquery list --worker ");
    pool.hear(" --state failed,waiting,ready); finishes 1 running");
    hub.query(&["status"]).exits(0);
    assert_eq!(hub.state("long"), "running");
    hub.write("gate", "");
    pool.end().exits(1).says(&["left; 2 tasks ran here, 1 failed"]);
    assert_eq!((hub.count("done"), hub.count("failed"), hub.count("ready")), (1, 1, 2));
}

#[test]
fn its_hint_shows_also_what_is_tried_again() {
    let hub = Hub::with(&["--retry-delay", "5m"]);
    hub.query(&["create", "bad", "--retries", "1"]).ok();
    hub.query(&["create", "worse"]).ok();
    let said = hub.worker(&["-j", "2", "--halt", "soon,fail=2", "--shell", "exit 1"]).end();
    said.exits(1);
    let (_, hint) = said.stderr.split_once("fail=2; ").expect("a hint");
    let (hint, _) = hint.split_once(')').expect("its end");
    let listed = hub.sh(&format!("{hint} --json"));
    let mut names: Vec<_> = listed.json_lines().iter().map(|it| it["name"].to_string()).collect();
    names.sort();
    assert_eq!(names, ["\"bad\"", "\"worse\""], "{listed:?}");
}

#[test]
fn now_ends_what_runs_which_has_not_failed() {
    let (hub, pool) = pool("now,fail=1");
    let said = pool.end();
    said.exits(1).says(&["1 task failed here (--halt now,fail=1", "ends 1 running task"]);
    assert_eq!((hub.count("failed"), hub.count("ready"), hub.count("running")), (1, 3, 0));
    let long = hub.show("long");
    assert_eq!((&long["task"]["failures"], &long["task"]["attempt"]), (&0.into(), &1.into()));
}

#[test]
fn one_failure_more_than_that_is_needed() {
    let hub = Hub::start();
    hub.write("tasks.txt", (0..40).map(|n| format!("t{n}\n")).collect::<String>());
    hub.query(&["addfile", "tasks.txt"]).ok();
    // Every fourth of those fails: a quarter is reached with the third failure.
    let script = "n={}; n=${n#t}; test $((n % 4)) != 3";
    let args = ["-j", "1", "--halt", "soon,fail=25%", "--until-done", "--shell", script];
    hub.worker(&args).end().exits(1).says(&["3 tasks failed here (--halt soon,fail=25%"]);
    assert_eq!((hub.count("failed"), hub.count("done")), (3, 9));
    hub.query(&["retry", "--failed"]).ok();
    let args = ["-j", "1", "--halt", "soon,fail=4", "--until-done", "--shell", "true"];
    hub.worker(&args).end().exits(0);
    eventually("all", || (hub.count("done") == 40).then_some(()));
}

#[test]
fn what_means_nothing_is_refused() {
    let space = e2e::Space::new();
    for halt in ["now", "2", "soon,success=1", "soon,fail=0"] {
        space.run("kworker", &["--halt", halt, "--", "true"]).exits(2).says(&["--halt"]);
    }
}
