//! A hub whose sockets are removed, and one whose directory for them is not there.

use std::fs;
use std::path::PathBuf;

use e2e::{Process, Space, eventually};
use rustix::process::Signal;

/// A hub for who has its key, and the directory of its sockets.
fn start(space: &Space, args: &[&str]) -> (Process, PathBuf) {
    let mut command = space.command("dhub");
    command.args(["-f", "run.db", "--host", "127.0.0.1"]).args(args);
    let mut hub = Process::start(command);
    hub.hear("access ");
    (hub, space.path("dhub"))
}

fn has_sockets(dir: &PathBuf) -> bool {
    fs::read_dir(dir).is_ok_and(|files| files.count() == 2)
}

#[test]
fn sockets_that_were_removed_are_made_again() {
    let space = Space::new();
    let (mut hub, dir) = start(&space, &["--local"]);
    space.run("dquery", &["create", "a"]).ok();
    let mut pool = space.command("kworker");
    pool.args(["-j1", "--", "true"]);
    let mut pool = Process::start(pool);
    pool.hear("1 slot");
    for _ in 0..2 {
        fs::remove_dir_all(&dir).expect("the directory of the sockets");
        hub.hear("it is there again");
        eventually("both sockets", || has_sockets(&dir).then_some(()));
        space.run("dquery", &["status"]).ok();
    }
    // It has its connection still.
    space.run("dquery", &["create", "b"]).ok();
    space.run("dquery", &["wait"]).ok();
    pool.signal(Signal::TERM);
    pool.end();
    hub.signal(Signal::TERM);
    hub.end().exits(0);
    assert!(!has_sockets(&dir));
}

/// Where a person wants it, in a directory that others can enter: keys decide who is let in.
#[test]
fn a_socket_in_a_directory_of_all_is_made_again_too() {
    let space = Space::new();
    let open = space.path("open");
    fs::create_dir(&open).expect("a directory");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&open, mode).expect("a mode");
    let socket = format!("ipc://{}/x.sock", open.display());
    let (mut hub, _) = start(&space, &["--bind", &socket]);
    space.run("dquery", &["-s", &socket, "create", "a"]).ok();
    fs::remove_file(open.join("x.sock")).expect("the socket");
    eventually("the socket", || open.join("x.sock").exists().then_some(()));
    hub.hear("it is there again");
    space.run("dquery", &["-s", &socket, "create", "b"]).ok();
    // One that the hub makes is for its user alone.
    fs::remove_dir_all(&open).expect("the directory");
    eventually("the socket", || open.join("x.sock").exists().then_some(()));
    let made = fs::metadata(&open).expect("a directory").permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&made) & 0o777, 0o700);
    hub.signal(Signal::TERM);
    hub.end().exits(0);
}

/// As long as the directory above is missing too, as after a last logout.
#[test]
fn without_its_socket_a_hub_is_found_by_tcp() {
    let space = Space::new();
    fs::create_dir(space.path("session")).expect("a directory");
    let session = space.path("session").display().to_string();
    let mut command = space.command("dhub");
    command.args(["-f", "run.db", "--host", "127.0.0.1"]).env("XDG_RUNTIME_DIR", &session);
    let mut hub = Process::start(command);
    hub.hear("access ");
    fs::remove_dir_all(&session).expect("the session's directory");
    space.run("dquery", &["create", "a"]).ok();
    hub.hear("tried again");
    fs::create_dir(&session).expect("a directory");
    hub.hear("it is there again");
    hub.signal(Signal::TERM);
    hub.end().exits(0);
    space.run("dquery", &["status"]).exits(7);
}

#[test]
fn a_runtime_directory_that_is_not_there_is_passed_over() {
    let space = Space::new();
    let tmp = space.path("tmp");
    fs::create_dir(&tmp).expect("a directory");
    let mut command = space.command("dhub");
    command.args(["-f", "run.db", "--local"]);
    command.env("XDG_RUNTIME_DIR", "/run/user/4242/none").env("TMPDIR", &tmp);
    let mut hub = Process::start(command);
    hub.hear(&format!("ipc://{}/dhub-", tmp.display()));
    space.run("dquery", &["create", "a"]).ok();
    hub.signal(Signal::TERM);
    hub.end().exits(0);
}

/// One of two that live is not taken for the only one since its socket is gone.
#[test]
fn hubs_without_their_sockets_are_still_several() {
    let space = Space::new();
    let session = space.path("session");
    fs::create_dir(&session).expect("a directory");
    let hubs = ["a.db", "b.db"].map(|file| {
        let mut command = space.command("dhub");
        command.args(["-f", file, "--host", "127.0.0.1"]).env("XDG_RUNTIME_DIR", &session);
        let mut hub = Process::start(command);
        hub.hear("access ");
        hub
    });
    fs::remove_dir_all(&session).expect("the session's directory");
    space.run("dquery", &["create", "x"]).exits(2).says(&["several of your hubs run"]);
    let [a, b] = hubs;
    a.signal(Signal::TERM);
    a.end().exits(0);
    space.run("dquery", &["create", "x"]).ok();
    b.signal(Signal::TERM);
    b.end().exits(0);
}
