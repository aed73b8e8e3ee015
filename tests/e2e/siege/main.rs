//! A siege: connections that stop, reset, half-close, say a part of something, or send requests
//! and never read, without a key and with keys of each role, at a hub that goes on serving its
//! owner. At the end it is alive, answers, and has not grown beyond bounds.

mod hub;
mod pace;
mod peers;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use dhub_proto::find::Target;
use e2e::{Native, outcome_done, plain_worker, task};
use fastrand::Rng;
use hub::{Hub, ROLES, hostile};

/// Besieges a hub with hostile connections, and checks that it serves its owner meanwhile and stays small
#[derive(Parser)]
#[command(name = "dhub-siege", version)]
struct Args {
    #[command(subcommand)]
    what: Option<What>,
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
    /// How long a request of the owner's may take, in seconds
    #[arg(long, default_value_t = 30)]
    answer: u64,
    /// One connection that floods for 14 s, then resets, and is looked at when the hub's ping is due
    #[arg(long)]
    ping: bool,
}

#[derive(Subcommand)]
enum What {
    /// Measure the pace of a pool beside a crowd of each role
    Pace {
        /// Of each role
        #[arg(long, default_value_t = 1_000)]
        connections: usize,
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// Of the pool: with more than the machine has cores to spare beside the crowd, the pool lacks those
        #[arg(long, default_value_t = 1)]
        slots: usize,
    },
    /// Be the crowd
    #[command(hide = true)]
    Crowd {
        #[arg(long)]
        connections: usize,
        access: Vec<PathBuf>,
    },
}

fn main() -> ExitCode {
    let args = Args::parse();
    match args.what {
        None => besiege(&args),
        Some(What::Pace { connections, rounds, slots }) => {
            ExitCode::from(u8::from(!pace::measure(connections, rounds, slots)))
        }
        Some(What::Crowd { connections, access }) => {
            pace::crowd(&access, connections);
            ExitCode::SUCCESS
        }
    }
}

fn besiege(args: &Args) -> ExitCode {
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
    if slowest > Duration::from_secs(args.answer) {
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
