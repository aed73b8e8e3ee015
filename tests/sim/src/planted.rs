//! Bugs by name, and how many seeds it takes to find one.

use std::fmt::Write;
use std::time::Duration;

use dhub::planted::Bug;

use crate::run::{Totals, run_many};

/// As on the command line: `lost-wake-up`.
pub fn name(bug: Bug) -> String {
    let mut name = String::new();
    for letter in format!("{bug:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

pub fn by_name(wanted: &str) -> Option<Bug> {
    Bug::ALL.into_iter().find(|&bug| name(bug) == wanted)
}

/// Plants a bug in this thread's hubs; none without the feature.
pub fn plant(bug: Option<Bug>) {
    #[cfg(feature = "planted")]
    dhub::planted::choose(bug);
    #[cfg(not(feature = "planted"))]
    assert!(bug.is_none(), "built without the feature `planted`");
}

/// Looks for each bug in turn: which seed shows it, and what it says.
pub fn find_all(seeds_max: u64) -> (String, Vec<Bug>) {
    let mut table = format!("{:<24} {:>6}  {}\n", "bug", "seeds", "what is seen of it");
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        let totals: Totals = run_many(0, seeds_max, Duration::ZERO, || plant(Some(bug)));
        let line = match &totals.failure {
            Some(report) => {
                let seen = report.violation.as_deref().unwrap_or_default();
                writeln!(table, "{:<24} {:>6}  {seen}", name(bug), report.seed + 1)
            }
            None => {
                missed.push(bug);
                writeln!(table, "{:<24} {:>6}  not found", name(bug), "-")
            }
        };
        line.expect("a string takes all");
    }
    (table, missed)
}
