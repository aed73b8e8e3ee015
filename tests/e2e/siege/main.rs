//! A siege: connections that stop, reset, half-close, say a part of something, or send requests
//! and never read, without a key and with keys of each role, at a hub that goes on serving its
//! owner. At the end it is alive, answers, and has not grown beyond bounds.

mod peers;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use dhub_proto::access::Access;
use dhub_proto::find::Target;
use e2e::{Native, Process, Space, free_ports, outcome_done, plain_worker, task};
use fastrand::Rng;

/// Besieges a hub with hostile connections, and checks that it serves its owner meanwhile and stays small
#[derive(Parser)]
#[command(name = "dhub-siege", version)]
struct Args {
    /// How long
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Threads that attack, each with many connections
    #[arg(long, default_value_t = 8)]
    threads: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What the hub may grow by
    #[arg(long, default_value_t = 512)]
    mib: u64,
    /// One connection that floods for 14 s, then resets, and is looked at when the hub's ping is due
    #[arg(long)]
    ping: bool,
}

/// Of keys that may ask little.
const ROLES: [&str; 3] = ["observe", "submit", "work"];
/// The owner's request may take so long.
const ANSWER: Duration = Duration::from_secs(30);

struct Hub {
    /// Removed with it.
    _space: Space,
    process: Process,
    port: u16,
    home: PathBuf,
}

impl Hub {
    fn start() -> Self {
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
        Self { _space: space, process, port, home }
    }

    fn target(&self, name: &str) -> Target {
        let access = Access::read(&self.home.join(format!("{name}.access"))).expect("a key");
        let endpoint = format!("tcp://127.0.0.1:{}", self.port);
        Target { endpoint, keys: Some(access.keys()), ..Target::default() }
    }

    fn memory_mib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim_end_matches("kB").trim().parse::<u64>().ok());
        kib.unwrap_or(0) / 1024
    }
}

/// The name of a key; a hub has one for each role by itself.
fn hostile(role: &str) -> String {
    format!("hostile-{role}")
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut hub = Hub::start();
    let owner = hub.target("owner");
    let native = Native::to(&owner);
    native.create(&[task("first", &[])]);
    let before = hub.memory_mib();
    let targets: Vec<Target> = ROLES.iter().map(|role| hub.target(&hostile(role))).collect();
    let (over, connections) = (AtomicBool::new(false), AtomicU64::new(0));
    let end = Instant::now() + Duration::from_secs(args.seconds);
    let (mut worked, mut slowest, mut most) = (0_u64, Duration::ZERO, before);
    let mut faults = Vec::new();
    std::thread::scope(|scope| {
        for thread in 0..args.threads {
            let (targets, over, connections, port) = (&targets, &over, &connections, hub.port);
            let rng = Rng::with_seed(args.seed * 1_000 + thread);
            scope.spawn(move || peers::attack(rng, port, targets, over, connections));
        }
        if args.ping {
            let target = &targets[0];
            scope.spawn(move || peers::flood_until_the_ping(target));
        }
        let worker = plain_worker("w");
        while Instant::now() < end && hub.process.is_running() {
            let begin = Instant::now();
            native.create(&[task(&format!("t{worked}"), &[])]);
            let lease = native.steal_one(&worker);
            native.report(&worker, vec![outcome_done(&lease)]);
            slowest = slowest.max(begin.elapsed());
            worked += 1;
            most = most.max(hub.memory_mib());
            std::thread::sleep(Duration::from_millis(5));
        }
        over.store(true, Ordering::Relaxed);
    });
    if !hub.process.is_running() {
        faults.push("the hub has ended".to_owned());
    } else {
        // Also one who comes new.
        assert_eq!(Native::to(&owner).counts(), native.counts());
    }
    if slowest > ANSWER {
        faults.push(format!("the owner waited for {} ms", slowest.as_millis()));
    }
    if most > before + args.mib {
        faults.push(format!("the hub grew from {before} to {most} MiB"));
    }
    println!("{:>8}  hostile connections", connections.load(Ordering::Relaxed));
    println!("{worked:>8}  tasks of the owner's; the slowest took {} ms", slowest.as_millis());
    println!("{most:>8}  MiB at most, {before} before, {} after", hub.memory_mib());
    // What a sanitizer says is there too.
    let said = hub.process.stderr();
    let is_report = |line: &&str| line.contains("Sanitizer") || line.contains("Assertion failed");
    faults.extend(said.lines().filter(is_report).map(str::to_owned));
    if faults.is_empty() {
        return ExitCode::SUCCESS;
    }
    faults.iter().for_each(|fault| println!("  FAULT: {fault}"));
    println!("seed {}; the hub said:\n{said}", args.seed);
    ExitCode::FAILURE
}
