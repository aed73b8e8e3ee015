//! Sequences of requests, in both dialects, with crashes and pauses between them.

use std::time::Duration;

use fuzz::core::{self, Seen};
use fuzz::request::Event;
use fuzz::run;

const INPUTS: u64 = 600;

/// The corpus, then what bolero makes up; or what an engine does, under `cargo bolero`.
#[test]
fn any_sequence() {
    bolero::check!(name = "core")
        .with_type::<Vec<Event>>()
        .with_iterations(100)
        .with_max_len(2000)
        .for_each(|events| {
            core::run(events);
        });
}

#[test]
fn numbered_sequences() {
    let mut seen = Seen::default();
    let ran = run::cores(0, INPUTS, Duration::ZERO, &mut seen);
    let ran = ran.unwrap_or_else(|(seed, why)| {
        panic!("{why}\nreplay: cargo run -p fuzz -- --target core --seed {seed}")
    });
    println!("core: {ran} inputs, {seen:?}");
    assert_eq!(ran, INPUTS);
    let Seen { requests, created, leases, outcomes } = seen;
    assert!(requests > 10 * INPUTS && created > INPUTS && leases > INPUTS && outcomes > INPUTS / 4);
}
