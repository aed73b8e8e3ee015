//! logs, and show --output: what tasks wrote.

use std::fs;

use dhub_proto::wire::request::Body;
use dhub_proto::wire::{Heartbeat, Outcome, Worker};
use e2e::{Hub, Process, eventually, outcome_done, outcome_failed, task, worker};

fn run(hub: &Hub, args: &[&str]) -> e2e::Output {
    hub.worker(&[&["-j", "1", "--until-done"], args].concat()).end()
}

fn numbers() -> String {
    (1..=20_000).map(|n| format!("{n}\n")).collect()
}

#[test]
fn all_of_it_is_printed_where_its_file_is() {
    let hub = Hub::start();
    hub.query(&["create", "big", "--retries", "1"]).ok();
    let script = "seq 20000; echo attempt {attempt} >&2; test {attempt} = 2";
    run(&hub, &["--output", "out", "--shell", script]).exits(0);
    let logs = hub.query(&["logs", "big"]);
    assert_eq!(logs.ok(), numbers() + "attempt 2\n");
    logs.says(&["all that attempt 2 wrote, from", "out/big.2.out"]).is_one_message();
    let first = hub.query(&["logs", "big", "--attempt", "1"]);
    assert_eq!(first.ok(), numbers() + "attempt 1\n");
    let kept = hub.query(&["show", "big", "--output"]);
    assert!(kept.ok().ends_with("20000\nattempt 2\n") && kept.stdout.len() == 16 * 1024);
    let file = hub.path("out/big.2.out");
    let all = format!("all of it: {} on {}", file.display(), dhub_proto::host_name());
    hub.query(&["show", "big"]).exits(0).prints(&[&all]);

    // The file is gone: the end is there, and it is said to be that.
    fs::remove_file(&file).unwrap();
    let logs = hub.query(&["logs", "big"]);
    assert_eq!(logs.exits(0).says(&["last 16,384 bytes", &all]).stdout, kept.stdout);
    hub.query(&["logs", "big", "--attempt", "7"]).exits(6).says(&["no attempt 7"]);
    hub.query(&["logs", "nosuch"]).exits(6).says(&["nosuch"]).is_one_message();
    hub.query(&["logs", "big", "--json"]).exits(2);
}

#[test]
fn without_a_file_the_end_is_printed_as_it_is() {
    let hub = Hub::start();
    hub.query(&["create", "small"]).ok();
    hub.query(&["logs", "small"]).exits(6).says(&["has not run yet", "ready"]).is_one_message();
    hub.query(&["logs", "-f", "small", "--attempt", "1"]).exits(6);
    run(&hub, &["--shell", "printf 'no line end'"]).exits(0);
    let logs = hub.query(&["logs", "small"]);
    assert_eq!(logs.exits(0).says(&["last 11 bytes, as the hub keeps them"]).stdout, "no line end");
    assert_eq!(hub.query(&["show", "small", "--output"]).ok(), "no line end");
    assert_eq!(hub.query(&["logs", "-f", "small"]).ok(), "no line end", "it is finished");
}

#[test]
fn a_running_task_is_followed_from_attempt_to_attempt() {
    let mut hub = Hub::with(&["--retry-delay", "100ms"]);
    hub.query(&["create", "slow", "--retries", "1"]).ok();
    let logs = hub.query_process(&["logs", "-f", "slow"]);
    eventually("it to wait", || logs.stderr().contains("'slow' is ready; waiting").then_some(()));
    let script = "echo begin {attempt}; until test -e go{attempt}; do sleep 0.05; done; echo end {attempt}; test {attempt} = 2";
    let pool = hub.worker(&["--output", "out", "--until-done", "--shell", script]);
    let prints = |logs: &Process, text: &str| {
        eventually(text, || (logs.stdout() == text).then_some(()));
    };
    prints(&logs, "begin 1\n");
    // Through a restart of the hub, too.
    hub.restart();
    hub.write("go1", "");
    prints(&logs, "begin 1\nend 1\nbegin 2\n");
    hub.write("go2", "");
    let output = logs.end();
    assert_eq!(output.ok(), "begin 1\nend 1\nbegin 2\nend 2\n");
    pool.end().exits(0);
}

#[test]
fn without_a_file_its_end_is_waited_for() {
    let hub = Hub::start();
    hub.query(&["create", "slow"]).ok();
    let script = "echo some; until test -e go; do sleep 0.05; done; echo more";
    let pool = hub.worker(&["--until-done", "--shell", script]);
    eventually("the task to run", || (hub.state("slow") == "running").then_some(()));
    hub.query(&["logs", "slow"]).exits(0).says(&["attempt 1 runs", "when it has ended"]);
    let logs = hub.query_process(&["logs", "-f", "slow"]);
    eventually("it to wait", || logs.stderr().contains("ended; waiting").then_some(()));
    assert_eq!(logs.stdout(), "");
    hub.write("go", "");
    assert_eq!(logs.end().ok(), "some\nmore\n");
    pool.end().exits(0);
}

