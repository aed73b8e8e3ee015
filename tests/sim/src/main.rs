//! Runs seeds of the simulation, or one of them with its trace.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use simulation::planted::{self, Bug};
use simulation::{Met, Options, Report, run, run_many};

/// Lines before a violation.
const TRACE_LINES: usize = 120;
const SEEDS: u64 = 10_000;

#[derive(Parser)]
#[command(about, version)]
struct Args {
    /// Run so many seeds; 10,000 unless --seconds is given
    #[arg(long)]
    seeds: Option<u64>,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Run for so long; with --seeds until both are reached
    #[arg(long)]
    seconds: Option<u64>,
    /// Run this seed alone
    #[arg(long)]
    seed: Option<u64>,
    /// With --seed: print all that happens
    #[arg(long)]
    trace: bool,
    /// Plant a bug (needs the feature `planted`); `list` names them, `all` looks for each
    #[arg(long)]
    planted: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    // A panic of the hub is a finding like others; it is reported with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    if args.planted.is_some() && !cfg!(feature = "planted") {
        eprintln!("dhub-sim: bugs can be planted only with --features planted");
        return ExitCode::from(2);
    }
    let bug = match args.planted.as_deref() {
        None => None,
        Some("all") => return find_all(&args),
        Some(name) => match planted::all().find(|&bug| bug == name) {
            Some(bug) => Some(bug),
            None => {
                planted::all().for_each(|bug| println!("{bug}"));
                return ExitCode::from(u8::from(name != "list") * 2);
            }
        },
    };
    planted::plant(bug);
    match args.seed {
        Some(seed) => one(seed, &args),
        None => many(&args, bug),
    }
}

fn one(seed: u64, args: &Args) -> ExitCode {
    let trace = if args.trace { usize::MAX } else { TRACE_LINES };
    let report = run(seed, &Options { trace, jumps: true });
    if args.trace {
        report.trace.iter().for_each(|line| println!("{line}"));
    }
    match &report.violation {
        Some(_) => failed(&report, args),
        None => {
            let (minutes, commands) = (report.virtual_ms / 60_000, report.commands);
            println!("seed {seed}: all rules hold; {minutes} virtual minutes, {commands} commands");
            ExitCode::SUCCESS
        }
    }
}

fn many(args: &Args, bug: Option<Bug>) -> ExitCode {
    let begin = Instant::now();
    let time = Duration::from_secs(args.seconds.unwrap_or(0));
    let seeds = args.seeds.unwrap_or(if args.seconds.is_some() { 0 } else { SEEDS });
    let totals = run_many(args.from, seeds, time, || planted::plant(bug));
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{} seeds in {seconds:.1} s ({:.0} a second); {} virtual hours, {} commands",
        totals.seeds,
        totals.seeds as f64 / seconds,
        totals.virtual_ms / 3_600_000,
        totals.commands
    );
    for met in Met::ALL {
        println!("{:>14} {}", totals.tally.of(met), met.what());
    }
    match totals.failure {
        Some(report) => {
            failed(&run(report.seed, &Options { trace: TRACE_LINES, jumps: true }), args)
        }
        None => ExitCode::SUCCESS,
    }
}

fn find_all(args: &Args) -> ExitCode {
    let (table, missed) = planted::find_all(args.seeds.unwrap_or(SEEDS));
    print!("{table}");
    ExitCode::from(u8::from(!missed.is_empty()))
}

fn failed(report: &Report, args: &Args) -> ExitCode {
    if !args.trace {
        report.trace.iter().for_each(|line| println!("{line}"));
    }
    let seed = report.seed;
    println!("seed {seed}: {}", report.violation.as_deref().unwrap_or("passes when run again"));
    let bug = args.planted.as_ref().map(|name| format!(" --planted {name}")).unwrap_or_default();
    let feature = if bug.is_empty() { "" } else { " --features planted" };
    println!("replay: cargo run -p simulation{feature} -- --seed {seed} --trace{bug}");
    ExitCode::FAILURE
}
