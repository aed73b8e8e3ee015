//! When it goes wrong: what happened, to what, what to do. Never a hang, never silence.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use e2e::{Hub, Process, Space};

#[test]
fn a_hub_that_is_down_is_named_after_the_time_out() {
    let mut hub = Hub::start();
    hub.kill9();
    let verbs: [&[&str]; 9] = [
        &["status"],
        &["create", "a"],
        &["steal", "-q"],
        &["complete", "a"],
        &["exit"],
        &["wait"],
        &["list"],
        &["show", "a"],
        &["steal", "--wait"],
    ];
    for verb in verbs {
        let output = hub.query(&[verb, &["--timeout", "100ms"]].concat());
        output.exits(7).says(&["no hub answers", &hub.tcp(), "dhub -f"]).is_one_message();
        assert_eq!(output.stdout, "");
    }
    hub.write("tasks.txt", "a\n");
    let output = hub.query(&["addfile", "tasks.txt", "--timeout", "100ms"]);
    output.exits(7).says(&["no hub answers"]).is_one_message();
}

#[test]
fn an_endpoint_without_a_hub_is_tried_and_named() {
    let space = Space::new();
    let ask =
        |args: &[&str]| space.run("dquery", &[args, &["--timeout", "100ms", "status"]].concat());
    ask(&["--insecure", "-s", "tcp://127.0.0.1:9"])
        .exits(7)
        .says(&["127.0.0.1:9"])
        .is_one_message();
    let endpoint = format!("ipc://{}", space.path("nobody.sock").display());
    ask(&["-s", &endpoint]).exits(11).says(&["no key is known", &endpoint]).is_one_message();
}

#[test]
fn a_hub_that_hangs_is_given_up() {
    let mut hub = Hub::start();
    hub.signal(rustix::process::Signal::STOP);
    let output = hub.query(&["status", "--timeout", "300ms"]);
    output.exits(7).says(&["no hub answers"]).is_one_message();
    hub.signal(rustix::process::Signal::CONT);
    hub.query(&["status"]).ok();
    hub.kill9();
}

#[test]
fn an_access_file_of_the_environment_that_is_of_no_use_is_told_with_who_named_it() {
    let hub = Hub::start();
    std::fs::create_dir(hub.path("dir")).unwrap();
    hub.write("open", "{}");
    hub.write("shut", "{}");
    let mode = |name, bits| {
        std::fs::set_permissions(hub.path(name), std::fs::Permissions::from_mode(bits)).unwrap();
    };
    mode("open", 0o644);
    mode("shut", 0);
    let path = |name| hub.path(name).display().to_string();
    let mut useless = vec![
        ("/none/x".to_owned(), "no such file or directory"),
        (path("dir"), "is neither a file nor a pipe"),
        (path("open"), "can be read by others; mend it with: chmod 600"),
    ];
    if !rustix::process::getuid().is_root() {
        useless.push((path("shut"), "permission denied"));
    }
    for (path, why) in useless {
        for (program, args) in [("dquery", &["status"][..]), ("kworker", &["-j1", "--", "true"])] {
            let mut command = hub.command(program);
            command.args(args).env("DHUB_ACCESS", &path);
            let output = Process::start(command).end();
            let begin = format!("{program}: the access file of DHUB_ACCESS: {path}");
            output.exits(26).says(&[&begin, why, "unset DHUB_ACCESS"]).is_one_message();
            assert!(output.stderr.starts_with(&begin), "{}", output.stderr);
        }
    }
}

#[test]
fn a_misspelt_verb_or_option_gets_a_hint() {
    let space = Space::new();
    space.run("dquery", &["stael"]).exits(2).says(&["stael", "steal"]);
    space.run("dquery", &["complet", "a"]).exits(2).says(&["complete"]);
    space.run("dquery", &["status", "--jsno"]).exits(2).says(&["--json"]);
    space.run("dquery", &["steal", "-n", "0"]).exits(2).says(&["0"]);
    space.run("dquery", &["steal", "-n", "-1"]).exits(2);
    space.run("dquery", &["steal", "-n", "99999999999"]).exits(2);
    space.run::<&str>("dquery", &[]).exits(2).says(&["Usage"]);
    space.run("dquery", &["-s", "udp://x", "status"]).exits(2).says(&["tcp://HOST:PORT"]);
    space.run("dquery", &["--help"]).exits(0).prints(&["Exit codes:", "steal", "addfile"]);
}

