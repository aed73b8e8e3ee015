//! A real hub, and whatever comes in at its ports.

use std::time::Duration;

use fuzz::corpus;
use fuzz::port::Port;
use fuzz::run::numbered;

const BATCHES: u64 = 50;

#[test]
fn a_hub_stands_any_bytes() {
    let mut port = Port::start(corpus::load("frame"));
    let ran = numbered(0, BATCHES, Duration::ZERO, |seed| port.batch(seed));
    let ran = ran.unwrap_or_else(|(seed, why)| {
        panic!("{why}\nreplay: cargo run -p fuzz -- --target port --seed {seed}")
    });
    println!("port: {ran} batches of 200 messages, {} replies read", port.replies);
    assert_eq!(ran, BATCHES);
    assert!(port.replies > 50 * BATCHES);
    port.end();
}
