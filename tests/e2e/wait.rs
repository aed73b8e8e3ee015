//! Waiting for conditions instead of times.

use std::time::{Duration, Instant};

/// How long anything may take on a slow and busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again until there is a value; `what` says what was waited for when it never comes.
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
