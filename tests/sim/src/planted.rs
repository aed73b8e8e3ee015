//! Bugs by name, and how many seeds it takes to find one.

use std::fmt::Write;
use std::time::Duration;

use crate::run::{Totals, run_many};

/// A file of tests/sim/bugs, or one of those below.
pub type Bug = &'static str;

/// Bugs of the loop: the simulation's own turn has these.
const OF_THE_LOOP: [Bug; 5] = [
    "reply-before-commit",
    "leaves-before-commit",
    "fold-told-early",
    "no-tick-while-busy",
    "joins-another",
];

/// None of the hub without the feature.
#[cfg(not(feature = "planted"))]
mod switch {
    use super::Bug;

    pub const ALL: [Bug; 0] = [];

    pub fn choose(bug: Bug) {
        assert!(bug.is_empty(), "built without the feature `planted`");
    }

    #[inline(always)]
    pub const fn planted(_: &str) -> bool {
        false
    }
}

#[cfg(feature = "planted")]
use dhub::planted as switch;

pub use switch::planted;

pub fn all() -> impl Iterator<Item = Bug> {
    OF_THE_LOOP.into_iter().chain(switch::ALL)
}

/// Plants a bug in this thread's hubs.
pub fn plant(bug: Option<Bug>) {
    switch::choose(bug.unwrap_or_default());
}

/// Looks for each bug in turn: which seed shows it, and what it says.
pub fn find_all(seeds_max: u64) -> (String, Vec<Bug>) {
    let mut table = format!("{:<30} {:>6}  {}\n", "bug", "seeds", "what is seen of it");
    let mut missed = Vec::new();
    for bug in all() {
        let totals: Totals = run_many(0, seeds_max, Duration::ZERO, || plant(Some(bug)));
        let line = match &totals.failure {
            Some(report) => {
                let seen = report.violation.as_deref().unwrap_or_default();
                writeln!(table, "{bug:<30} {:>6}  {seen}", report.seed + 1)
            }
            None => {
                missed.push(bug);
                writeln!(table, "{bug:<30} {:>6}  not found", "-")
            }
        };
        line.expect("a string takes all");
    }
    (table, missed)
}
