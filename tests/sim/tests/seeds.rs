//! The rules hold, whatever goes wrong, and a seed says the same each time. scripts/test.sh runs
//! many more seeds.

use std::time::Duration;

use simulation::{Met, Options, run, run_many};

const SEEDS: u64 = 1_000;

#[test]
fn rules_hold() {
    let totals = run_many(0, SEEDS, Duration::ZERO, || {});
    if let Some(report) = totals.failure {
        let report = run(report.seed, &Options { trace: 100, jumps: true });
        let seed = report.seed;
        panic!(
            "{}\nseed {seed}: {}\nreplay: cargo run -p simulation -- --seed {seed} --trace",
            report.trace.join("\n"),
            report.violation.unwrap_or_default()
        );
    }
    assert_eq!(totals.seeds, SEEDS);
    for met in Met::ALL {
        assert!(totals.tally.of(met) > 50, "only {} {}", totals.tally.of(met), met.what());
    }
}

/// Nor does the order in which a hash table hands out its entries matter: it is another each time.
#[test]
fn a_seed_repeats_itself() {
    for seed in 0..100 {
        let options = Options { trace: 1, jumps: true };
        let (first, second) = (run(seed, &options), run(seed, &options));
        assert_eq!(first.digest, second.digest, "seed {seed}");
    }
}

#[test]
fn the_wall_clock_has_no_influence() {
    for seed in 0..100 {
        let with = run(seed, &Options { trace: 1, jumps: true });
        let without = run(seed, &Options { trace: 1, jumps: false });
        assert_eq!(with.digest, without.digest, "seed {seed}");
    }
}
