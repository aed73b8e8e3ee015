//! A directory of its own, and a hub in it.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use dhub_proto::access::Access;
use dhub_proto::find::Target;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::binaries::binary;
use crate::{Dwork, Native, Output, Process, eventually};

/// A directory, and programs that run in it and know no other.
pub struct Space {
    dir: TempDir,
}

impl Space {
    pub fn new() -> Self {
        // Sockets live below it, and the path of a socket has at most 107 bytes.
        let parent = std::env::temp_dir();
        let parent = if parent.as_os_str().len() > 40 { Path::new("/tmp") } else { &parent };
        Self { dir: TempDir::with_prefix_in("dhub", parent).expect("a directory") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).expect("a file");
    }

    /// Whether the directory stays when this is dropped.
    pub fn keep(&mut self, keep: bool) {
        self.dir.disable_cleanup(keep);
    }

    /// One of the programs under test, or another one (`sh`).
    pub fn command(&self, program: &str) -> Command {
        let path = match program {
            "dhub" | "dquery" | "kworker" => binary(program),
            other => PathBuf::from(other),
        };
        let mut command = hearing_interrupts(&path);
        let bin = binary("").display().to_string();
        let search = std::env::var("PATH").unwrap_or_default();
        command
            .current_dir(self.dir.path())
            .env("PATH", format!("{bin}:{search}"))
            .env("XDG_RUNTIME_DIR", self.dir.path())
            .env("HOME", self.dir.path())
            .env_remove("DHUB_HUB")
            .env_remove("DHUB_ACCESS")
            .env_remove("DHUB_INSECURE")
            .env_remove("DHUB_DIR")
            .env_remove("DHUB_WORKER")
            .env_remove("RUST_LOG")
            .env_remove("SHELL")
            .stdin(Stdio::null());
        command
    }

    /// Runs a program to its end.
    pub fn run<S: AsRef<OsStr>>(&self, program: &str, args: &[S]) -> Output {
        let mut command = self.command(program);
        command.args(args);
        Process::start(command).end()
    }
}

/// A background job of a shell ignores SIGINT, and one of nohup's SIGHUP, and so do those that it
/// starts. Programs under test hear them all the same.
fn hearing_interrupts(program: &Path) -> Command {
    const HUP_AND_INT: u64 = 1 | 1 << 1;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    if ignored & HUP_AND_INT == 0 {
        return Command::new(program);
    }
    let mut command = Command::new("env");
    command.arg("--default-signal=HUP,INT").arg(program);
    command
}

impl Default for Space {
    fn default() -> Self {
        Self::new()
    }
}

/// A real hub on `run.db`, at a port that it has again after a restart.
pub struct Hub {
    process: Option<Process>,
    args: Vec<String>,
    port: u16,
    /// Limits of the shell that starts it, as `ulimit` takes them.
    limits: Option<String>,
    pub space: Space,
}

impl Hub {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With further options.
    pub fn with(args: &[&str]) -> Self {
        Self::in_space(Space::new(), args, None)
    }

    /// On a copy of this file.
    pub fn on(file: &Path, args: &[&str]) -> Self {
        let space = Space::new();
        fs::copy(file, space.path("run.db")).expect("a copy");
        // Whatever umask it was checked out with.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(space.path("run.db"), mode).expect("its mode");
        Self::in_space(space, args, None)
    }

    /// The system lets no file of it grow beyond this, as `ulimit -f` does.
    pub fn with_file_limit(kib_max: u64) -> Self {
        // In blocks of 512 bytes.
        Self::in_space(Space::new(), &[], Some(format!("-f {}", 2 * kib_max)))
    }

    /// It may open so many files, connections among them.
    pub fn with_few_files(files_max: u64, args: &[&str]) -> Self {
        Self::in_space(Space::new(), args, Some(format!("-n {files_max}")))
    }

    /// From the next start on.
    pub fn lift_file_limit(&mut self) {
        self.limits = None;
    }

    /// Other options, from the next start on.
    pub fn set_args(&mut self, args: &[&str]) {
        self.args = args.iter().map(|&arg| arg.to_owned()).collect();
    }

    fn in_space(mut space: Space, args: &[&str], limits: Option<String>) -> Self {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        loop {
            let (args, port, limits) = (args.clone(), free_ports(), limits.clone());
            let mut hub = Self { process: None, args, port, limits, space };
            if hub.try_start() {
                return hub;
            }
            space = hub.space;
        }
    }

    /// False if somebody else has taken the port meanwhile.
    fn try_start(&mut self) -> bool {
        let mut process = Process::start(self.start_command());
        let ready = eventually("a hub that listens", || {
            let said = process.stderr();
            if said.contains("plain TCP") {
                return Some(true);
            }
            let ended = !process.is_running();
            assert!(!ended || said.contains("in use") || said.is_empty(), "dhub: {said}");
            ended.then_some(false)
        });
        self.process = ready.then_some(process);
        ready
    }

    /// A new one on the same file, killed after this time, wherever it is then.
    pub fn start_and_kill9(&mut self, after: Duration) {
        let mut process = Process::start(self.start_command());
        std::thread::sleep(after);
        process.kill9();
    }

