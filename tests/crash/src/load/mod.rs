//! Everybody who talks to the hub.

mod cancel;
mod create;
mod dwork;
mod native;
pub mod poll;
mod pools;
mod tools;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Scope, ScopedJoinHandle};

use e2e::Hub;

use crate::plan::BATCHED;
use crate::shared::{Shared, StopOnPanic};

pub use create::{BATCH_MAX, Progress};
pub use pools::{LOG, Pools};

/// Workers of each dialect.
const NATIVE: u64 = 4;
const DWORK: u64 = 2;
/// Those who only look.
const LOOKERS: u64 = 3;

/// What the creators have in common.
#[derive(Default)]
pub struct Creators {
    pub progress: Progress,
    /// Those that still add tasks.
    pub left: AtomicUsize,
}

/// Starts all of them; they end when `Shared` says so.
pub fn start<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    shared: &'env Shared,
    creators: &'env Creators,
    hub: &'env Mutex<Hub>,
    seed: u64,
) -> Vec<ScopedJoinHandle<'scope, ()>> {
    let mut seeds = fastrand::Rng::with_seed(seed);
    let mut threads = Vec::new();
    let mut spawn = |run: Box<dyn FnOnce() + Send + 'env>| {
        threads.push(scope.spawn(move || {
            let _stop = StopOnPanic(shared);
            run();
        }));
    };
    creators.left.store(BATCHED.len() + 2, Ordering::Relaxed);
    for group in BATCHED {
        let seed = seeds.u64(..);
        spawn(Box::new(move || create::run(shared, creators, group, seed)));
    }
    let (cancel, tools) = (seeds.u64(..), seeds.u64(..));
    spawn(Box::new(move || cancel::run(shared, creators, cancel)));
    spawn(Box::new(move || tools::run(shared, creators, hub, tools)));
    for client in 0..NATIVE {
        let seed = seeds.u64(..);
        spawn(Box::new(move || native::run(shared, client, seed)));
    }
    for client in 0..DWORK {
        let seed = seeds.u64(..);
        spawn(Box::new(move || dwork::run(shared, client, seed)));
    }
    for _ in 0..LOOKERS {
        let seed = seeds.u64(..);
        spawn(Box::new(move || poll::run(shared, seed)));
    }
    threads
}
