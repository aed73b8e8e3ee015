//! The simulation finds bugs: each of those that can be planted, within a number of seeds.

use simulation::planted::find_all;

#[test]
fn each_planted_bug_is_found() {
    let (table, missed) = find_all(10_000);
    println!("{table}");
    assert!(missed.is_empty(), "not found: {missed:?}\n{table}");
}
