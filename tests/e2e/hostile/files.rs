//! Out of file descriptors.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use dhub_proto::access::Access;
use dhub_proto::find::Target;
use e2e::{Native, Process, Space, eventually, free_ports, plain_worker, task};

/// A hub that may open so many files.
fn start(space: &Space, port: u16, files: u32) -> Process {
    let mut command = space.command("sh");
    let script = format!("ulimit -n {files} && exec dhub -f run.db --insecure -p {port}");
    command.args(["-c", &script]);
    Process::start(command)
}

fn open_files(hub: &Process) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", hub.id())).expect("a process").count()
}

const FILES: u32 = 64;

/// Opens more connections than the hub has descriptors; goes on working, and so does the owner.
fn exhaust<T>(is_ipc: bool, connect: impl Fn(&str, u16) -> std::io::Result<T>) {
    let space = Space::new();
    let port = free_ports();
    let mut hub = start(&space, port, FILES);
    hub.hear("plain TCP");
    let said = hub.stderr();
    let ipc = said.split_whitespace().find_map(|word| word.strip_prefix("ipc://")).expect("ipc");
    let native = Native::connect(&format!("tcp://127.0.0.1:{port}"));
    native.create(&[task("a", &[])]);

    let mut idle: Vec<T> = Vec::new();
    // More than there are; what the hub does not let in it closes at once.
    let refused = "connections were closed at once";
    let full = eventually("as many as the hub lets in", || {
        if idle.len() < 1_000 {
            idle.extend((0..FILES).filter_map(|_| connect(ipc, port).ok()));
        }
        // Over TCP those that say nothing have a part of them only.
        let is_full = match is_ipc {
            true => open_files(&hub) >= FILES as usize * 3 / 4 - 1,
            false => hub.stderr().contains(refused),
        };
        is_full.then(|| open_files(&hub))
    });
    assert!(full < FILES as usize - 4, "{full} of {FILES}: the rest is for keys and files");
    // Who is connected is served, and everything can be stored.
    let tasks: Vec<_> = (0..2_000).map(|n| task(&format!("t{n}"), &["a"])).collect();
    assert_eq!(native.create(&tasks).added, 2_000);
    let lease = native.steal_one(&plain_worker("w"));
    assert_eq!(native.report(&plain_worker("w"), vec![e2e::outcome_done(&lease)]), []);
    assert_eq!(native.counts().ready, 2_000);
    assert!(hub.is_running(), "{}", hub.stderr());
    let owner = space.run("sh", &["-c", "ls .dhub/*/owner.access"]);
    let access = Access::read(&space.path(owner.ok().trim())).expect("an access file");
    let keys = Some(access.keys());
    let over_ipc = Target { endpoint: format!("ipc://{ipc}"), keys, ..Target::default() };
    // The owner gets in unless these are the owner's.
    if !is_ipc {
        assert_eq!(Native::to(&over_ipc).counts().ready, 2_000);
    }
    // Who comes now gets in when others leave.
    let late = [Target::plain(format!("tcp://127.0.0.1:{port}")), over_ipc].map(|target| {
        let late = Native::to(&target);
        late.send(dhub_proto::wire::request::Body::Status(Default::default()));
        late
    });
    drop(idle);
    late.iter().for_each(|late| drop(late.receive()));
    assert!(hub.is_running(), "{}", hub.stderr());
}

#[test]
fn without_descriptors_for_tcp_the_hub_serves_on_and_accepts_again_later() {
    exhaust(false, |_, port| TcpStream::connect(("127.0.0.1", port)));
}

#[test]
fn without_descriptors_for_ipc_the_hub_serves_on_and_accepts_again_later() {
    exhaust(true, |ipc, _| {
        let stream = UnixStream::connect(ipc);
        stream.inspect(|stream| stream.set_nonblocking(true).expect("an option"))
    });
}

#[test]
fn a_limit_that_is_too_low_is_told_at_the_start() {
    let space = Space::new();
    for files in [20, 63] {
        let output = start(&space, free_ports(), files).end();
        output.exits(9).says(&["may open", &files.to_string(), "ulimit -Hn"]);
    }
}

#[test]
fn the_soft_limit_is_raised_to_the_hard_one() {
    let space = Space::new();
    let mut command = space.command("sh");
    let port = free_ports();
    let script = format!("ulimit -Sn 40 && ulimit -Hn 200 && exec dhub --insecure -p {port}");
    command.args(["-c", &script]);
    let mut hub = Process::start(command);
    hub.hear("plain TCP");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", hub.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(line.split_whitespace().filter(|&word| word == "200").count(), 2, "{line}");
}
