//! Verbs that change many tasks: which ones, how many, and what they say of it.

use e2e::Hub;

fn hub() -> Hub {
    let hub = Hub::start();
    hub.query(&["create", "prep"]).ok();
    for i in 1..=3 {
        hub.query(&["create", &format!("sim-{i}"), "prep"]).ok();
    }
    hub
}

#[test]
fn a_dry_run_says_which_and_changes_nothing() {
    let hub = hub();
    let names = "3 tasks would be cancelled (3 waiting): sim-1 sim-2 sim-3";
    hub.query(&["cancel", "sim-*", "--dry-run"]).exits(0).prints(&[names]);
    hub.query(&["cancel", "sim-*", "--dry-run", "--state", "done"])
        .exits(0)
        .prints(&["no task would be cancelled"]);
    hub.query(&["hold", "--prefix", "sim-", "--dry-run"]).exits(0).prints(&["would be held"]);
    let json = hub.query(&["retry", "--failed", "--dry-run", "--json"]).exits(0).json();
    assert_eq!((json["tasks"].as_u64(), json["dry_run"].as_bool()), (Some(0), Some(true)));
    assert_eq!((hub.count("waiting"), hub.count("ready"), hub.count("held")), (3, 1, 0));
}

#[test]
fn cancelling_by_pattern_takes_a_yes() {
    let hub = hub();
    // A name that is misspelt beside a pattern.
    for verb in
        [&["cancel", "--yes"][..], &["hold"], &["priority", "1"], &["retry"], &["list"], &["wait"]]
    {
        let args = [verb, &["nosuch", "zz*"]].concat();
        hub.query(&args).exits(6).says(&["nosuch"]);
    }
    hub.query(&["cancel", "sim-?"]).exits(2).says(&["--yes", "--dry-run"]).is_one_message();
    hub.query(&["cancel", "sim-?", "--yes"]).exits(0).prints(&["3 tasks cancelled"]);
    assert_eq!((hub.count("cancelled"), hub.count("ready")), (3, 1));
    hub.query(&["retry", "sim-1", "sim-[23]*", "sim-3*"]).exits(0).prints(&["2 tasks"]);
    assert_eq!(hub.count("cancelled"), 1);
}

#[test]
fn what_is_held_is_not_given_out() {
    let hub = hub();
    hub.query(&["hold", "prep"]).exits(0).prints(&["1 task held"]);
    hub.query(&["steal", "-q"]).exits(3);
    assert_eq!(hub.state("prep"), "waiting");
    hub.query(&["show", "prep"]).exits(0).prints(&["held"]);
    hub.query(&["list", "--held"]).exits(0).prints(&["prep"]);
    hub.query(&["unhold", "--held"]).exits(0).prints(&["1 task held no more"]);
    hub.query(&["steal", "-q"]).exits(0).prints(&["prep"]);
    hub.query(&["hold", "nobody"]).exits(6).says(&["nobody", "no such task"]);
    hub.query(&["complete", "prep"]).ok();
    hub.query(&["hold", "prep"]).exits(6).says(&["prep", "done already"]);
    for verb in [&["hold"][..], &["unhold"], &["cancel"], &["retry", "--done"], &["priority", "3"]]
    {
        hub.query(verb).exits(2).says(&["which tasks?", "--state"]).is_one_message();
    }
}

#[test]
fn priorities_decide_who_is_next() {
    let hub = Hub::start();
    for name in ["a", "b", "c*"] {
        hub.query(&["create", name]).ok();
    }
    hub.query(&["priority", "5", "--exact", "c*"]).exits(0).prints(&["1 task of priority 5 now"]);
    hub.query(&["priority", "-3", "a"]).ok();
    hub.query(&["steal", "-q", "-n", "3"]).exits(0).prints(&["c*\nb\na"]);
    for wrong in [["priority", "high", "a"], ["priority", "a", "5"]] {
        hub.query(&wrong).exits(2).says(&["comes before the tasks: dquery priority 5 NAME"]);
    }
}

#[test]
fn what_an_urgent_task_needs_is_urgent_too_unless_the_hub_is_told_otherwise() {
    let orders = [
        (&[][..], ["prep", "urgent", "bulk"], "priority 0, 100 since it is needed by urgent"),
        (&["--no-priority-inheritance"], ["bulk", "prep", "urgent"], "priority 0   retries"),
    ];
    for (args, order, shown) in orders {
        let hub = Hub::with(args);
        hub.query(&["create", "bulk", "--priority", "5"]).ok();
        hub.query(&["create", "prep"]).ok();
        hub.query(&["create", "urgent", "prep", "--priority", "100"]).ok();
        hub.query(&["show", "prep"]).exits(0).prints(&[shown]);
        for name in order {
            assert_eq!(hub.query(&["steal", "-q"]).ok(), format!("{name}\n"), "{args:?}");
            hub.query(&["complete", name]).ok();
        }
    }
}

#[test]
fn filters_narrow_a_list() {
    let hub = hub();
    hub.query(&["steal", "-q", "node12"]).ok();
    hub.query(&["fail", "prep", "--exit-code", "137", "--worker", "node12"]).exits(0);
    let names = |args: &[&str]| {
        let args: Vec<&str> = ["list", "--json"].iter().chain(args).copied().collect();
        let lines = hub.query(&args).exits(0).json_lines();
        let names = lines.iter().map(|task| task["name"].as_str().expect("a name"));
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&["--exit-code", "137"]), "prep");
    assert_eq!(names(&["--worker", "node1?"]), "prep");
    assert_eq!(names(&["--worker", "node1"]), "");
    assert_eq!(names(&["--since", "1h", "--failed"]), "prep");
    assert_eq!(names(&["--since", "2200-01-01"]), "");
    assert_eq!(names(&["sim-*", "--state", "skipped"]), "sim-1 sim-2 sim-3");
    assert_eq!(names(&["prep", "sim-2"]), "prep sim-2");
    assert_eq!(names(&["prep", "*-3"]), "prep sim-3");
    hub.query(&["list", "--since", "yesterday"]).exits(2).says(&["yesterday", "10m"]);
}
