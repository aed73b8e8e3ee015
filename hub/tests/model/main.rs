//! Random operations on the hub and on a model of it that is too simple to be wrong.
//!
//! The model keeps what was said and done to each task and works out the rest by definition, from
//! scratch each time: a task is skipped if something it needs can never be done, waits if something
//! is not done yet, and is ready otherwise. Which of the ready tasks a steal gets is the hub's
//! choice; the model checks that it was allowed.

mod both;
#[path = "../common/mod.rs"]
mod common;
mod compare;
mod model;
mod operation;
mod room;

use both::Both;
use operation::{Definition, Op, definitions, op};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

const NAMES: usize = 12;
/// Two of them with another key than the owner's, and called as others are.
const WORKERS: [&str; 6] = ["w0", "w1", "h0", "h1", "lab/w0", "lab/h0"];

/// How many tasks each runs at the same time; 0: it does not say.
const SLOTS: [u32; 6] = [1, 2, 0, 1, 0, 2];

/// As the holder itself, or as the owner in its place.
fn may_act(worker: usize, holder: usize) -> bool {
    let called = WORKERS[holder].trim_start_matches("lab/");
    worker == holder || WORKERS[worker] == called
}

fn name(i: usize) -> String {
    format!("t{i}")
}

fn run(
    definitions: Vec<Definition>,
    first: usize,
    ops: Vec<Op>,
    on_file: bool,
    retry_delay_s: u64,
) {
    let mut both = Both::new(definitions, on_file, retry_delay_s * 1000);
    both.run(Op::Create((0..first).collect()));
    for op in ops {
        both.run(op);
        both.compare();
        both.model.note_room();
    }
    both.compare_committed();
    both.run(Op::Restart);
    both.compare();
}

fn cases(cases: u32) -> ProptestConfig {
    let failure_persistence = Some(Box::new(FileFailurePersistence::Off) as Box<_>);
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(cases);
    ProptestConfig { cases, failure_persistence, max_shrink_iters: 20_000, ..Default::default() }
}

proptest! {
    #![proptest_config(cases(400))]
    #[test]
    fn hub_and_model_agree(
        definitions in definitions(),
        first in 0..=NAMES,
        ops in prop::collection::vec(op(), 1..80),
        retry_delay_s in 0..4u64,
    ) {
        run(definitions, first, ops, false, retry_delay_s);
    }
}

proptest! {
    #![proptest_config(cases(20))]
    #[test]
    fn hub_and_model_agree_on_a_file(
        definitions in definitions(),
        first in 0..=NAMES,
        ops in prop::collection::vec(op(), 1..80),
        retry_delay_s in 0..4u64,
    ) {
        run(definitions, first, ops, true, retry_delay_s);
    }
}
