//! Tables at a terminal: they fit it, are sorted, and are paged through when they are long.

use dhub_proto::wire::{Heartbeat, Sample, Steal, Worker, request::Body};
use e2e::{Hub, Terminal, eventually, worker};

const LONG: &str =
    "simulation-of-the-whole-atmosphere-and-of-all-oceans-with-their-currents-in-the-year-2031";

fn with(lines: &str) -> Hub {
    let hub = Hub::start();
    hub.write("tasks.txt", lines);
    hub.query(&[
        "addfile",
        "tasks.txt",
        "--command",
        "./sim --seed {} --verbose > /scratch/{}.txt",
    ])
    .ok();
    hub
}

/// At a terminal, with what people have in their environment.
fn at_terminal(
    hub: &Hub,
    args: &[&str],
    env: &[(&str, &str)],
    columns: u16,
    lines: u16,
) -> Terminal {
    let mut command = hub.command("dquery");
    command.args(args).env_remove("DHUB_PAGER").env_remove("PAGER").env_remove("LESS");
    command.envs(env.iter().copied());
    Terminal::start(&command, columns, lines)
}

#[test]
fn long_names_lose_their_middle_and_nothing_is_wrapped() {
    let hub = with(&format!("{LONG}\nb\n"));
    let mut screen = at_terminal(&hub, &["list"], &[("PAGER", "cat")], 80, 24);
    assert_eq!(screen.end(), 0);
    let text = screen.shows("\nb ");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[1].starts_with("simulation-of-…the-year-2031  ready"), "{text}");
    // In a pipe it is complete.
    hub.query(&["list"]).exits(0).prints(&[LONG, "--verbose > /scratch/b.txt"]);
    // On a narrow one the command goes first.
    let mut screen = at_terminal(&hub, &["list"], &[("PAGER", "cat")], 36, 24);
    assert_eq!(screen.end(), 0);
    let text = screen.shows("TASK");
    assert!(text.contains("2031  ready") && !text.contains("COMMAND"), "{text}");
}

