//! What a task runs, with names that would like to be code.

use std::fs;

use e2e::{Hub, Process, Space, eventually};

const NASTY: [&str; 8] = [
    "two words",
    "it's",
    "say \"hi\"",
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned",
    "a\nb",
    "* \\ {} &",
];

/// A hub with these tasks; afterwards nothing may have been run by their names.
fn nasty() -> Hub {
    let hub = Hub::start();
    for name in NASTY {
        hub.query(&["create", name]).ok();
    }
    hub
}

/// The names that tasks wrote, each ended by a NUL.
fn written(hub: &Hub) -> Vec<String> {
    assert!(!hub.path("pwned").exists());
    let text = fs::read_to_string(hub.path("log")).unwrap();
    let mut names: Vec<String> = text.split_terminator('\0').map(str::to_owned).collect();
    names.sort();
    names
}

#[track_caller]
fn runs_all(args: &[&str]) {
    let hub = nasty();
    hub.write("note", "#!/bin/sh\nprintf '%s\\0' \"$1\" >>log\n");
    hub.sh("chmod +x note").exits(0);
    hub.worker(&[&["-j", "1", "--until-done"], args].concat()).end().exits(0);
    let mut names = NASTY.map(String::from);
    names.sort();
    assert_eq!(written(&hub), names);
}

#[test]
fn an_argument_is_the_name_as_it_is() {
    runs_all(&["--", "./note", "{}"]);
}

#[test]
fn a_script_sees_the_name_as_one_word() {
    runs_all(&["--shell", "./note {}"]);
}

#[test]
fn a_script_may_quote_the_name_itself() {
    runs_all(&["--shell", "./note \"{}\""]);
    runs_all(&["--shell", "./note '{}'"]);
}

#[test]
fn tasks_find_who_they_are_in_their_environment() {
    runs_all(&["--shell", "./note \"$DHUB_TASK\""]);
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    let script = "echo $DHUB_TASK $DHUB_ATTEMPT $DHUB_WORKER $DHUB_HUB >env";
    hub.worker(&["-j", "1", "--until-done", "--name", "me", "--shell", script]).end().exits(0);
    let text = fs::read_to_string(hub.path("env")).unwrap();
    assert_eq!(text, format!("a 1 me {}\n", hub.tcp()));
}

#[test]
fn attempt_worker_and_slot_are_placeholders_too() {
    let hub = Hub::start();
    hub.query(&["create", "a", "--retries", "1"]).ok();
    hub.write("note", "#!/bin/sh\necho \"$@\" >>log\ntest $1 = 2\n");
    hub.sh("chmod +x note").exits(0);
    let args = ["-j", "1", "--until-done", "--name", "it's me"];
    hub.worker(&[&args[..], &["--", "./note", "{attempt}", "{worker}-{slot}-{}"]].concat())
        .end()
        .exits(0);
    hub.query(&["create", "b"]).ok();
    let script = "./note 2 {worker} \"{slot} {attempt}\" '{}'";
    hub.worker(&[&args[..], &["--shell", script]].concat()).end().exits(0);
    let text = fs::read_to_string(hub.path("log")).unwrap();
    assert_eq!(text, "1 it's me-0-a\n2 it's me-0-a\n2 it's me 0 1 b\n");
}

#[test]
fn slots_are_the_lowest_that_are_free() {
    let hub = Hub::start();
    hub.write("tasks.txt", (0..12).map(|n| format!("t{n}\n")).collect::<String>());
    hub.query(&["addfile", "tasks.txt"]).ok();
    // Only one at a time can make the directory of its slot.
    let script =
        "mkdir slot$DHUB_SLOT && sleep 0.1 && rmdir slot$DHUB_SLOT && echo $DHUB_SLOT >>log";
    hub.worker(&["-j", "3", "--until-done", "--shell", script]).end().exits(0);
    let text = fs::read_to_string(hub.path("log")).unwrap();
    assert_eq!(text.lines().count(), 12);
    for slot in ["0", "1", "2"] {
        assert!(text.lines().any(|line| line == slot), "{text}");
    }
    assert!(text.lines().all(|line| ["0", "1", "2"].contains(&line)), "{text}");
}

#[test]
fn a_pool_has_a_directory_and_variables_for_its_tasks() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    fs::create_dir(hub.path("in")).unwrap();
    hub.write("in/tool", "#!/bin/sh\necho $A $B $DHUB_TASK >out\n");
    hub.sh("chmod +x in/tool").exits(0);
    let args = [
        "-j",
        "1",
        "--until-done",
        "--dir",
        "in",
        "--env",
        "A=x=1",
        "--env",
        "B=2",
        "--env",
        "DHUB_TASK=no",
    ];
    hub.worker(&[&args[..], &["--", "./tool"]].concat()).end().exits(0);
    assert_eq!(fs::read_to_string(hub.path("in/out")).unwrap(), "x=1 2 a\n");
    hub.worker(&["--dir", "nowhere", "--", "true"])
        .end()
        .exits(2)
        .says(&["nowhere", "no such directory"]);
    hub.worker(&["--env", "A", "--", "true"]).end().exits(2).says(&["NAME=VALUE"]);
}

