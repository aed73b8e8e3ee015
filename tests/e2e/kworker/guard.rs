//! Whatever is killed, no process of a task is left, and what ends the pool ends its guardian.

use std::fs;

use e2e::{Hub, Process, eventually};
use rustix::process::{Pid, Signal, getpgid, kill_process, kill_process_group};

/// Three generations, each in a session of its own, the last one deaf to SIGTERM; they write who they are.
const FAMILY: &str = "echo $$ >first; \
    setsid sh -c 'echo $$ >second; setsid sh -c \"trap \\\"\\\" TERM HUP INT; echo \\$\\$ >third; sleep 1000; sleep 1000\" & \
    until test -s third; do sleep 0.02; done' & \
    until test -s third; do sleep 0.02; done";

fn is_there(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn written(hub: &Hub, name: &str) -> String {
    eventually(name, || {
        let text = fs::read_to_string(hub.path(name)).unwrap_or_default();
        text.ends_with('\n').then(|| text.trim().to_owned())
    })
}

fn family(hub: &Hub) -> Vec<String> {
    ["first", "second", "third"].map(|name| written(hub, name)).to_vec()
}

#[track_caller]
fn is_gone(family: &[String]) {
    for pid in family {
        eventually(&format!("process {pid} to be gone"), || (!is_there(pid)).then_some(()));
    }
}

/// A pool that runs one task with its family, which does not end by itself if it is to `stay`.
fn family_runs(hub: &Hub, stay: bool) -> (Process, Vec<String>) {
    hub.query(&["create", "a"]).ok();
    let script = if stay { format!("{FAMILY}; sleep 1000") } else { FAMILY.to_owned() };
    let pool = hub.worker(&["-j", "1", "--shell", &script]);
    let family = family(hub);
    // The second one may have left already.
    assert!(!stay || [0, 2].into_iter().all(|at| is_there(&family[at])));
    (pool, family)
}

#[test]
fn a_task_takes_all_it_started_with_it() {
    let hub = Hub::start();
    let (pool, family) = family_runs(&hub, false);
    eventually("the task", || (hub.state("a") == "done").then_some(()));
    // Not sooner: who needs the task finds nothing of it running.
    assert!(family.iter().all(|pid| !is_there(pid)));
    pool.signal(Signal::TERM);
    pool.end().exits(0);
}

#[test]
fn so_does_a_cancelled_one() {
    let hub = Hub::start();
    let (_pool, family) = family_runs(&hub, true);
    hub.query(&["cancel", "a"]).ok();
    is_gone(&family);
}

#[test]
fn and_one_over_its_time_limit() {
    let hub = Hub::start();
    hub.query(&["create", "a", "--time-limit", "1s"]).ok();
    let _pool = hub.worker(&["-j", "1", "--shell", &format!("{FAMILY}; sleep 1000")]);
    let family = family(&hub);
    is_gone(&family);
    eventually("the task", || (hub.state("a") == "failed").then_some(()));
}

#[test]
fn a_killed_pool_leaves_nothing() {
    let hub = Hub::start();
    let (pool, family) = family_runs(&hub, true);
    pool.signal_pool(Signal::KILL);
    let output = pool.end();
    assert_eq!(output.code, None, "ended as the pool did: {output:?}");
    output.says(&["killed by signal 9"]);
    is_gone(&family);
}

#[test]
fn a_killed_guardian_leaves_nothing_and_the_pool_gives_its_tasks_back() {
    let hub = Hub::start();
    let (mut pool, family) = family_runs(&hub, true);
    let below = pool.pool();
    pool.kill9();
    is_gone(&family);
    eventually("the pool to leave", || {
        (!is_there(&below.as_raw_nonzero().to_string())).then_some(())
    });
    // At once, not after the time-out of workers.
    eventually("the task to be ready", || (hub.state("a") == "ready").then_some(()));
}

#[test]
fn a_guardian_killed_while_the_hub_is_awaited() {
    let mut hub = Hub::start();
    hub.kill9();
    let mut pool = hub.worker(&["-j", "1", "--wait-for-hub", "--", "true"]);
    pool.hear("waiting for it");
    let below = pool.pool().as_raw_nonzero().to_string();
    pool.kill9();
    eventually("the pool to leave", || (!is_there(&below)).then_some(()));
}

/// A pool with a task that ends when the file `gate` is there.
fn gated(hub: &Hub) -> Process {
    hub.query(&["create", "a"]).ok();
    let script = "echo $$ >first; while test -e run.db && ! test -e gate; do sleep 0.02; done";
    let pool = hub.worker(&["-j", "1", "--shell", script]);
    written(hub, "first");
    pool
}

#[test]
fn a_signal_to_both_counts_once() {
    let hub = Hub::start();
    let mut pool = gated(&hub);
    pool.signal(Signal::INT);
    pool.signal_pool(Signal::INT);
    pool.hear("finishes 1 running task");
    hub.write("gate", "");
    pool.end().exits(0);
    assert_eq!(hub.state("a"), "done");
}

#[test]
fn the_ctrl_c_of_a_terminal_reaches_the_guardian_alone() {
    let hub = Hub::start();
    let mut command = hub.command("kworker");
    hub.query(&["create", "a"]).ok();
    let script = "echo $$ >first; while test -e run.db && ! test -e gate; do sleep 0.02; done";
    // As a shell does for a job: a group of its own, and signals go to all of it.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.args(["-j", "1", "--shell", script]);
    let mut pool = Process::start(command);
    let task = Pid::from_raw(written(&hub, "first").parse().unwrap()).unwrap();
    let groups = [Pid::from_raw(pool.id() as i32).unwrap(), pool.pool(), task];
    for pid in groups {
        assert_eq!(getpgid(Some(pid)).unwrap(), pid, "a group of its own");
    }
    kill_process_group(groups[0], Signal::INT).unwrap();
    pool.hear("finishes 1 running task");
    kill_process_group(groups[0], Signal::INT).unwrap();
    pool.end().says(&["stops now"]);
    is_gone(&[task.as_raw_nonzero().to_string()]);
    assert_eq!(hub.state("a"), "ready");
}

#[test]
fn a_job_that_is_suspended_is_suspended_as_a_whole() {
    let hub = Hub::start();
    let pool = gated(&hub);
    let state = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next())
    };
    let both = [pool.id(), pool.pool().as_raw_nonzero().get() as u32];
    pool.signal(Signal::TSTP);
    eventually("both to stop", || both.iter().all(|&pid| state(pid) == Some('T')).then_some(()));
    pool.signal(Signal::CONT);
    eventually("both to go on", || both.iter().all(|&pid| state(pid) != Some('T')).then_some(()));
    hub.write("gate", "");
    eventually("the task", || (hub.state("a") == "done").then_some(()));
    pool.signal(Signal::TERM);
    pool.end().exits(0);
}

