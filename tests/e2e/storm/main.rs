//! Pools under a storm: short tasks of which some fail and some never end, while workers are
//! killed in every way and the hub is killed too. At the end all must be as the tasks decide.

mod check;
mod pools;
mod tasks;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use e2e::Hub;
use fastrand::Rng;

use crate::pools::{Blows, Pools, WORKER_TIMEOUT};
use crate::tasks::Plan;

/// Runs short tasks in three pools while these and their hub are killed, and checks what became of them
#[derive(Parser)]
#[command(name = "dhub-storm", version)]
struct Args {
    /// How many tasks
    #[arg(long, default_value_t = 50_000)]
    tasks: usize,
    /// Slots of each pool
    #[arg(long, default_value_t = 4)]
    slots: usize,
    /// Which of them fail, and what is killed when
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Between two kills, at most
    #[arg(long, default_value_t = 1500)]
    calm_ms: u64,
}

/// So long nothing may end.
const STANDSTILL: Duration = Duration::from_secs(90);

fn main() -> ExitCode {
    let args = Args::parse();
    let begin = Instant::now();
    let plan = Plan::new(args.tasks, &mut Rng::with_seed(args.seed));
    let mut hub = Hub::with(&["--worker-timeout", &format!("{}s", WORKER_TIMEOUT.as_secs())]);
    hub.write("tasks.jsonl", plan.jsonl());
    hub.query(&["addfile", "tasks.jsonl"]).ok();
    let mut pools = Pools::start(&hub, args.slots);
    let blows = storm(&mut hub, &mut pools, &args);
    let seconds = begin.elapsed().as_secs_f64();
    let left = pools.leave(&hub);
    let leaving = begin.elapsed().as_secs_f64() - seconds;
    let counts = hub.query(&["status", "--json"]).json()["counts"].clone();
    hub.terminate().exits(0);
    let mut verdict = check::check(&hub, &plan, &counts, &left);
    println!("{:>8}  tasks in {seconds:.1} s, {:.0}/s", args.tasks, args.tasks as f64 / seconds);
    println!("{leaving:>8.1}  seconds until all pools had left");
    blows.print();
    verdict.print();
    if verdict.faults.is_empty() {
        return ExitCode::SUCCESS;
    }
    hub.space.keep(true);
    println!("seed {}; the files are in {}", args.seed, hub.path("").display());
    ExitCode::FAILURE
}

/// Strikes again and again until few tasks are left, then waits for these.
fn storm(hub: &mut Hub, pools: &mut Pools, args: &Args) -> Blows {
    let mut rng = Rng::with_seed(args.seed);
    let mut blows = Blows::default();
    let mut progress = (0, Instant::now());
    loop {
        std::thread::sleep(Duration::from_millis(rng.u64(args.calm_ms / 4..=args.calm_ms)));
        let counts = hub.query(&["status", "--json"]).json()["counts"].clone();
        let count = |state: &str| counts[state].as_u64().expect("a count") as usize;
        let finished = count("done") + count("failed") + count("skipped") + count("cancelled");
        if finished >= args.tasks {
            return blows;
        }
        if finished > progress.0 {
            progress = (finished, Instant::now());
        }
        assert!(progress.1.elapsed() < STANDSTILL, "nothing ends any more: {counts}");
        if finished < args.tasks - args.tasks / 50 {
            pools.strike(hub, &mut rng, &mut blows);
        } else {
            pools.mend(hub);
        }
    }
}
