//! A hub that has something to say, and whose standard error nobody reads.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use e2e::{Process, Space, eventually};
use rustix::fs::OFlags;

/// A hub that speaks into a pipe, of which the test has both ends.
fn speaking(space: &Space) -> (Process, File) {
    space.run("mkfifo", &["said"]).ok();
    let flags = OFlags::NONBLOCK.bits() as i32;
    let mut pipe = OpenOptions::new();
    let pipe = pipe.read(true).write(true).custom_flags(flags).open(space.path("said"));
    let mut command = space.command("sh");
    command.args(["-c", "exec dhub -f run.db --local 2>said"]);
    let hub = Process::start(command);
    let answers = || space.run("dquery", &["--timeout", "1s", "status"]).code == Some(0);
    eventually("a hub", || answers().then_some(()));
    (hub, pipe.expect("a pipe"))
}

/// Somebody knocks whose key was taken back, which the hub logs; then it has to go on.
fn logs_and_goes_on(space: &Space, hub: Process) {
    space.run("dhub", &["access", "new", "node", "--role", "work", "--to", "key"]).ok();
    space.run("dhub", &["access", "revoke", "node"]).ok();
    for _ in 0..2 {
        space.run("dquery", &["--access", "key", "--timeout", "1s", "status"]).exits(11);
    }
    space.run("dquery", &["create", "a"]).ok();
    space.run("dquery", &["shutdown"]).ok();
    hub.end().exits(0);
}

#[test]
fn a_hub_whose_reader_is_gone_goes_on() {
    let space = Space::new();
    let (hub, pipe) = speaking(&space);
    drop(pipe);
    logs_and_goes_on(&space, hub);
}

#[test]
fn a_hub_whose_reader_reads_nothing_goes_on() {
    let space = Space::new();
    let (hub, mut pipe) = speaking(&space);
    while pipe.write(b"\n").is_ok() {}
    logs_and_goes_on(&space, hub);
}
