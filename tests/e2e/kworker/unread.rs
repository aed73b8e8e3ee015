//! Pools whose standard error nobody reads, or that cannot be written to.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use e2e::Hub;
use rustix::fs::OFlags;

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

#[test]
fn a_pool_whose_words_go_to_a_full_pipe_runs_all() {
    let hub = with_tasks();
    hub.sh("mkfifo said").exits(0);
    let flags = OFlags::NONBLOCK.bits() as i32;
    let mut pipe = OpenOptions::new();
    let pipe = pipe.read(true).write(true).custom_flags(flags).open(hub.path("said"));
    let mut pipe = pipe.expect("a pipe");
    while pipe.write(b"\n").is_ok() {}
    hub.sh(&format!("{POOL} 2>said")).exits(0);
    hub.query(&["wait"]).exits(0);
}
