//! A pool that was started on a terminal: its tasks have none, and Ctrl-Z and Ctrl-C go on working.

use std::fs;

use e2e::{Hub, Terminal, eventually};
use rustix::process::{Pid, Signal, kill_process};

/// Ends when the file `gate` is there, or its hub is not.
const GATED: &str = "echo $$ >first; while test -e run.db && ! test -e gate; do sleep 0.02; done";

fn on_terminal(hub: &Hub, args: &[&str], script: &str) -> Terminal {
    let mut command = hub.command("kworker");
    command.args(["-j", "1"]).args(args).args(["--shell", script]);
    Terminal::start(&command, 80, 24)
}

fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next())
}

/// The guardian and the pool.
fn both(screen: &Terminal) -> [u32; 2] {
    let id = screen.id();
    let pool = eventually("the pool below its guardian", || {
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    });
    [id, pool]
}

/// A pool with a task that runs.
fn gated(hub: &Hub, args: &[&str]) -> (Terminal, u32) {
    hub.query(&["create", "a"]).ok();
    let screen = on_terminal(hub, args, GATED);
    let task = eventually("the task", || {
        let text = fs::read_to_string(hub.path("first")).unwrap_or_default();
        text.ends_with('\n').then(|| text.trim().parse().expect("a number"))
    });
    (screen, task)
}

fn suspend(screen: &mut Terminal) {
    let both = both(screen);
    screen.type_keys("\x1a");
    eventually("both to stop", || both.iter().all(|&pid| state(pid) == Some('T')).then_some(()));
}

#[test]
fn a_task_that_asks_a_person_is_told_that_there_is_none() {
    let hub = Hub::start();
    hub.query(&["create", "ask"]).ok();
    // The seventh number of a process is its terminal.
    let script = "{ read -r x </dev/tty; } 2>/dev/null; echo rc=$?; readlink /proc/$$/fd/0; \
                  cut -d' ' -f7 /proc/$$/stat";
    let mut screen = on_terminal(&hub, &["--until-done"], script);
    assert_eq!(screen.end(), 0);
    let shown = hub.show("ask");
    let output = shown["attempts"][0]["output"].as_str().expect("text");
    let lines: Vec<&str> = output.lines().collect();
    assert!(matches!(lines[..], [rc, "/dev/null", "0"] if rc != "rc=0"), "{output}");
}

#[test]
fn ctrl_z_stops_the_pool_and_its_session_can_go_on() {
    let hub = Hub::start();
    let (mut screen, _) = gated(&hub, &["--until-done"]);
    suspend(&mut screen);
    screen.signal(Signal::CONT);
    let both = both(&screen);
    eventually("both to go on", || both.iter().all(|&pid| state(pid) != Some('T')).then_some(()));
    hub.write("gate", "");
    assert_eq!(screen.end(), 0);
    assert_eq!(hub.state("a"), "done");
}

/// Nobody is left who could wake it.
#[test]
fn a_suspended_pool_whose_guardian_is_killed_ends_its_task() {
    let hub = Hub::start();
    let (mut screen, task) = gated(&hub, &[]);
    let [guardian, pool] = both(&screen);
    suspend(&mut screen);
    kill_process(Pid::from_raw(guardian as i32).expect("a process"), Signal::KILL).unwrap();
    for pid in [pool, task] {
        let is_gone = || matches!(state(pid), None | Some('Z' | 'X')).then_some(());
        eventually("the pool and its task to be gone", is_gone);
    }
    eventually("the task to be ready", || (hub.state("a") == "ready").then_some(()));
}

#[test]
fn ctrl_c_lets_the_task_end() {
    let hub = Hub::start();
    let (mut screen, _) = gated(&hub, &[]);
    screen.type_keys("\x03");
    screen.shows("finishes 1 running task");
    hub.write("gate", "");
    assert_eq!(screen.end(), 0);
    assert_eq!(hub.state("a"), "done");
}
