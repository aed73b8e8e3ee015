//! A hub that wants keys, reached over TCP as from another machine.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use dhub_proto::access::Access;
use e2e::{Process, Space, free_ports};

pub struct Guarded {
    pub space: Space,
    _process: Process,
    /// The owner's access file.
    owner: PathBuf,
}

impl Guarded {
    pub fn with(args: &[&str]) -> Self {
        let space = Space::new();
        let mut command = space.command("dhub");
        let port = free_ports().to_string();
        command.args(["-f", "run.db", "-p", &port, "--host", "127.0.0.1"]).args(args);
        let mut process = Process::start(command);
        process.hear("your tools find it");
        let mut homes = fs::read_dir(space.path(".dhub")).expect("the keys");
        let home = homes.next().expect("a hub's").expect("a hub's").path();
        Self { space, _process: process, owner: home.join("owner.access") }
    }

    /// A new key for workers, in an access file as it is on another machine: only TCP leads there.
    pub fn key(&self, name: &str) -> PathBuf {
        self.space.run("dhub", &["access", "new", name, "--role", "work"]).exits(0);
        let here = self.owner.with_file_name(format!("{name}.access"));
        let text = fs::read_to_string(&here).expect("an access file");
        let access: Access = serde_json::from_str(&text).expect("an access file");
        let abroad = self.space.path(&format!("{name}.abroad"));
        let access = Access { boot_id: "another".into(), ..access };
        access.write(&abroad).expect("an access file");
        abroad
    }

    pub fn query(&self, args: &[&str]) -> e2e::Output {
        self.space.run("dquery", args)
    }

    /// A program that finds this hub by that access file alone.
    pub fn command(&self, program: &str, access: &PathBuf) -> Command {
        let mut command = self.space.command(program);
        command.env("DHUB_ACCESS", access);
        command
    }

    pub fn count(&self, state: &str) -> u64 {
        let output = self.query(&["status", "--json"]);
        output.exits(0);
        output.json()["counts"][state].as_u64().expect("a count")
    }
}