#[test]
fn people_see_who_is_who() {
    let hub = Hub::start();
    let pool = gated(&hub);
    let name = |pid| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    assert_eq!(name(pool.id()), "pool-guardian\n");
    assert_eq!(name(pool.pool().as_raw_nonzero().get() as u32), "kworker\n");
    let task = written(&hub, "first");
    let environment = fs::read_to_string(format!("/proc/{task}/environ")).unwrap();
    assert!(environment.contains("DHUB_TASK=a\0") && !environment.contains("DHUB_GUARDIAN"));
    hub.write("gate", "");
}

#[test]
fn children_of_the_shell_before_are_left_alone() {
    let hub = Hub::start();
    let pool =
        hub.command("sh").args(["-c", "sleep 1000 & echo $! >other; exec kworker -- true"]).spawn();
    let mut pool = pool.unwrap();
    let other = written(&hub, "other");
    eventually("the pool", || {
        let status = hub.query(&["status", "--json"]).json();
        (status["workers_total"] == 1).then_some(())
    });
    kill_process(Pid::from_child(&pool), Signal::TERM).unwrap();
    assert_eq!(pool.wait().unwrap().code(), Some(0));
    assert!(is_there(&other));
    let other = Pid::from_raw(other.parse().unwrap()).unwrap();
    kill_process(other, Signal::KILL).unwrap();
}