    fn start_command(&self) -> Command {
        let mut command = match &self.limits {
            None => self.space.command("dhub"),
            Some(limits) => {
                let mut shell = self.space.command("sh");
                // The search path begins with the programs under test.
                let script = format!("ulimit {limits} && exec dhub \"$@\"");
                shell.args(["-c", &script, "dhub"]);
                shell
            }
        };
        command.args(["-f", "run.db", "--insecure", "-p", &self.port.to_string()]);
        command.args(&self.args);
        command
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("a hub that runs")
    }

    pub fn kill9(&mut self) {
        self.process().kill9();
        self.process = None;
    }

    /// SIGTERM, and its end.
    pub fn terminate(&mut self) -> Output {
        self.signal(Signal::TERM);
        self.end()
    }

    pub fn signal(&mut self, signal: Signal) {
        self.process().signal(signal);
    }

    /// Waits for its end.
    pub fn end(&mut self) -> Output {
        self.process.take().expect("a hub that runs").end()
    }

    /// The same file and port again; killed before if it runs.
    pub fn restart(&mut self) {
        if self.process.is_some() {
            self.kill9();
        }
        eventually("the hub's port", || self.try_start().then_some(()));
    }

    /// What it said so far.
    pub fn stderr(&mut self) -> String {
        self.process().stderr()
    }

    pub fn is_running(&mut self) -> bool {
        self.process().is_running()
    }

    pub fn id(&mut self) -> u32 {
        self.process().id()
    }

    /// Resident now.
    pub fn memory_bytes(&mut self) -> u64 {
        self.memory("VmRSS:")
    }

    /// Resident at most since its start.
    pub fn peak_memory_bytes(&mut self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&mut self, what: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix(what)).expect("its memory");
        let kib: u64 = line.trim_end_matches("kB").trim().parse().expect("a number of KiB");
        kib * 1024
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn tcp(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.port)
    }

    /// The endpoint for this user on this machine, as it announced it.
    pub fn ipc(&mut self) -> String {
        let said = self.stderr();
        let word = said.split_whitespace().find(|word| word.starts_with("ipc://"));
        word.expect("an ipc endpoint").to_owned()
    }

    /// The same, with its owner's key.
    pub fn ipc_target(&self) -> Target {
        let access = Access::read(&self.owner_access()).expect("an access file");
        let keys = Some(access.keys());
        Target { endpoint: access.ipc, keys, ..Target::default() }
    }

    /// The access file of its owner.
    pub fn owner_access(&self) -> PathBuf {
        let mut homes = fs::read_dir(self.path(".dhub")).expect("the keys");
        homes.next().expect("a hub's").expect("a hub's").path().join("owner.access")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.space.path(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        self.space.write(name, text);
    }

    /// A program that finds this hub by its environment.
    pub fn command(&self, program: &str) -> Command {
        let mut command = self.space.command(program);
        command.env("DHUB_HUB", self.tcp()).env("DHUB_INSECURE", "1");
        command
    }

    pub fn query<S: AsRef<OsStr>>(&self, args: &[S]) -> Output {
        self.query_process(args).end()
    }

    pub fn query_process<S: AsRef<OsStr>>(&self, args: &[S]) -> Process {
        let mut command = self.command("dquery");
        command.args(args);
        Process::start(command)
    }

    pub fn worker<S: AsRef<OsStr>>(&self, args: &[S]) -> Process {
        let mut command = self.command("kworker");
        command.args(args);
        Process::start(command)
    }

    /// A script, as people write them.
    pub fn sh(&self, script: &str) -> Output {
        let mut command = self.command("sh");
        command.args(["-c", script]);
        Process::start(command).end()
    }

    /// The state of a task, as `dquery show` tells it.
    pub fn state(&self, name: &str) -> String {
        self.show(name)["task"]["state"].as_str().expect("a state").to_owned()
    }

    pub fn show(&self, name: &str) -> serde_json::Value {
        let output = self.query(&["show", name, "--json"]);
        output.exits(0);
        output.json()
    }

    /// How many tasks are in that state.
    pub fn count(&self, state: &str) -> u64 {
        let output = self.query(&["status", "--json"]);
        output.exits(0);
        output.json()["counts"][state].as_u64().expect("a count")
    }

    pub fn native(&self) -> Native {
        Native::connect(&self.tcp())
    }

    pub fn dwork(&self) -> Dwork {
        Dwork::connect(&self.tcp())
    }
}

/// A port that is free, and the next one as well: reports go there. Below the range that the
/// system hands out by itself.
pub fn free_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 12_000;
    const PAIRS: u16 = 10_000;
    eventually("two free ports", || {
        let pair = NEXT.fetch_add(1, Ordering::Relaxed) + std::process::id() as u16 % 97 * 103;
        let port = FIRST + pair % PAIRS * 2;
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        (free(port) && free(port + 1)).then_some(port)
    })
}

/// The file of a stopped hub, to be changed by a test as a hub itself would: with checksums.
pub fn open_file(file: &Path) -> rusqlite::Connection {
    dhub_checksum::open(file, Default::default(), None).expect("a file")
}
