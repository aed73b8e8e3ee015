//! The hub that is besieged, with a key for each role.

use std::path::PathBuf;

use dhub_proto::access::Access;
use dhub_proto::find::Target;
use e2e::{Process, Space, free_ports};

/// Of keys that may ask little.
pub const ROLES: [&str; 3] = ["observe", "submit", "work"];

pub struct Hub {
    pub space: Space,
    pub process: Process,
    pub port: u16,
    home: PathBuf,
}

impl Hub {
    pub fn start() -> Self {
        let (space, port) = (Space::new(), free_ports());
        let mut command = space.command("dhub");
        command.args(["-f", "run.db", "-p", &port.to_string(), "--host", "127.0.0.1"]);
        let mut process = Process::start(command);
        process.hear("your tools find it");
        let mut homes = std::fs::read_dir(space.path(".dhub")).expect("the keys");
        let home = homes.next().expect("a hub's").expect("a hub's").path();
        for role in ROLES {
            space.run("dhub", &["access", "new", &hostile(role), "--role", role]).exits(0);
        }
        Self { space, process, port, home }
    }

    pub fn access(&self, name: &str) -> PathBuf {
        self.home.join(format!("{name}.access"))
    }

    pub fn target(&self, name: &str) -> Target {
        let access = Access::read(&self.access(name)).expect("a key");
        let endpoint = format!("tcp://127.0.0.1:{}", self.port);
        Target { endpoint, keys: Some(access.keys()), ..Target::default() }
    }

    pub fn memory_mib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim_end_matches("kB").trim().parse::<u64>().ok());
        kib.unwrap_or(0) / 1024
    }
}

/// The name of a key; a hub has one for each role by itself.
pub fn hostile(role: &str) -> String {
    format!("hostile-{role}")
}
