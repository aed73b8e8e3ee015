//! addfile: the whole file is checked before anything is added.

use std::io::Write;
use std::process::Stdio;

use e2e::{Hub, Output, Process};
use rustix::process::Signal;

/// Adds a file of this text.
fn add(hub: &Hub, name: &str, text: &str, options: &[&str]) -> Output {
    hub.write(name, text);
    hub.query(&[&["addfile", name], options].concat())
}

/// Refused as a wrong file, and the hub is as empty as before.
#[track_caller]
fn refused(text: &str, parts: &[&str]) {
    let hub = Hub::start();
    let output = add(&hub, "tasks.txt", text, &[]);
    output.exits(8).says(parts).says(&["nothing was added"]).is_one_message();
    assert_eq!(output.stdout, "");
    assert_eq!(hub.query(&["status", "--json"]).json()["phase"], "empty");
}

#[test]
fn lines_may_come_in_any_order() {
    let hub = Hub::start();
    let added = add(&hub, "tasks.txt", "c,b,a\nb,a\na\n", &[]);
    added.exits(0).prints(&["3 tasks added (1 ready, 2 wait for others)"]);
    assert_eq!(hub.query(&["steal", "-q", "-n", "9"]).ok(), "a\n");
}

#[test]
fn windows_line_ends_comments_and_gaps_are_no_names() {
    let hub = Hub::start();
    let text = "\u{feff}a\r\n\r\n# a comment, with commas\r\n  \r\nb,a,,\r\nc,,\r\nlast,a";
    add(&hub, "tasks.txt", text, &[]).exits(0).prints(&["4 tasks added"]);
    let names = hub.query(&["list", "--all", "--json"]).json_lines();
    let mut names: Vec<_> = names.iter().map(|it| it["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["a", "b", "c", "last"]);
}

#[test]
fn a_name_on_two_lines_is_refused_with_both() {
    refused("a\nb\n\na,b\n", &["tasks.txt:4: ", "'a'", "line 1"]);
}

#[test]
fn an_unknown_dependency_is_refused_with_its_line() {
    let text = "sim-1\nsim-77,prep-77\nsim-78,prep-78\nsim-79,prep-77\n";
    refused(
        text,
        &[
            "tasks.txt:2: 'sim-77' depends on 'prep-77'",
            "neither",
            "2 more like it",
            "--allow-missing",
        ],
    );
}

#[test]
fn a_cycle_is_refused_with_its_names() {
    refused("x\nb,c\nc,a\na,b,x\n", &["tasks.txt: ", "wait for each other: b -> c -> a -> b"]);
    refused("x\nx2,x2\n", &["x2 -> x2"]);
}

#[test]
fn what_is_no_text_or_too_long_is_refused() {
    let long = "n".repeat(1025);
    refused(&format!("a\n{long}\n"), &["tasks.txt:2: ", "1,025 bytes"]);
    let hub = Hub::start();
    hub.write("tasks.txt", b"a\nb\xff\n");
    hub.query(&["addfile", "tasks.txt"]).exits(8).says(&["tasks.txt:2: not UTF-8"]);
    hub.query(&["addfile", "no-such.txt"]).exits(9).says(&["no-such.txt"]).is_one_message();
}

#[test]
fn a_cycle_through_the_hub_is_refused_by_the_hub() {
    let hub = Hub::start();
    hub.query(&["create", "a", "b"]).ok();
    add(&hub, "tasks.txt", "c,a\nb,c\n", &[]).exits(6).says(&["a", "b", "c"]).is_one_message();
    assert_eq!(hub.count("ready"), 0);
}

#[test]
fn dependencies_may_be_in_the_hub_or_come_later() {
    let hub = Hub::start();
    hub.query(&["create", "prep"]).ok();
    add(&hub, "tasks.txt", "sim,prep\n", &[]).ok();
    add(&hub, "more.txt", "late,nobody\n", &[]).exits(8);
    add(&hub, "more.txt", "late,nobody\n", &["--allow-missing"]).ok();
    add(&hub, "again.txt", "later,nobody\n", &[]).exits(8).says(&["'nobody'"]);
    assert_eq!(hub.count("missing"), 1);
}

#[test]
fn running_it_again_adds_only_what_is_missing() {
    let hub = Hub::start();
    add(&hub, "tasks.txt", "a\nb,a\n", &[]).ok();
    hub.query(&["steal", "-q"]).ok();
    hub.query(&["complete", "a"]).ok();
    let again = add(&hub, "tasks.txt", "a\nb,a\nc,b\n", &[]);
    again.exits(0).prints(&["1 task added", "2 were there already"]);
    assert_eq!((hub.state("a"), hub.count("ready")), ("done".into(), 1));
    add(&hub, "tasks.txt", "a,c\n", &[]).exits(6).says(&["a"]).is_one_message();
}

#[test]
fn a_template_quotes_the_name_for_the_shell() {
    let hub = Hub::start();
    let names = "plain\nwith space\nit's\n$(touch pwned)\n";
    add(&hub, "tasks.txt", names, &["--command", "echo {}", "--retries", "2"]).ok();
    for name in names.lines() {
        let shown = hub.show(name);
        assert_eq!(shown["task"]["retries"], 2);
        let command = shown["task"]["command"].as_str().unwrap();
        assert_eq!(hub.sh(command).ok(), format!("{name}\n"), "{command}");
    }
    assert!(!hub.path("pwned").exists());
}

#[test]
fn json_lines_have_everything_a_task_can_have() {
    let hub = Hub::start();
    let text = r#"{"name": "a,b", "needs": ["c\n"], "command": "./x", "priority": -2, "retries": 3, "time_limit": "1m"}
{"name": "c\n"}
"#;
    let added = add(&hub, "tasks.jsonl", text, &["--json", "--command", "./default {}"]);
    assert_eq!((&added.json()["added"], &added.json()["ready"]), (&2.into(), &1.into()));
    let task = &hub.show("a,b")["task"];
    assert_eq!((&task["command"], &task["priority"]), (&"./x".into(), &(-2).into()));
    assert_eq!((&task["retries"], &task["time_limit_ms"]), (&3.into(), &60_000.into()));
    assert_eq!(hub.show("c\n")["task"]["command"], "./default 'c\n'");
    let wrong = add(&hub, "wrong.jsonl", "{\"name\": \"d\"}\n{\"nam\": \"e\"}\n", &[]);
    wrong.exits(8).says(&["wrong.jsonl:2: ", "nam"]).is_one_message();
    assert_eq!(hub.count("ready"), 1);
}

#[test]
fn tasks_have_directory_environment_and_input() {
    let hub = Hub::start();
    let text = r#"{"name": "own", "dir": "/own", "env": {"B": "2", "C": "x=y"}, "stdin": "in\n"}
{"name": "default"}
"#;
    let options = ["--dir", "/all", "--env", "A=1", "--env", "B=1"];
    add(&hub, "tasks.jsonl", text, &options).ok();
    let task = &hub.show("own")["task"];
    assert_eq!((&task["dir"], &task["stdin_bytes"]), (&"/own".into(), &3.into()));
    assert_eq!(task["env"], serde_json::json!(["A=1", "B=2", "C=x=y"]));
    let task = &hub.show("default")["task"];
    assert_eq!((&task["dir"], &task["env"]), (&"/all".into(), &serde_json::json!(["A=1", "B=1"])));
    add(&hub, "tasks.jsonl", text, &options).exits(0).prints(&["2 were there already"]);

    hub.write("input", "from a file");
    let one = ["create", "one", "--dir", "sub", "--env", "A=b c", "--stdin", "input"];
    hub.query(&one).ok();
    hub.query(&one).exits(0).prints(&["was there already"]);
    let shown = hub.query(&["show", "one"]);
    shown.exits(0).prints(&["directory   sub", "environment A=b c", "reads       11 bytes"]);
    hub.sh("echo hello | dquery create two --stdin -").ok();
    assert_eq!(hub.show("two")["task"]["stdin_bytes"], 6);
    hub.query(&["create", "x", "--stdin", "nosuch"]).exits(9).says(&["nosuch"]).is_one_message();
    hub.write("large", vec![b'x'; 65_537]);
    hub.query(&["create", "x", "--stdin", "large"]).exits(8).says(&["65,536"]).is_one_message();
    hub.query(&["create", "x", "--env", "=1"]).exits(2).says(&["NAME=VALUE"]);
}

#[test]
fn standard_input_is_a_file_too() {
    let hub = Hub::start();
    let mut command = hub.command("sh");
    command.args(["-c", "dquery addfile - --command './sim {}'"]).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"1\n2\n3,1\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!((hub.count("ready"), hub.count("waiting")), (2, 1));
    hub.sh("printf 'a,a\\n' | dquery addfile -").exits(8).says(&["standard input"]);
}

#[test]
fn a_long_file_survives_a_restart_of_the_hub() {
    const TASKS: usize = 60_000;
    let mut hub = Hub::start();
    let line = |n: usize| format!("task-{n},task-{}\n", n.saturating_sub(1));
    let text: String = (1..TASKS).map(line).collect();
    hub.write("tasks.txt", text + "task-0\n");
    let adding: Process = hub.query_process(&["addfile", "tasks.txt", "--timeout", "50s"]);
    e2e::eventually("the first tasks", || (hub.count("waiting") > 0).then_some(()));
    hub.restart();
    adding.end().exits(0).prints(&["added"]);
    assert_eq!((hub.count("ready"), hub.count("waiting")), (1, TASKS as u64 - 1));
}

#[test]
fn ctrl_c_says_how_far_it_came() {
    const TASKS: usize = 200_000;
    let mut hub = Hub::start();
    hub.write("tasks.txt", (0..TASKS).map(|n| format!("task-{n}\n")).collect::<String>());
    let adding = hub.query_process(&["addfile", "tasks.txt", "--timeout", "50s"]);
    e2e::eventually("the first tasks", || (hub.count("ready") > 0).then_some(()));
    hub.signal(Signal::STOP);
    adding.signal(Signal::INT);
    hub.signal(Signal::CONT);
    let output = adding.end();
    output.says(&[
        "stopped: ",
        " of 200,000 tasks are in the hub",
        "the same command adds the rest",
    ]);
    assert_eq!(output.code, None, "{output:#?}");
    let there = hub.count("ready");
    assert!((1..TASKS as u64).contains(&there), "{there}");
    hub.query(&["addfile", "tasks.txt"]).exits(0).prints(&["were there already"]);
    assert_eq!(hub.count("ready"), TASKS as u64);
}