#[test]
fn a_task_has_a_directory_variables_and_input_of_its_own() {
    let hub = Hub::start();
    for dir in ["in", "in/deep"] {
        fs::create_dir(hub.path(dir)).unwrap();
    }
    hub.write("in/deep/tool", "#!/bin/sh\necho \"$A,$B,$DHUB_TASK\"; cat\n");
    hub.sh("chmod +x in/deep/tool").exits(0);
    hub.write("input", "from the task\n");
    let own = ["--dir", "deep", "--env", "A=task", "--env", "DHUB_TASK=no", "--stdin", "input"];
    for (name, command) in [("direct", "./tool"), ("shell", "./tool | cat")] {
        hub.query(&[&["create", name, "--command", command][..], &own[..]].concat()).ok();
    }
    let pool = ["-j", "1", "--until-done", "--dir", "in", "--env", "A=pool", "--env", "B=pool"];
    hub.worker(&pool).end().exits(0);
    for name in ["direct", "shell"] {
        let output = &hub.show(name)["attempts"][0]["output"];
        assert_eq!(output, &format!("task,pool,{name}\nfrom the task\n"));
    }
    // A program in the task's own PATH; without input there is an empty one.
    let search = format!("PATH={}:/usr/bin:/bin", hub.path("in/deep").display());
    hub.query(&["create", "path", "--command", "tool", "--env", &search]).ok();
    hub.query(&["create", "nowhere", "--command", "/bin/true", "--dir", "no/such"]).ok();
    hub.worker(&pool).end().exits(1);
    assert_eq!(hub.show("path")["attempts"][0]["output"], "pool,pool,path\n");
    let reason = hub.show("nowhere")["task"]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("no/such: no such directory"), "{reason}");
}

#[test]
fn much_input_blocks_nobody_whether_it_is_read_or_not() {
    let hub = Hub::start();
    hub.write("input", vec![b'x'; 65_536]);
    for (name, command) in [("read", "wc -c"), ("unread", "/bin/true"), ("late", "sleep 1; wc -c")]
    {
        hub.query(&["create", name, "--command", command, "--stdin", "input"]).ok();
    }
    hub.worker(&["-j", "3", "--until-done"]).end().exits(0);
    for name in ["read", "late"] {
        assert_eq!(hub.show(name)["attempts"][0]["output"], "65536\n");
    }
}

#[test]
fn a_name_that_would_be_code_is_refused_before_anything_is_stolen() {
    let hub = Hub::start();
    hub.query(&["create", "$(touch ran)"]).ok();
    for args in [
        &["--", "sh", "-c", "echo {}"][..],
        &["--shell", "sh -c 'echo {}'"],
        &["--shell", "eval \"echo {}\""],
        &["--", "ssh", "node", "./sim", "{}"],
        &["--", "bash", "-o", "pipefail", "-c", "echo {}"],
        &["--", "env", "-S", "sh -c 'echo {}'"],
    ] {
        let output = hub.worker(&[&["--until-done"], args].concat()).end();
        output.exits(2).says(&["as code, whatever a name contains"]).is_one_message();
    }
    let output = hub.worker(&["--until-done", "--", "sh", "-c", "echo \"$1\"", "sh", "{}"]).end();
    output.exits(0);
    assert_eq!(hub.show("$(touch ran)")["attempts"][0]["output"], "$(touch ran)\n");
    // Words that are no commands here.
    hub.query(&["create", "c;touch ran"]).ok();
    hub.worker(&["--until-done", "--", "echo", "eval", "ssh", "trap", "{}"]).end().exits(0);
    // As it was advised.
    hub.query(&["create", "b;touch ran"]).ok();
    let script =
        "sh -c 'echo \"$DHUB_TASK\"'; eval 'echo \"$DHUB_TASK\"'; sh -c 'echo \"$1\"' sh {}";
    hub.worker(&["--until-done", "--shell", script]).end().exits(0);
    assert_eq!(hub.show("b;touch ran")["attempts"][0]["output"], "b;touch ran\n".repeat(3));
    assert!(!hub.path("ran").exists());
}

#[test]
fn a_plain_command_runs_without_a_shell_and_anything_else_with_one() {
    let hub = Hub::start();
    // Who is the parent of the program?
    hub.write("parent", "#!/bin/sh\ncat /proc/$PPID/comm >>log\n");
    hub.sh("chmod +x parent").exits(0);
    hub.write("bare", "echo no first line >>log\n");
    hub.sh("chmod +x bare").exits(0);
    for (name, command) in [
        ("1", "./parent"),
        ("2", "./parent; true"),
        ("3", "./bare"),
        ("4", "echo built in >>log"),
        ("5", "X=1 ./parent; true"),
    ] {
        hub.query(&["create", name, "--command", command]).ok();
        hub.worker(&["-j", "1", "--until-done"]).end().exits(0);
    }
    let text = fs::read_to_string(hub.path("log")).unwrap();
    assert_eq!(text, "kworker\nsh\nno first line\nbuilt in\nsh\n");
    hub.query(&["create", "6", "--command", "no-such-tool -x"]).ok();
    hub.worker(&["-j", "1", "--until-done"]).end().exits(1);
    let shown = hub.show("6");
    assert_eq!(shown["task"]["exit_code"], 127);
    assert!(shown["attempts"][0]["output"].as_str().unwrap().contains("not found"), "{shown:#}");
}

