//! The simulation finds bugs: each of those that can be planted, within a number of seeds.

use std::time::Duration;

use simulation::planted::{find_all, plant};
use simulation::run_many;

#[test]
fn nothing_is_there_that_was_not_chosen() {
    let totals = run_many(0, 200, Duration::ZERO, || plant(None));
    assert!(totals.failure.is_none(), "{:?}", totals.failure);
}

#[test]
fn each_planted_bug_is_found() {
    let (table, missed) = find_all(10_000);
    println!("{table}");
    assert!(missed.is_empty(), "not found: {missed:?}\n{table}");
}
