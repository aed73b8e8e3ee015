//! Seeds, one or many.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::tally::Tally;
use crate::world::World;

#[derive(Clone, Debug)]
pub struct Options {
    /// Lines to keep.
    pub trace: usize,
    /// Jumps of the wall clock, which must change nothing.
    pub jumps: bool,
}

/// What came of a seed.
#[derive(Clone, Debug)]
pub struct Report {
    pub seed: u64,
    pub virtual_ms: u64,
    pub commands: u64,
    pub tally: Tally,
    /// The rule that was broken.
    pub violation: Option<String>,
    pub trace: Vec<String>,
    /// Of the whole trace, if one was asked for.
    pub digest: u64,
}

pub fn run(seed: u64, options: &Options) -> Report {
    let mut world = World::new(seed, options.trace, options.jumps);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    });
    let (virtual_ms, commands) = (world.virtual_ms(), world.commands());
    let tally = world.tally().clone();
    let (trace, digest) = world.into_trace().into_lines();
    Report { seed, virtual_ms, commands, tally, violation: outcome.err(), trace, digest }
}

#[derive(Clone, Debug, Default)]
pub struct Totals {
    pub seeds: u64,
    pub virtual_ms: u64,
    pub commands: u64,
    pub tally: Tally,
    /// The first that failed, by number.
    pub failure: Option<Report>,
}

/// Seeds from `from` on, on all cores: at least so many, and until the time is over, or until one
/// fails.
/// `prepare` runs once on each thread.
pub fn run_many(from: u64, seeds: u64, time: Duration, prepare: impl Fn() + Sync) -> Totals {
    let begin = std::time::Instant::now();
    let next = AtomicU64::new(from);
    let failed = AtomicBool::new(false);
    let totals = Mutex::new(Totals::default());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let work = || {
        prepare();
        let mut own = Totals::default();
        while !failed.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed - from >= seeds && begin.elapsed() >= time {
                break;
            }
            let report = run(seed, &Options { trace: 0, jumps: true });
            own.seeds += 1;
            own.virtual_ms += report.virtual_ms;
            own.commands += report.commands;
            own.tally.add(&report.tally);
            if report.violation.is_some() {
                failed.store(true, Ordering::Relaxed);
                own.failure = Some(report);
            }
        }
        let mut totals = totals.lock().expect("no thread panics here");
        totals.seeds += own.seeds;
        totals.virtual_ms += own.virtual_ms;
        totals.commands += own.commands;
        totals.tally.add(&own.tally);
        let is_first = |new: &Report| totals.failure.as_ref().is_none_or(|old| new.seed < old.seed);
        if own.failure.as_ref().is_some_and(is_first) {
            totals.failure = own.failure;
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    totals.into_inner().expect("no thread panics here")
}
