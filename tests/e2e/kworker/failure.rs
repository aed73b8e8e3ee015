//! Tasks that fail, hang or write a lot.

use e2e::{Hub, Log};

fn run(hub: &Hub, args: &[&str]) -> e2e::Output {
    hub.worker(&[&["-j", "2", "--until-done"], args].concat()).end()
}

#[test]
fn the_exit_code_and_the_end_of_the_output_are_kept() {
    let hub = Hub::start();
    hub.query(&["create", "bad"]).ok();
    let script = "echo start; seq 20000; echo oops >&2; exit 3";
    run(&hub, &["--shell", script]).exits(1);
    let shown = hub.show("bad");
    let attempt = &shown["attempts"][0];
    assert_eq!((&attempt["outcome"], &attempt["exit_code"]), (&"failed".into(), &3.into()));
    let output = attempt["output"].as_str().unwrap();
    assert!(output.ends_with("oops\n") && output.contains("20000\n"), "{output}");
    assert!(!output.contains("start") && output.len() <= 16 * 1024, "{} bytes", output.len());
    hub.query(&["show", "bad"]).exits(0).prints(&["failed", "exit 3", "oops"]);
}

#[test]
fn a_task_is_tried_again_as_often_as_it_may() {
    let hub = Hub::start();
    hub.query(&["create", "flaky", "--retries", "2"]).ok();
    hub.query(&["create", "hopeless", "--retries", "1"]).ok();
    hub.query(&["create", "after", "hopeless"]).ok();
    let script = "echo {} >>log; test $DHUB_TASK$DHUB_ATTEMPT = flaky3";
    run(&hub, &["--shell", script]).exits(1);
    let mut expected = ["flaky"; 3].to_vec();
    expected.extend(["hopeless"; 2]);
    assert_eq!(Log::new(hub.path("log")).sorted(), expected);
    assert_eq!((hub.state("flaky"), hub.state("hopeless")), ("done".into(), "failed".into()));
    assert_eq!(hub.state("after"), "skipped");
}

#[test]
fn a_task_over_its_time_limit_is_stopped_with_its_children() {
    let hub = Hub::start();
    hub.query(&["create", "slow", "--time-limit", "300ms"]).ok();
    let script = "sh -c 'echo $$ >child; sleep 1000' & echo partial; wait";
    run(&hub, &["--shell", script]).exits(1);
    let shown = hub.show("slow");
    let reason = shown["task"]["reason"].as_str().unwrap();
    assert!(reason.contains("time"), "{reason}");
    assert_eq!(shown["attempts"][0]["output"], "partial\n");
    let child = std::fs::read_to_string(hub.path("child")).unwrap();
    let stat = format!("/proc/{}/stat", child.trim());
    e2e::eventually("the child to be gone", || {
        let stat = std::fs::read_to_string(&stat).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
}

#[test]
fn a_task_killed_by_a_signal_says_so() {
    let hub = Hub::start();
    hub.query(&["create", "killed"]).ok();
    run(&hub, &["--shell", "kill -9 $$"]).exits(1);
    assert_eq!(hub.show("killed")["task"]["exit_code"], 137);
}

#[test]
fn a_program_that_cannot_be_started_fails_its_task_only() {
    let hub = Hub::start();
    for name in ["true", "no-such-program"] {
        hub.query(&["create", name]).ok();
    }
    hub.sh("printf '#!/bin/sh\\n' >true; chmod +x true").exits(0);
    run(&hub, &["--", "./{}"]).exits(1);
    assert_eq!((hub.state("true"), hub.state("no-such-program")), ("done".into(), "failed".into()));
    assert_eq!(hub.show("no-such-program")["task"]["exit_code"], 127);
}

#[test]
fn output_that_is_no_text_is_no_trouble() {
    let hub = Hub::start();
    hub.query(&["create", "bytes"]).ok();
    run(&hub, &["--shell", "printf '\\377\\000\\033[2J'; exit 1"]).exits(1);
    let shown = hub.query(&["show", "bytes"]);
    assert!(!shown.ok().contains('\x1b'), "{shown:?}");
    hub.query(&["show", "bytes", "--json"]).json();
}

#[test]
fn tasks_do_not_wait_for_what_they_leave_in_the_background() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    run(&hub, &["--shell", "sleep 1000 & echo started"]).exits(0);
    assert_eq!(hub.state("a"), "done");
}

#[test]
fn only_failures_with_the_codes_asked_for_are_tried_again() {
    let hub = Hub::start();
    for name in ["busy", "wrong", "killed"] {
        hub.query(&["create", name, "--retries", "1"]).ok();
    }
    let script = "echo {} >>log; case {} in busy) exit 75;; killed) kill -9 $$;; *) exit 1;; esac";
    run(&hub, &["--retry-on", "75,130-140", "--shell", script]).exits(1);
    let expected = ["busy", "busy", "killed", "killed", "wrong"];
    assert_eq!(Log::new(hub.path("log")).sorted(), expected);
    assert_eq!(hub.count("failed"), 3);
    assert_eq!(hub.show("wrong")["task"]["failures"], 1);
}
