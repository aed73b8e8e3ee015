//! A terminal that hung up takes nothing any more, and fails like a disk: it is not taken for one.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use dhub_proto::exit::Exit;
use e2e::{Hub, Output, Process, Space, eventually, task};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// The end of a terminal that a program writes to; nobody sits at the other one any more.
fn hung_up() -> File {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).expect("a terminal");
    unlockpt(&master).expect("a terminal");
    let path = ptsname(&master, Vec::new()).expect("its name");
    // Without making it the one of this session, for which its end would be a signal.
    let flags = OpenptFlags::NOCTTY.bits() as i32;
    let mut options = File::options();
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags);
    let slave = options.read(true).write(true).open(OsStr::from_bytes(path.to_bytes()));
    let slave = slave.expect("its other end");
    drop(master);
    let mut end = &slave;
    let error = std::io::Write::write(&mut end, b"x").expect_err("nobody is there");
    assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::IO.raw_os_error()));
    slave
}

/// Ends with what it says on standard error.
fn to_nobody(mut command: Command) -> Output {
    let what = format!("{command:?}");
    let child = command.stdout(hung_up()).stderr(Stdio::piped()).spawn().expect("a program");
    let output = child.wait_with_output().expect("its end");
    let stderr = String::from_utf8(output.stderr).expect("text");
    Output { what, stdout: String::new(), stderr, code: output.status.code() }
}

#[test]
fn what_cannot_be_written_to_a_terminal_that_hung_up_is_no_disk_that_fails() {
    let mut hub = Hub::start();
    hub.native().create(&[task("a", &[])]);
    let mut list = hub.command("dquery");
    list.arg("list");
    let mut said = vec![to_nobody(list)];
    hub.terminate().exits(0);
    for args in [&["check", "run.db"][..], &["backup", "run.db", "copy.db"], &["access", "list"]] {
        let mut command = hub.space.command("dhub");
        command.args(args);
        said.push(to_nobody(command));
    }
    for output in said {
        output.exits(Exit::System as i32);
        output.says(&["cannot write to standard output: the terminal has hung up"]);
    }
}

/// Whatever it has to say, at the start and later.
#[test]
fn a_hub_whose_terminal_hung_up_goes_on() {
    let space = Space::new();
    let mut command = space.command("dhub");
    command.args(["-f", "run.db", "--local", "-vv"]).stdout(hung_up()).stderr(hung_up());
    let mut hub = command.spawn().expect("a hub");
    let homes = space.path(".dhub");
    eventually("a hub that listens", || {
        assert_eq!(hub.try_wait().expect("a child"), None, "it ended");
        let homes = std::fs::read_dir(&homes).ok()?;
        homes.flatten().any(|home| home.path().join("live.json").exists()).then_some(())
    });
    space.run("dquery", &["create", "a"]).exits(0);
    let mut stop = space.command("dquery");
    stop.arg("shutdown");
    let said = Process::start(stop).end();
    assert!(said.code == Some(0), "{said:?}");
    let status = eventually("its end", || hub.try_wait().expect("a child"));
    assert_eq!(status.code(), Some(0));
}
