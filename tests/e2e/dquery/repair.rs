//! cancel, retry, shutdown.

use e2e::Hub;

/// bad has failed, child and grandchild are skipped because of it.
fn failed() -> Hub {
    let hub = Hub::start();
    hub.query(&["create", "bad"]).ok();
    hub.query(&["create", "child", "bad"]).ok();
    hub.query(&["create", "grandchild", "child"]).ok();
    hub.query(&["steal", "-q"]).ok();
    hub.query(&["fail", "bad"]).ok();
    hub
}

#[test]
fn retry_of_what_failed_brings_back_what_was_skipped() {
    let hub = failed();
    let output = hub.query(&["retry", "--failed"]);
    output.exits(0).prints(&["1 task to run again", "2 no longer skipped"]);
    assert_eq!((hub.count("ready"), hub.count("waiting")), (1, 2));
    let again = hub.query(&["retry", "--failed", "--json"]).json();
    assert_eq!((&again["retried"], &again["unskipped"]), (&0.into(), &0.into()));
}

#[test]
fn retry_of_a_skipped_task_names_the_one_to_retry() {
    let hub = failed();
    hub.query(&["retry", "grandchild"]).exits(6).says(&["grandchild", "bad"]);
    assert_eq!(hub.count("skipped"), 2);
}

#[test]
fn retry_of_what_needs_a_cancelled_task_names_that() {
    let hub = Hub::start();
    for task in [&["-a"][..], &["skipped", "-a"], &["b"], &["cancelled", "b"]] {
        hub.query(&[&["create", "--"], task].concat()).ok();
    }
    hub.query(&["cancel", "--", "-a", "cancelled", "b"]).exits(0);
    let said = hub.query(&["retry", "skipped"]);
    said.exits(6).says(&["'skipped': it was skipped because of '-a': retry that one"]);
    let said = hub.query(&["retry", "cancelled"]);
    said.exits(6).says(&["'cancelled': it needs 'b', which was cancelled; first: dquery retry b"]);
    hub.query(&["retry", "b", "cancelled"]).exits(0).prints(&["2 tasks to run again"]);
}

#[test]
fn a_done_task_runs_again_only_with_done() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    hub.query(&["steal", "-q"]).ok();
    hub.query(&["complete", "a"]).ok();
    hub.query(&["retry", "a"]).exits(6).says(&["a", "done"]);
    hub.query(&["retry", "a", "--done"]).ok();
    assert_eq!(hub.state("a"), "ready");
}

#[test]
fn a_named_task_that_is_not_finished_is_not_retried_and_that_is_said() {
    let hub = failed();
    for args in [&["running"][..], &["ready"], &["waiting", "ready"], &["held"]] {
        hub.query(&[&["create"], args].concat()).ok();
        if args[0] == "running" {
            assert_eq!(hub.query(&["steal", "-q"]).ok(), "running\n");
        }
    }
    hub.query(&["hold", "held"]).ok();
    let said = hub.query(&["retry", "running", "ready", "waiting", "held", "bad"]);
    said.exits(6).prints(&["1 task to run again, and 2 no longer skipped"]).says(&[
        "'running': it is running",
        "'ready': it is ready already",
        "'waiting': it has not run yet",
        "'held': it is held; dquery unhold",
    ]);
    assert!(!said.stderr.contains("'bad'"), "{said:?}");
    // Chosen otherwise they are not meant.
    let said = hub.query(&["retry", "*"]);
    said.exits(0).prints(&["0 tasks to run again"]);
    assert_eq!(said.stderr, "");
    // One that waits for its next try has failed: it is run at once.
    hub.query(&["create", "flaky", "--retries", "3", "--priority", "9"]).ok();
    assert_eq!(hub.query(&["steal", "-q"]).ok(), "flaky\n");
    hub.query(&["fail", "flaky"]).ok();
    hub.query(&["retry", "flaky"]).exits(0).prints(&["1 task to run again"]);
}

#[test]
fn cancel_skips_what_depends_on_it() {
    let hub = failed();
    hub.query(&["create", "a"]).ok();
    hub.query(&["create", "b", "a"]).ok();
    hub.query(&["cancel", "a"]).exits(0).prints(&["1 task cancelled"]);
    assert_eq!((hub.state("a"), hub.state("b")), ("cancelled".into(), "skipped".into()));
    hub.query(&["cancel", "bad"]).exits(6).says(&["bad"]);
    hub.query(&["retry", "a"]).ok();
    assert_eq!((hub.state("a"), hub.state("b")), ("ready".into(), "waiting".into()));
}

#[test]
fn cancelling_by_state_takes_a_yes() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    hub.query(&["create", "b", "a"]).ok();
    hub.query(&["cancel", "--state", "waiting,ready"]).exits(2).says(&["--yes"]).is_one_message();
    assert_eq!(hub.count("cancelled"), 0);
    hub.query(&["cancel", "--state", "waiting,ready", "--yes"]).ok();
    assert_eq!(hub.count("ready") + hub.count("waiting"), 0);
    hub.query(&["cancel"]).exits(2);
}

#[test]
fn shutdown_stops_the_hub_and_loses_nothing() {
    let mut hub = failed();
    hub.query(&["shutdown"]).ok();
    hub.end().exits(0);
    hub.restart();
    assert_eq!((hub.count("failed"), hub.count("skipped")), (1, 2));
}

/// Cancelled ones depend on each other, and the order of their ids is not that of the graph.
#[test]
fn retry_by_state_brings_back_a_whole_graph() {
    let hub = Hub::start();
    hub.query(&["create", "last", "middle", "side"]).ok();
    hub.query(&["create", "middle", "first"]).ok();
    hub.query(&["create", "side", "middle"]).ok();
    hub.query(&["create", "first"]).ok();
    hub.query(&["cancel", "--state", "waiting,ready", "--yes"]).ok();
    assert_eq!(hub.count("waiting") + hub.count("ready"), 0);
    hub.query(&["retry", "--state", "cancelled"]).exits(0);
    assert_eq!((hub.count("ready"), hub.count("waiting")), (1, 3));
}

#[test]
fn many_refusals_are_counted_not_printed() {
    let hub = Hub::start();
    let names: Vec<String> = (0..30).map(|i| format!("nobody-{i}")).collect();
    let mut args = vec!["cancel"];
    args.extend(names.iter().map(String::as_str));
    hub.query(&args).exits(6).says(&["'nobody-9'", "20 more were refused"]);
}