#[test]
fn workers_fit_the_terminal() {
    let hub = with("a\n");
    let native = hub.native();
    let who = Worker { host: "login-node-of-the-large-cluster".into(), ..worker(1) };
    native.steal(Steal { worker: Some(who.clone()), n: 1, ..Steal::default() });
    let sample = Sample {
        slots: 7,
        cpu_percent: 50.0,
        memory_used_bytes: 1,
        memory_total_bytes: 4,
        ..Sample::default()
    };
    let note = "10 tasks in a row failed at once; no longer stealing".into();
    native.ask(Body::Heartbeat(Heartbeat {
        worker: Some(who),
        sample: Some(sample),
        note,
        ..Heartbeat::default()
    }));
    let mut screen = at_terminal(&hub, &["workers"], &[], 80, 24);
    assert_eq!(screen.end(), 0);
    let text = screen.shows("alive");
    assert_eq!(text.trim_end().lines().count(), 2, "one line each: {text}");
    for title in ["WORKER", "STATE", "SLOTS", "RUNS", "DONE", "FAILED", "CPU", "MEMORY", "SEEN"] {
        assert!(text.contains(title), "{title}: {text}");
    }
    // The same verb, and all of it without a terminal.
    let all = hub.query(&["workers"]);
    all.exits(0).prints(&["login-node-of-the-large-cluster", "no longer stealing", "DISK FREE"]);
    let states = |verb: &[&str]| {
        let lines = hub.query(verb).json_lines();
        lines.iter().map(|it| it["state"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(states(&["workers", "--json"]), ["alive"]);
    assert_eq!(states(&["worker", "list", "--json"]), ["alive"]);
}

#[test]
fn what_is_longer_than_the_screen_is_paged() {
    let hub = with(&(0..90).map(|n| format!("t{n:02}\n")).collect::<String>());
    let mut screen =
        at_terminal(&hub, &["list"], &[("DHUB_PAGER", "sed 's/^/paged: /' | cat")], 80, 200);
    assert_eq!(screen.end(), 0);
    screen.shows("paged: t89");
    // One that is not there, none, and one that has seen enough.
    for (env, args) in [
        (("PAGER", "no-such-pager"), &["list"][..]),
        (("PAGER", ""), &["list"]),
        (("PAGER", "sed 's/^/paged: /'"), &["list", "--no-pager"]),
    ] {
        let mut screen = at_terminal(&hub, args, &[env], 80, 200);
        assert_eq!(screen.end(), 0, "{env:?}");
        assert!(!screen.shows("t89").contains("paged"), "{env:?}");
    }
    let mut screen = at_terminal(&hub, &["list"], &[("PAGER", "head -n 3")], 80, 24);
    assert_eq!(screen.end(), 0);
    assert!(!screen.shows("t01").contains("t02"));
    // Nobody pages through a pipe.
    let mut command = hub.command("dquery");
    command.arg("list").env("PAGER", "sed 's/^/paged: /'");
    let output = e2e::Process::start(command).end();
    assert!(!output.ok().contains("paged"));
}

#[test]
fn a_real_pager_ends_when_it_is_told_to() {
    if std::env::var_os("DHUB_LESS").is_none() {
        eprintln!("skipped: no less (DHUB_LESS)");
        return;
    }
    let hub = with(&(0..90).map(|n| format!("t{n:02}\n")).collect::<String>());
    let mut screen = at_terminal(&hub, &["list"], &[("PAGER", "less -+F -+X")], 80, 12);
    screen.shows("t05");
    screen.type_keys("\x03");
    // With Ctrl-C the terminal forgets what was typed and not yet read.
    eventually("the last task", || {
        screen.type_keys("G");
        screen.text().contains("t89").then_some(())
    });
    screen.type_keys("q");
    assert_eq!(screen.end(), 0);
    screen.is_tidy();
    // What fits on the screen stays there, as if there were none.
    let mut screen = at_terminal(&hub, &["list", "-n", "3"], &[], 80, 24);
    assert_eq!(screen.end(), 0);
    screen.shows("t02");
}

#[test]
fn a_list_is_sorted_and_has_the_columns_asked_for() {
    let hub = with("t2\nt10\nt1\n");
    hub.query(&["create", "first", "--priority", "7", "--command", "x"]).ok();
    let names = |args: &[&str]| {
        let output = hub.query(&[&["list", "--json"], args].concat());
        output.exits(0);
        let name = |it: &serde_json::Value| it["name"].as_str().unwrap().to_owned();
        output.json_lines().iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(names(&["--sort", "name"]), ["first", "t1", "t2", "t10"]);
    assert_eq!(names(&["--sort", "-name", "-n", "2"]), ["t10", "t2"]);
    assert_eq!(names(&["--sort=-priority", "-n", "1"]), ["first"]);
    assert_eq!(names(&["--sort", "PRIORITY", "--reverse", "-n", "1"]), ["first"]);
    assert_eq!(names(&["--reverse"]), ["first", "t1", "t10", "t2"]);
    assert_eq!(names(&["--reverse", "-n", "1"]), ["first"]);
    assert_eq!(names(&["t10", "t2", "--sort", "name"]), ["t2", "t10"]);
    hub.query(&["list", "--sort", "name", "-n", "2"]).exits(0).says(&["first 2 only"]);
    hub.query(&["list", "--sort", "size"]).exits(2).says(&["size", "name, state, tries"]);
    let table = hub.query(&["list", "first", "--columns", "PRIORITY,name,limit"]);
    assert_eq!(table.ok(), "PRIORITY  TASK   LIMIT\n       7  first\n");
    hub.query(&["list", "--columns", "size"]).exits(2).says(&["size", "priority"]);
    hub.query(&["list", "--columns", "name", "--json"]).exits(2);
}
