//! What all who talk to the hub have in common.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use crate::journal::Journal;

/// Unfinished tasks at which nobody adds more, so that a restart stays quick.
const UNFINISHED_MAX: u64 = 3_000;

pub struct Shared {
    pub context: zmq::Context,
    pub endpoint: String,
    journal: Mutex<Journal>,
    /// One more with each hub that listens: what an earlier one was asked has to be asked again.
    pub hubs: AtomicU64,
    /// Add no more than what completes the plan; hold nothing back.
    pub drain: AtomicBool,
    /// All is done or all is lost.
    pub stop: AtomicBool,
    /// Tasks that may be there by now, in each group.
    pub tasks_due: AtomicU64,
    /// Tasks of each group at the end; set before `drain`.
    pub last: AtomicU32,
    /// As the hub counted them last.
    pub unfinished: AtomicU64,
    pub requests: AtomicU64,
    pub repeats: AtomicU64,
}

impl Shared {
    pub fn new(endpoint: String, journal: Journal) -> Self {
        Self {
            context: zmq::Context::new(),
            endpoint,
            journal: Mutex::new(journal),
            hubs: AtomicU64::new(0),
            drain: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            tasks_due: AtomicU64::new(0),
            last: AtomicU32::new(0),
            unfinished: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            repeats: AtomicU64::new(0),
        }
    }

    pub fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().expect("a journal that nobody left half-written")
    }

    pub fn into_journal(self) -> Journal {
        self.journal.into_inner().expect("a journal that nobody left half-written")
    }

    pub fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub fn drains(&self) -> bool {
        self.drain.load(Ordering::Acquire)
    }

    pub fn hub(&self) -> u64 {
        self.hubs.load(Ordering::Acquire)
    }

    /// May a group that has this many tasks get more?
    pub fn wants_more(&self, tasks: u32) -> bool {
        !self.drains()
            && u64::from(tasks) < self.tasks_due.load(Ordering::Relaxed)
            && !self.is_full()
    }

    pub fn is_full(&self) -> bool {
        self.unfinished.load(Ordering::Relaxed) >= UNFINISHED_MAX
    }
}

/// Stops everybody when one of them ends in a panic.
pub struct StopOnPanic<'a>(pub &'a Shared);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop.store(true, Ordering::Relaxed);
        }
    }
}