/// `create -- --needs x` would add a task of that name.
#[test]
fn an_unknown_option_is_not_offered_as_a_name() {
    let space = Space::new();
    for (program, args, meant) in [
        ("dquery", &["create", "--needs", "x", "a"][..], ""),
        ("dquery", &["create", "a", "--comand", "x"], "--command"),
        ("dquery", &["steal", "--wiat"], "--wait"),
        ("dquery", &["exit", "--all"], ""),
        ("kworker", &["--until_done"], "--until-done"),
        ("dhub", &["--fle", "x.db"], "--file"),
    ] {
        let said = space.run(program, args);
        said.exits(2).says(&["unexpected argument", meant]);
        assert!(!said.stderr.contains("'-- -"), "{said:?}");
    }
}

#[test]
fn names_that_do_not_exist_are_named() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    for verb in ["complete", "fail", "release", "cancel", "retry", "list"] {
        let output = hub.query(&[verb, "nosuch"]);
        output.exits(6).says(&["nosuch"]);
    }
    hub.query(&["show", "nosuch"]).exits(6).says(&["nosuch"]).is_one_message();
    hub.query(&["exit", "stranger"]).exits(6).says(&["stranger"]).is_one_message();
}

#[test]
fn cycles_are_refused_with_their_names() {
    let hub = Hub::start();
    hub.query(&["create", "a", "a"]).exits(6).says(&["a"]).is_one_message();
    hub.query(&["create", "a", "b"]).ok();
    hub.query(&["create", "b", "c"]).ok();
    let output = hub.query(&["create", "c", "a"]);
    output.exits(6).says(&["a", "b", "c", "->"]).is_one_message();
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let hub = Hub::start();
    let names: String = (0..5_000).map(|n| format!("task-{n}\n")).collect();
    hub.write("tasks.txt", names);
    hub.query(&["addfile", "tasks.txt"]).ok();
    let script = "dquery list --all | head -n 2; dquery list --all --json | head -n 1 >/dev/null";
    let output = hub.sh(script);
    output.exits(0);
    assert_eq!((output.stdout.lines().count(), output.stderr.as_str()), (2, ""));
}

#[test]
fn a_steal_that_cannot_be_printed_is_given_back() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = hub.command("dquery");
    command.args(["steal", "-q"]).stdout(full).stderr(Stdio::null());
    assert_eq!(command.status().unwrap().code(), Some(24));
    assert_eq!(hub.state("a"), "ready");
}

/// Whatever parses numbers, people are told in words what they may write.
#[test]
fn a_wrong_number_is_told_in_words() {
    let space = Space::new();
    for (program, args, told) in [
        ("dquery", &["create", "--priority", "high", "a"][..], "it takes a whole number\n"),
        ("dquery", &["create", "--retries=-1", "a"], "it takes a whole number from 0 to "),
        ("dquery", &["list", "-n", "0"], "it takes a whole number from 1\n"),
        ("kworker", &["--max-tasks", "0"], "it takes a whole number from 1\n"),
        ("dhub", &["-p", "99999"], "it takes a whole number from 0 to 65535\n"),
    ] {
        let said = space.run(program, args);
        said.exits(2).says(&["error: invalid value '", told]);
    }
}

#[test]
fn help_that_cannot_be_printed_is_told() {
    let space = Space::new();
    for command in
        ["dquery --help", "dquery --version", "dquery help list", "kworker --help", "dhub --help"]
    {
        let said = space.run("sh", &["-c", &format!("{command} > /dev/full")]);
        said.exits(24).says(&["cannot write to standard output"]);
    }
    space.run("sh", &["-c", "dquery --help | true"]).exits(0);
}

#[test]
fn standard_error_may_be_closed() {
    let hub = Hub::start();
    hub.sh("dquery show nosuch 2>&-").exits(6);
    hub.sh("dquery status >&-; test $? -ne 101").exits(0);
}
