//! Runs the targets for as long as told, or one numbered input.

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use clap::Parser;
use fuzz::core::Seen;
use fuzz::port::Port;
use fuzz::run::{Target, a_frame, bytes_of_events, cores, frames, numbered, some_events};
use fuzz::{core, corpus, frame};

#[derive(Parser)]
#[command(about, version)]
struct Args {
    /// How long, shared by the targets
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only this one: frame, core or port
    #[arg(long)]
    target: Option<String>,
    /// The first number; without it one that was not there before
    #[arg(long)]
    from: Option<u64>,
    /// Run this number alone, and print the input (needs --target)
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let chosen = |target: &Target| args.target.as_deref().is_none_or(|name| name == target.name());
    let targets: Vec<Target> = Target::ALL.into_iter().filter(chosen).collect();
    match (args.seed, targets.as_slice()) {
        (_, []) | (Some(_), [_, _, ..]) => {
            eprintln!("dhub-fuzz: --target is one of frame, core, port");
            return ExitCode::from(2);
        }
        (Some(seed), [target]) => {
            one(*target, seed);
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let from = args.from.unwrap_or(now << 24);
    let time = Duration::from_secs(args.seconds) / targets.len() as u32;
    for target in targets {
        let begin = Instant::now();
        let outcome = match target {
            Target::Frame => {
                let mut valid = 0;
                let outcome = frames(from, 0, time, &mut valid);
                println!("frame: {valid} valid");
                outcome
            }
            Target::Core => {
                let mut seen = Seen::default();
                let outcome = cores(from, 0, time, &mut seen);
                println!("core: {seen:?}");
                outcome
            }
            Target::Port => {
                let mut port = Port::start(corpus::load("frame"));
                let outcome = numbered(from, 0, time, |seed| port.batch(seed));
                outcome.inspect(|_| port.end())
            }
        };
        let (name, seconds) = (target.name(), begin.elapsed().as_secs_f64());
        match outcome {
            Ok(count) => println!("{name}: {count} inputs in {seconds:.1} s"),
            Err((seed, why)) => {
                println!("{name}: input {seed} failed: {why}");
                println!("replay: cargo run -p fuzz -- --target {name} --seed {seed}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn one(target: Target, seed: u64) {
    match target {
        Target::Frame => {
            let frame = a_frame(seed, &corpus::load("frame"));
            println!("{frame:02x?}");
            println!("valid: {}", frame::check(&frame));
        }
        Target::Core => {
            let events = some_events(&bytes_of_events(seed, &corpus::load("core")));
            events.iter().for_each(|event| println!("{event:?}"));
            core::run(&events);
        }
        Target::Port => {
            let mut port = Port::start(corpus::load("frame"));
            port.batch(seed);
            port.end();
        }
    }
    println!("input {seed}: all holds");
}