#[test]
fn a_task_may_talk_to_its_hub() {
    let hub = Hub::start();
    hub.query(&["create", "parent"]).ok();
    let script = "case {} in parent) dquery create child;; esac";
    hub.worker(&["-j", "1", "--until-done", "--shell", script]).end().exits(0);
    assert_eq!(hub.state("child"), "done");
}

#[test]
fn without_a_command_the_task_says_what_to_run() {
    let hub = Hub::start();
    hub.query(&["create", "echo by name >>log"]).ok();
    hub.query(&["create", "b", "--command", "echo by command >>log"]).ok();
    hub.worker(&["-j", "1", "--ahead", "0", "--until-done"]).end().exits(0);
    assert_eq!(fs::read_to_string(hub.path("log")).unwrap(), "by name\nby command\n");
}

#[test]
fn a_template_of_addfile_reaches_the_shell_as_it_was_meant() {
    let hub = Hub::start();
    hub.write("tasks.txt", "$(touch pwned)\nit's\n");
    hub.query(&["addfile", "tasks.txt", "--command", "printf '%s\\0' {} >>log"]).ok();
    hub.worker(&["-j", "1", "--until-done"]).end().exits(0);
    assert_eq!(written(&hub), ["$(touch pwned)", "it's"]);
}

#[test]
fn a_command_that_is_not_there_is_noticed_before_any_task_is_stolen() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    hub.write("data", "no program");
    for (program, says) in [
        ("./simulat", "no such file"),
        ("no-such-program", "not found in PATH"),
        ("./data", "chmod +x"),
        ("/", "directory"),
    ] {
        let output = hub.worker(&["--", program, "{}"]).end();
        output.exits(2).says(&[program, says, "before any task was stolen"]).is_one_message();
    }
    assert_eq!(hub.show("a")["task"]["attempt"], 0);
}

#[test]
fn a_hub_that_is_down_is_named_or_waited_for() {
    let mut hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    hub.kill9();
    let output = hub.worker(&["--timeout", "200ms", "--", "true"]).end();
    output.exits(7).says(&["no hub answers", &hub.tcp(), "dhub -f"]).is_one_message();
    let mut patient = hub.worker(&["--wait-for-hub", "--until-done", "--", "true"]);
    patient.hear("waiting for it");
    hub.restart();
    patient.end().exits(0);
    eventually("the task", || (hub.state("a") == "done").then_some(()));
}

#[test]
fn wrong_command_lines() {
    let space = Space::new();
    space.run("kworker", &["-j", "0"]).exits(2).says(&["0"]);
    space.run("kworker", &["--shell", "x", "--", "y"]).exits(2);
    space.run("kworker", &["--sheel", "x"]).exits(2).says(&["--shell"]);
    space.run("kworker", &["--help"]).exits(0).prints(&["Exit codes:", "--until-done"]);
}

#[test]
fn a_script_with_windows_line_ends_is_told() {
    let hub = Hub::start();
    hub.write("win.sh", "#!/bin/sh\r\necho hi\r\n");
    hub.write("none.sh", "#!/none/python3\n");
    hub.sh("chmod +x win.sh none.sh").exits(0);
    for name in ["./win.sh", "./none.sh"] {
        hub.query(&["create", name]).ok();
    }
    hub.worker(&["-j1", "--until-done"]).end().exits(1);
    let reason = |name: &str| hub.show(name)["attempts"][0]["reason"].as_str().map(str::to_owned);
    let said = reason("./win.sh").expect("a reason");
    assert!(said.contains("Windows line ends") && said.contains("sed -i"), "{said}");
    let said = reason("./none.sh").expect("a reason");
    assert!(said.contains("is a script for /none/python3, which is not here"), "{said}");
}

#[test]
fn a_script_for_bash_is_told_from_one_for_sh() {
    let hub = Hub::start();
    let add = |name: &str| {
        let script = "sh -c 'sleep 0.2; echo late' &> log; cat log; hello";
        hub.query(&["create", name, "--command", script]).ok();
    };
    add("one");
    let pool = ["-j1", "--until-done"];
    let said = hub.worker(&[&pool[..], &["--shell-program", "sh"]].concat()).end();
    said.says(&["one: '&>' is not what it seems in sh; for bash: --shell-program bash"]);
    add("two");
    // As with modules, whose commands are functions of the shell that started the pool.
    let mut command = hub.command("bash");
    let start = "hello() { echo hello; }; export -f hello; exec kworker -j1 --max-tasks 1";
    command.args(["-c", start]).env("SHELL", "/bin/bash");
    let said = Process::start(command).end();
    said.exits(0);
    assert!(!said.stderr.contains("seems"), "{said:?}");
    assert_eq!(hub.query(&["logs", "two"]).ok(), "late\nhello\n");
    hub.worker(&["--shell-program", "no-such-shell"]).end().exits(2).says(&["no-such-shell"]);
}
