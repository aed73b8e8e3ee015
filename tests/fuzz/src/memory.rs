//! How much memory something takes at most, of this whole process.

use std::sync::{Mutex, MutexGuard};

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

static ALONE: Mutex<()> = Mutex::new(());

/// Held by a test that measures, so that no other one adds to it.
pub fn alone() -> MutexGuard<'static, ()> {
    // A test that failed has no say in the next one.
    ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The result, and the bytes in use at most beside those in use before.
pub fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let result = work();
    (result, ALLOCATOR.peak_usage().saturating_sub(before))
}
