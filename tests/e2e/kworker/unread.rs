//! Pools whose standard error nobody reads, or that cannot be written to.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use e2e::{Hub, Process, eventually};
use rustix::fs::OFlags;
use rustix::process::Signal;

const POOL: &str = "kworker -vv -j2 --until-done --shell 'echo {} >>log'";

fn with_tasks() -> Hub {
    let hub = Hub::start();
    hub.write("tasks.txt", (0..20).map(|n| format!("t{n}\n")).collect::<String>());
    hub.query(&["addfile", "tasks.txt"]).ok();
    hub
}

#[test]
fn a_pool_whose_words_go_to_a_full_device_runs_all() {
    let hub = with_tasks();
    hub.sh(&format!("{POOL} 2>/dev/full")).exits(0);
    hub.query(&["wait"]).exits(0);
}

/// Nobody reads it, and it takes nothing more.
fn full_pipe(hub: &Hub) -> File {
    hub.sh("mkfifo said").exits(0);
    let flags = OFlags::NONBLOCK.bits() as i32;
    let mut pipe = OpenOptions::new();
    let pipe = pipe.read(true).write(true).custom_flags(flags).open(hub.path("said"));
    let mut pipe = pipe.expect("a pipe");
    while pipe.write(b"\n").is_ok() {}
    pipe
}

#[test]
fn a_pool_whose_words_go_to_a_full_pipe_runs_all() {
    let hub = with_tasks();
    let _pipe = full_pipe(&hub);
    hub.sh(&format!("{POOL} 2>said")).exits(0);
    hub.query(&["wait"]).exits(0);
}

/// It tells of the pool's death before it ends.
#[test]
fn a_guardian_whose_words_go_to_a_full_pipe_ends_with_its_pool() {
    let hub = with_tasks();
    let _pipe = full_pipe(&hub);
    let mut command = hub.command("sh");
    command.args(["-c", "exec kworker -j1 --shell 'echo {} >>log; sleep 1000' 2>said"]);
    let pool = Process::start(command);
    eventually("a task that runs", || hub.path("log").exists().then_some(()));
    pool.signal_pool(Signal::KILL);
    let ended = pool.end();
    assert_eq!(ended.code, None, "by the same signal: {ended:?}");
}
