//! Who gets in, and how far: keys, roles, files, and what travels.

mod crowd;
mod damaged;
mod dumps;
mod ends;
mod files;
mod flood;
mod keys;
mod leases;
mod modes;
mod places;
mod python;
mod quota;
mod rest;
mod roles;
mod secrets;
mod stranger;
mod wire;

use std::fs;
use std::path::{Path, PathBuf};

use dhub_proto::access::Access;
use dhub_proto::find::Target;
use e2e::{Native, Output, Process, Space, eventually, free_ports};
use rustix::process::Signal;

/// A hub that wants keys, in a home of its own.
struct Guarded {
    space: Space,
    process: Option<Process>,
    port: u16,
    /// How many it may open, connections among them.
    files_max: Option<u64>,
}

impl Guarded {
    fn start() -> Self {
        Self::with(&[])
    }

    fn with(args: &[&str]) -> Self {
        Self::limited(None, args)
    }

    fn with_few_files(files_max: u64) -> Self {
        Self::limited(Some(files_max), &[])
    }

    fn limited(files_max: Option<u64>, args: &[&str]) -> Self {
        let (space, port) = (Space::new(), free_ports());
        let mut hub = Self { space, process: None, port, files_max };
        hub.start_again(args);
        hub
    }

    fn start_again(&mut self, args: &[&str]) {
        let mut command = match self.files_max {
            None => self.space.command("dhub"),
            Some(files) => {
                let mut shell = self.space.command("sh");
                shell.args(["-c", &format!("ulimit -n {files} && exec dhub \"$@\""), "dhub"]);
                shell
            }
        };
        command
            .args(["-f", "run.db", "-p", &self.port.to_string(), "--host", "127.0.0.1"])
            .args(args);
        let mut process = Process::start(command);
        process.hear("your tools find it");
        self.process = Some(process);
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("a hub that runs")
    }

    fn terminate(&mut self) -> Output {
        let process = self.process.take().expect("a hub that runs");
        process.signal(Signal::TERM);
        process.end()
    }

    /// The directory of its keys.
    fn home(&self) -> PathBuf {
        let mut entries = fs::read_dir(self.space.path(".dhub")).expect("the keys");
        entries.next().expect("a hub's").expect("a hub's").path()
    }

    fn access(&self, name: &str) -> PathBuf {
        self.home().join(format!("{name}.access"))
    }

    /// A copy of an access file as it is on another machine: TCP is the only way from there.
    fn abroad(&self, name: &str) -> PathBuf {
        let to = self.space.path(&format!("{name}.abroad"));
        let access = Access { boot_id: "another".into(), ..read(&self.access(name)) };
        access.write(&to).expect("an access file");
        to
    }

    /// Over TCP, with the key of that access file.
    fn native(&self, name: &str) -> Native {
        Native::to(&self.target(name))
    }

    fn target(&self, name: &str) -> Target {
        target(&read(&self.access(name)))
    }

    fn dhub(&self, args: &[&str]) -> Output {
        self.space.run("dhub", args)
    }

    fn new_key(&self, name: &str, roles: &[&str]) {
        let mut args = vec!["access", "new", name];
        args.extend(roles.iter().flat_map(|role| ["--role", role]));
        self.dhub(&args).exits(0);
    }

    /// dquery on another machine.
    fn query_abroad(&self, name: &str, args: &[&str]) -> Output {
        let path = self.abroad(name).display().to_string();
        self.space.run("dquery", &[args, &["--access", &path]].concat())
    }

    fn status(&self) -> serde_json::Value {
        let output = self.space.run("dquery", &["status", "--json"]);
        output.exits(0);
        output.json()
    }
}

fn read(path: &Path) -> Access {
    Access::read(path).expect("an access file")
}

fn target(access: &Access) -> Target {
    let keys = Some(access.keys());
    Target { endpoint: access.endpoints[0].clone(), keys, ..Target::default() }
}

/// Waits until the hub has refused that many connections.
fn await_failures(hub: &Guarded, least: u64) {
    eventually("failed handshakes in the status", || {
        let failed = hub.status()["hub"]["handshakes_failed"].as_u64().expect("a number");
        (failed >= least).then_some(())
    });
}
