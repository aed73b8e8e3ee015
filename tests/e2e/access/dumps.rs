//! What has keys in memory leaves no core dump; what it starts may.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::process::Command;

use e2e::{Process, Space, eventually};

/// Of nobody in particular.
const NOBODY: u32 = 65_534;

/// In a space of its own; as somebody who is not root, if the programs can be run by others.
fn start(space: &Space, command: &mut Command) -> Option<u32> {
    let own = rustix::process::getuid().as_raw();
    if own != 0 {
        return Some(own);
    }
    chown(space.path(""), Some(NOBODY), Some(NOBODY)).expect("to be root");
    command.uid(NOBODY).gid(NOBODY);
    let mut probe = Command::new(command.get_program());
    let probe = probe.arg("--version").uid(NOBODY).gid(NOBODY).output();
    if probe.is_ok_and(|output| output.status.success()) {
        return Some(NOBODY);
    }
    chown(space.path(""), Some(0), Some(0)).expect("to be root");
    command.uid(0).gid(0);
    None
}

/// Its limit of core dumps is 0, and its memory is root's to read.
fn leaves_no_dump(pid: u32, user: Option<u32>) {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("a process");
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    assert_eq!(line.split_whitespace().nth(4), Some("0"), "{line}");
    if user.is_some() {
        let owner = fs::metadata(format!("/proc/{pid}/environ")).expect("a process").uid();
        assert_eq!(owner, 0, "it can be dumped");
    }
}

/// The pool that a guardian started.
fn pool_of(guardian: u32) -> u32 {
    let path = format!("/proc/{guardian}/task/{guardian}/children");
    eventually("a pool", || fs::read_to_string(&path).ok()?.split_whitespace().next()?.parse().ok())
}

#[test]
fn hub_and_tools_leave_no_core_dumps_unless_a_developer_wants_some() {
    let space = Space::new();
    let mut command = space.command("dhub");
    let user = start(&space, command.arg("--local"));
    let mut hub = Process::start(command);
    hub.hear("listening");
    leaves_no_dump(hub.id(), user);

    let mut command = space.command("dquery");
    start(&space, command.args(["wait", "nothing-of-that-name"]));
    // It waits for a hub that is not there.
    command.args(["-s", "tcp://127.0.0.1:9", "--insecure", "--timeout", "1m"]);
    let query = Process::start(command);
    eventually("dquery to be there", || {
        fs::read(format!("/proc/{}/comm", query.id()))
            .is_ok_and(|it| it == b"dquery\n")
            .then_some(())
    });
    std::thread::sleep(std::time::Duration::from_millis(300));
    leaves_no_dump(query.id(), user);

    let mut command = space.command("kworker");
    start(&space, command.args(["-j", "1"]));
    let mut worker = Process::start(command);
    worker.hear("1 slot");
    leaves_no_dump(pool_of(worker.id()), user);

    let mut command = space.command("kworker");
    start(&space, command.args(["-j", "1"]));
    command.env("DHUB_CORE", "1");
    let mut open = Process::start(command);
    open.hear("1 slot");
    if let Some(user) = user {
        let environ = format!("/proc/{}/environ", pool_of(open.id()));
        assert_eq!(fs::metadata(environ).expect("a process").uid(), user);
    }
}

#[test]
fn tasks_have_the_limit_of_core_dumps_that_the_pool_was_started_with() {
    let space = Space::new();
    let mut command = space.command("dhub");
    command.arg("--local");
    let mut hub = Process::start(command);
    hub.hear("listening");
    let limit = "grep 'Max core' /proc/self/limits";
    space.run("dquery", &["create", "a", "--command", &format!("{limit} >inside")]).exits(0);
    // Where the hard limit is 0, it is 0 everywhere.
    let script = format!("ulimit -Sc 100; {limit} >outside; exec kworker -j 1 --until-done");
    space.run("sh", &["-c", &script]).exits(0);
    let text = |name: &str| fs::read_to_string(space.path(name)).expect("a limit");
    assert_eq!(text("inside"), text("outside"));
    // And they can be dumped: their own files are theirs.
    let own = rustix::process::getuid().as_raw();
    space.run("dquery", &["create", "b", "--command", "stat -c %u /proc/self/environ >owner"]);
    space.run("kworker", &["-j", "1", "--until-done"]).exits(0);
    assert_eq!(text("owner").trim(), own.to_string());
}
