//! Servers under measurement: processes of their own, killed when they are no longer needed.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dhub_proto::access;
use dhub_proto::find::Target;
use tempfile::TempDir;

pub struct Server {
    child: Child,
    pub endpoint: String,
    /// Where the file of a hub is; it goes with the process.
    _dir: Option<TempDir>,
}

fn free_port() -> u16 {
    // Two ports in a row: the second is for reports.
    loop {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        if port < u16::MAX && std::net::TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}

impl Server {
    pub fn echo() -> Self {
        let endpoint = format!("tcp://127.0.0.1:{}", free_port());
        let own = std::env::current_exe().expect("the path of this program");
        let mut command = Command::new(own);
        command.args(["echo", "--endpoint", &endpoint]);
        Self::start(command, endpoint, None)
    }

    /// A hub on a new file below this directory.
    pub fn hub(program: &Path, below: &Path) -> Self {
        let dir = TempDir::with_prefix_in("dhub-bench", below).expect("a directory");
        let mut hub = Self::hub_in(program, dir.path());
        hub._dir = Some(dir);
        hub
    }

    /// A hub on the file in this directory, which stays.
    pub fn hub_in(program: &Path, dir: &Path) -> Self {
        let (command, endpoint) = Self::command(program, dir);
        Self::start(command, endpoint, None)
    }

    /// One that can be reached in plain and encrypted, and the encrypted way to it.
    pub fn both_ways(program: &Path, below: &Path) -> (Self, Target) {
        let dir = TempDir::with_prefix_in("dhub-bench", below).expect("a directory");
        let keys = dir.path().join("keys");
        let (mut command, endpoint) = Self::command(program, dir.path());
        command.args(["--curve", &format!("tcp://127.0.0.1:{}", free_port())]);
        let hub = Self::start(command, endpoint, Some(dir));
        let begin = Instant::now();
        let found = loop {
            if let Some(found) = access::hubs(&keys).expect("the keys").pop() {
                break found.access;
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "a hub without keys");
            std::thread::sleep(Duration::from_millis(10));
        };
        let (endpoint, keys) = (found.endpoints[0].clone(), Some(found.keys()));
        (hub, Target { endpoint, keys, ..Target::default() })
    }

    fn command(program: &Path, dir: &Path) -> (Command, String) {
        let port = free_port();
        let mut command = Command::new(program);
        command.current_dir(dir).env("XDG_RUNTIME_DIR", dir).arg("--dir").arg(dir.join("keys"));
        command.args(["-f", "run.db", "--insecure", "-p", &port.to_string()]);
        (command, format!("tcp://127.0.0.1:{port}"))
    }

    fn start(mut command: Command, endpoint: String, dir: Option<TempDir>) -> Self {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.expect("the server's program");
        let server = Self { child, endpoint, _dir: dir };
        let address = server.endpoint.trim_start_matches("tcp://").to_owned();
        let begin = Instant::now();
        while std::net::TcpStream::connect(&address).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(60), "{address} does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    /// What it has of the machine's memory now.
    pub fn memory_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&path).expect("a process that lives");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kib.expect("a line VmRSS") * 1024
    }

    /// What it has had of the processors.
    pub fn processor_seconds(&self) -> f64 {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = std::fs::read_to_string(&path).expect("a process that lives");
        // Behind the name, which may have spaces: the 14th and 15th field of all.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: f64 = fields.skip(11).take(2).filter_map(|it| it.parse::<f64>().ok()).sum();
        ticks / rustix::param::clock_ticks_per_second() as f64
    }

    /// Ends it by a signal, as a person does, and waits until it is gone.
    pub fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("to signal");
        let status = self.child.wait().expect("to wait");
        assert!(status.success(), "the server ended with {status}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
