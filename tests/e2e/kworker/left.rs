//! What tasks leave behind: said how many processes that were, and what cannot be ended.

use std::fs;
use std::process::Command;

use e2e::{Hub, Process, eventually};
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn how_many_processes_were_ended_with_a_task_is_told() {
    let mut hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    hub.query(&["create", "tidy", "a"]).ok();
    let script = "test {} = tidy || { sleep 1000 & setsid sleep 1000 & }; echo ran";
    let said = hub.worker(&["-v", "-j", "1", "--until-done", "--shell", script]).end();
    said.exits(0).says(&["left_behind=2", "is there an & too many"]);
    assert_eq!(said.stderr.matches("left_behind=").count(), 1, "{said:?}");
    let told = |hub: &Hub| {
        hub.query(&["show", "a"])
            .exits(0)
            .prints(&["done", "2 processes that it left behind were ended"]);
        let shown = hub.show("a");
        assert_eq!(
            (&shown["task"]["state"], &shown["task"]["exit_code"]),
            (&"done".into(), &0.into())
        );
        assert_eq!(shown["attempts"][0]["left_behind"], 2);
        assert_eq!(hub.show("tidy")["attempts"][0]["left_behind"], 0);
        hub.query(&["list", "--columns", "name,left"]).exits(0).prints(&["LEFT", "a        2"]);
        let export = hub.query(&["export"]);
        assert!(export.ok().contains("\"left_behind\":2"), "{export:?}");
    };
    told(&hub);
    hub.restart();
    told(&hub);
}

/// Root without the right to signal processes of others: as if it were anybody else.
fn without_kill(hub: &Hub, args: &[&str]) -> Option<Process> {
    let is_root = rustix::process::geteuid().is_root();
    let has_setpriv = Command::new("setpriv").arg("--version").output().is_ok();
    if !is_root || !has_setpriv {
        eprintln!("skipped: a process that changes its user can be made by root, with setpriv");
        return None;
    }
    let mut command = hub.command("setpriv");
    command.arg("--bounding-set=-kill").arg(hub.command("kworker").get_program()).args(args);
    Some(Process::start(command))
}

/// Writes who it is, then sleeps as somebody else.
const AS_OTHER: &str = "setpriv --reuid=65534 --clear-groups sleep 1000";

fn end(hub: &Hub, file: &str) {
    let pid = fs::read_to_string(hub.path(file)).expect("a number");
    let path = format!("/proc/{}/status", pid.trim());
    let status = fs::read_to_string(&path).expect("it goes on");
    assert!(status.contains("Uid:\t65534"), "{status}");
    let pid = Pid::from_raw(pid.trim().parse().expect("a number")).expect("a process");
    kill_process(pid, Signal::KILL).expect("a process");
    let is_gone = || {
        let status = fs::read_to_string(&path).unwrap_or_default();
        (status.is_empty() || status.contains("State:\tZ")).then_some(())
    };
    eventually("it to be gone", is_gone);
}

#[test]
fn a_task_that_changed_its_user_is_reported_after_the_grace() {
    let hub = Hub::start();
    hub.query(&["create", "a", "--time-limit", "3s"]).ok();
    hub.query(&["create", "after"]).ok();
    let script = format!("test {{}} = after || {{ echo $$ >pid; exec {AS_OTHER}; }}");
    let args = ["-j", "1", "--until-done", "--shell", &script];
    let Some(pool) = without_kill(&hub, &args) else { return };
    pool.end().exits(1).says(&["a is reported, but goes on: it has changed its user"]);
    let reason = hub.show("a")["task"]["reason"].as_str().expect("a reason").to_owned();
    assert_eq!(reason, "timed out after 3 s, and goes on: it has changed its user");
    assert_eq!(hub.state("after"), "done", "its slot is free");
    end(&hub, "pid");
}

#[test]
fn so_is_one_that_leaves_such_a_process_behind() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    let script = format!(
        "{AS_OTHER} & echo $! >pid; until grep -q '^Uid:.65534' /proc/$!/status; do sleep 0.02; done"
    );
    let args = ["-j", "1", "--until-done", "--shell", &script];
    let Some(pool) = without_kill(&hub, &args) else { return };
    pool.end().exits(0).says(&["a is reported, but goes on: it has changed its user"]);
    assert_eq!(hub.state("a"), "done");
    end(&hub, "pid");
}

#[test]
fn a_pool_that_is_told_to_stop_does_not_wait_for_it() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    let script = format!("echo $$ >pid; exec {AS_OTHER}");
    let Some(mut pool) = without_kill(&hub, &["-j", "1", "--shell", &script]) else { return };
    eventually("it to be another user's", || {
        let pid = fs::read_to_string(hub.path("pid")).unwrap_or_default();
        let status = fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap_or_default();
        status.contains("Uid:\t65534").then_some(())
    });
    pool.signal(Signal::TERM);
    pool.hear("finishes 1 running task");
    pool.signal(Signal::TERM);
    pool.end().says(&["stops now", "of another user goes on"]);
    assert_eq!(hub.state("a"), "ready");
    end(&hub, "pid");
}
