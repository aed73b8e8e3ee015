//! Virtual time, and what is to happen in it.
//!
//! Two clocks, as on a real machine: the monotonic one, by which everything is decided, and the
//! wall's, which jumps.

use std::collections::BTreeMap;

use dhub::engine::message::Millis;

pub struct Clock {
    now: Millis,
    wall_offset: i64,
}

impl Clock {
    pub fn new() -> Self {
        // In the middle of nowhere: only differences mean something.
        Self { now: 1_000_000, wall_offset: 1_700_000_000_000 }
    }

    pub fn now(&self) -> Millis {
        self.now
    }

    /// Milliseconds since 1970, as a store would write them.
    pub fn wall(&self) -> i64 {
        self.now as i64 + self.wall_offset
    }

    pub fn jump_wall(&mut self, ms: i64) {
        self.wall_offset += ms;
    }

    pub fn advance(&mut self, to: Millis) {
        assert!(to >= self.now, "time runs forward");
        self.now = to;
    }
}

/// Events by time; those of one moment in the order in which they were planned.
pub struct Agenda<E> {
    events: BTreeMap<(Millis, u64), E>,
    sequence: u64,
}

impl<E> Agenda<E> {
    pub fn new() -> Self {
        Self { events: BTreeMap::new(), sequence: 0 }
    }

    pub fn plan(&mut self, at: Millis, event: E) {
        self.sequence += 1;
        self.events.insert((at, self.sequence), event);
    }

    pub fn next_at(&self) -> Option<Millis> {
        self.events.first_key_value().map(|(&(at, _), _)| at)
    }

    pub fn pop(&mut self) -> Option<(Millis, E)> {
        self.events.pop_first().map(|((at, _), event)| (at, event))
    }
}
