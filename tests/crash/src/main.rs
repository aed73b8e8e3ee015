//! Runs cycles and prints what came of them.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Parser;
use crash::{Options, run};

/// Kills a hub under load again and again, and counts what is lost, changed or repeated.
#[derive(Parser)]
#[command(about, version)]
struct Args {
    /// Kill and restart the hub so often
    #[arg(long, default_value_t = 30)]
    cycles: u64,
    /// Or for so long, if that comes first
    #[arg(long)]
    seconds: Option<u64>,
    /// Decides when the hub is killed and what everybody wants
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Tasks added in a cycle, about
    #[arg(long, default_value_t = 250)]
    tasks: u64,
    /// Look at the whole file after so many cycles
    #[arg(long, default_value_t = 1000)]
    check_every: u64,
    /// Leave the workers alone
    #[arg(long)]
    spare_workers: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::clone(&interrupted)) {
            eprintln!("dhub-crash: {error}");
            return ExitCode::from(9);
        }
    }
    let options = Options {
        cycles: args.cycles,
        time: args.seconds.map(Duration::from_secs),
        seed: args.seed,
        tasks_per_cycle: args.tasks,
        check_every: args.check_every.max(1),
        trouble_pools: !args.spare_workers,
        tell_every: Some(Duration::from_secs(30)),
        ..Options::default()
    };
    let (report, _, _hub) = run(&options, &interrupted);
    print!("{report}");
    if report.faults.is_empty() {
        return ExitCode::SUCCESS;
    }
    for fault in &report.faults {
        println!("{:?}: {}", fault.kind, fault.text);
    }
    println!("the hub's file and the last events are in {}", report.dir.display());
    ExitCode::FAILURE
}
