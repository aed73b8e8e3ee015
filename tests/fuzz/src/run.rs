//! Numbered inputs: the same number, the same input, everywhere.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use bolero::TypeGenerator;
use bolero::generator::bolero_generator::driver::{ByteSliceDriver, Options};

use crate::core::Seen;
use crate::random::Random;
use crate::request::Event;
use crate::{core, corpus, fields, frame};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Frames, on their way through decoding.
    Frame,
    /// Sequences of requests into the core.
    Core,
    /// Bytes at the port of a real hub.
    Port,
}

impl Target {
    pub const ALL: [Target; 3] = [Target::Frame, Target::Core, Target::Port];

    pub fn name(self) -> &'static str {
        match self {
            Target::Frame => "frame",
            Target::Core => "core",
            Target::Port => "port",
        }
    }
}

/// A frame of the corpus, changed; or bytes of no sense at all.
pub fn a_frame(seed: u64, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut random = Random::new(seed);
    if random.below(8) == 0 {
        let many = random.below(200);
        return random.bytes(many);
    }
    let mut frame = random.pick(corpus).clone();
    // Half of them keep the form, so that they get further.
    if random.below(2) == 0 && fields::mutate(&mut frame, &mut random) {
        if random.below(4) == 0 {
            fields::mutate(&mut frame, &mut random);
        }
        return frame;
    }
    random.mutate(&mut frame, corpus);
    frame
}

/// Events as bolero makes them of bytes.
pub fn some_events(bytes: &[u8]) -> Vec<Event> {
    let options = Options::default().with_max_len(usize::MAX);
    let mut driver = ByteSliceDriver::new(bytes, &options);
    let mut events = Vec::new();
    while !driver.as_slice().is_empty() {
        events.extend(Event::generate(&mut driver));
    }
    events
}

/// Of a seed: bytes of the corpus, changed, or new ones.
pub fn bytes_of_events(seed: u64, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut random = Random::new(seed);
    let many = 50 + random.below(1500);
    let mut bytes = random.bytes(many);
    if random.below(4) == 0 {
        bytes = random.pick(corpus).clone();
        random.mutate(&mut bytes, corpus);
    }
    bytes
}

/// Runs one input after the other, from a number on: so many, and until the time is over. How many
/// there were; or the number of the one that failed, and how.
pub fn numbered(
    from: u64,
    count: u64,
    time: Duration,
    mut one: impl FnMut(u64),
) -> Result<u64, (u64, String)> {
    let begin = Instant::now();
    let mut seed = from;
    while seed - from < count || begin.elapsed() < time {
        let now = Cell::new(seed);
        let outcome = catch_unwind(AssertUnwindSafe(|| one(now.get())));
        if let Err(panic) = outcome {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
            return Err((seed, text.unwrap_or_default()));
        }
        seed += 1;
    }
    Ok(seed - from)
}

/// `valid` counts those that the hub would not refuse.
pub fn frames(
    from: u64,
    count: u64,
    time: Duration,
    valid: &mut u64,
) -> Result<u64, (u64, String)> {
    let corpus = corpus::load("frame");
    numbered(from, count, time, |seed| {
        *valid += u64::from(frame::check(&a_frame(seed, &corpus)));
    })
}

pub fn cores(from: u64, count: u64, time: Duration, seen: &mut Seen) -> Result<u64, (u64, String)> {
    let corpus = corpus::load("core");
    numbered(from, count, time, |seed| {
        let one = core::run(&some_events(&bytes_of_events(seed, &corpus)));
        seen.requests += one.requests;
        seen.created += one.created;
        seen.leases += one.leases;
        seen.outcomes += one.outcomes;
    })
}