#[test]
fn a_file_of_the_same_name_on_this_machine_is_not_taken_for_that_of_another() {
    let hub = Hub::start();
    let native = hub.native();
    let who = Worker { host: "node1".into(), ..worker(1) };
    let lease = {
        native.create(&[task("a", &[])]);
        native.steal_one(&who)
    };
    let (old, new) = (hub.path("a.out"), hub.path("a.1"));
    fs::write(&old, "of last week").unwrap();
    let past = std::time::SystemTime::now() - std::time::Duration::from_secs(7 * 24 * 3600);
    fs::File::options().write(true).open(&old).unwrap().set_modified(past).unwrap();
    let told = |file: &std::path::Path| file.display().to_string();
    let beat = |output_files: String| {
        native.ask(Body::Heartbeat(Heartbeat {
            worker: Some(who.clone()),
            output_files,
            ..Heartbeat::default()
        }));
    };
    beat(hub.path("{name}.out").display().to_string());
    hub.query(&["logs", "a"]).exits(0).says(&["attempt 1 runs", &told(&old), "on node1"]);
    // On a file system that both have it is the one.
    fs::write(&new, "so far").unwrap();
    beat(hub.path("{name}.{attempt}").display().to_string());
    assert_eq!(hub.query(&["logs", "a"]).ok(), "so far");
    let output = b"the end".to_vec();
    let outcome = Outcome { output, output_file: told(&old), ..outcome_done(&lease) };
    native.report(&who, vec![outcome]);
    assert_eq!(hub.query(&["logs", "a"]).exits(0).says(&["on node1"]).stdout, "the end");
}

#[test]
fn a_worker_cannot_have_other_files_printed() {
    let hub = Hub::with(&["--retry-delay", "0s"]);
    let (native, who) = (hub.native(), Worker { host: dhub_proto::host_name(), ..worker(1) });
    native.create(&[dhub_proto::wire::Task { retries: 100, ..task("sim-1", &[]) }]);
    // What it said of its last attempt.
    let tells = |file: &str| {
        let lease = native.steal_one(&who);
        let (output, output_file) = (b"end".to_vec(), file.to_owned());
        native.report(&who, vec![Outcome { output, output_file, ..outcome_failed(&lease) }]);
    };
    let path = |name: &str| hub.path(name).display().to_string();
    fs::create_dir(hub.path(".ssh")).unwrap();
    hub.write(".ssh/id_rsa", "secret");
    hub.write("sim-10.1.out", "secret");
    std::os::unix::fs::symlink(hub.path(".ssh/id_rsa"), hub.path("sim-1.1.out")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, hub.path("sim-1.fifo"), 0o600.into()).unwrap();
    for (file, why) in [
        (path(".ssh/id_rsa"), "has not the task's name; if it is right: --file"),
        (path("sim-10.1.out"), "has not the task's name"),
        (path("sim-1.1.out"), "is a link"),
        (path("sim-1.fifo"), "no regular file"),
        ("/dev/zero".into(), "no regular file"),
        ("/etc/passwd".into(), "not printed"),
    ] {
        tells(&file);
        let logs = hub.query(&["logs", "sim-1"]);
        logs.exits(0).says(&[why, "last 3 bytes"]);
        assert_eq!(logs.stdout, "end", "{file}");
    }
    // Whoever has looked at the path may see it.
    tells(&path(".ssh/id_rsa"));
    let asked = hub.query(&["logs", "sim-1", "--file"]);
    assert_eq!(asked.exits(0).says(&["from", "id_rsa"]).stdout, "secret");
    hub.query(&["cancel", "sim-1"]).ok();
    assert_eq!(hub.query(&["logs", "-f", "sim-1"]).exits(0).stdout, "end");
}

/// What a terminal would do something for: it clears, answers, has C1 and turns the line around.
const STEERS: &str = "a\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{202e}\u{2066}\u{7f}\rb\u{8}";

#[test]
fn nothing_that_others_wrote_steers_a_terminal() {
    let hub = Hub::start();
    let (native, who) = (hub.native(), worker(1));
    native.create(&[task(STEERS, &[])]);
    let lease = native.steal_one(&who);
    let output = [STEERS.as_bytes(), b"\x9b31m\xff\n"].concat();
    let outcome = Outcome {
        output: output.clone(),
        reason: STEERS.into(),
        exit_code: 1,
        ..outcome_done(&lease)
    };
    native.report(&who, vec![outcome]);
    native.create(&[dhub_proto::wire::Task {
        command: STEERS.into(),
        ..task("z\u{1b}[6n", &[STEERS])
    }]);
    let who = Worker { name: STEERS.into(), host: STEERS.into(), ..worker(2) };
    native.ask(Body::Heartbeat(Heartbeat {
        worker: Some(who),
        note: STEERS.into(),
        output_files: STEERS.into(),
        ..Heartbeat::default()
    }));
    let steers = |c: char| dhub_proto::steers_terminal(c) && c != '\n';
    let verbs: &[&[&str]] = &[
        &["status"],
        &["status", "--json"],
        &["list", "--all"],
        &["list", "--all", "--json"],
        &["show", STEERS],
        &["show", STEERS, "--json"],
        &["show", "nosuch\u{1b}[2J"],
        &["show", "z\u{1b}[6n"],
        &["workers"],
        &["workers", "--json"],
        &["export"],
        &["graph", "--json"],
        &["wait", "--wait-limit", "1s"],
        &["cancel", "--dry-run", "z*"],
    ];
    for verb in verbs {
        let said = hub.query(verb);
        let text = format!("{}{}", said.stdout, said.stderr);
        assert!(!text.is_empty() && !text.contains(steers), "{verb:?}: {text:?}");
    }
    // For programs what a task wrote and is called stays as it is; at a terminal it does not.
    let mut raw = hub.command("dquery");
    let raw = raw.args(["logs", STEERS]).output().unwrap();
    assert_eq!(raw.stdout, output);
    for verb in [&["logs", STEERS][..], &["show", "--output", STEERS], &["export", "--joblog", "-"]]
    {
        let mut command = hub.command("dquery");
        command.args(verb);
        let terminal = e2e::Terminal::start(&command, 200, 40);
        terminal.shows("\\u{9b}31m\\u{202e}\\u{2066}");
    }
}
