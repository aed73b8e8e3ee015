//! Which of the bugs is there, by the name of its file.

use std::cell::Cell;

include!(concat!(env!("OUT_DIR"), "/bugs.rs"));

thread_local! {
    static CHOSEN: Cell<&'static str> = const { Cell::new("") };
}

/// For this thread; none is called "".
pub fn choose(bug: &'static str) {
    CHOSEN.set(bug);
}

pub fn planted(bug: &str) -> bool {
    CHOSEN.get() == bug
}
