//! One who has been heard of.

use std::collections::BTreeSet;

use crate::engine::message::{Millis, Name, Order, Turn, Who};

/// Names of lost attempts told at a time; the rest comes with the next answer.
pub(super) const LOST_BYTES_MAX: usize = 4 * 1024 * 1024;

pub(super) fn lost_bytes((name, _): &(Name, u32)) -> usize {
    name.len() + 64
}

#[derive(Debug)]
pub struct Worker {
    pub who: Who,
    pub leases: Vec<u32>,
    pub last_seen: Millis,
    pub done: u64,
    pub failed: u64,
    /// Attempts that it should kill, to be told at the next opportunity.
    pub(super) lost: BTreeSet<(Name, u32)>,
    /// The store has it, since it was given something.
    pub stored: bool,
    /// The turn in which its row was last written; none yet: `UNCOMMITTED`.
    pub(super) row: Turn,
    /// It said Exit.
    pub left: bool,
    /// What it is to do, and what of that it has been told.
    pub order: Order,
    pub told: Order,
    /// When it was told last to leave its connection to others for a while.
    pub sent_away: Option<Millis>,
    /// How many tasks it runs at the same time, as it said last; 0: it did not say.
    pub slots: u32,
    /// Leases that wait there for a slot, by the order in which they were given out.
    pub late: BTreeSet<(u64, u32)>,
    /// Of its leases so many wait for other tasks and take no slot, as it said last.
    pub waiting: u32,
    /// Those of its leases that are tried alone, by the order in which they were given out.
    pub alone: BTreeSet<(u64, u32)>,
    /// One of those was lost with it: what was given out before is not to blame.
    pub spared_below: u64,
}

impl Worker {
    /// What it is still to be told of.
    pub fn lost(&self) -> &BTreeSet<(Name, u32)> {
        &self.lost
    }

    /// What it is to do; from now on it has been told.
    pub fn take_order(&mut self) -> Order {
        self.told = self.order;
        self.order
    }

    pub fn is_alone(&self) -> bool {
        !self.alone.is_empty()
    }

    /// It has an id, and holds nothing but tasks that wait for others: what it is given has it alone.
    pub fn runs_nothing(&self) -> bool {
        self.who.id.is_some() && self.leases.len() <= self.waiting as usize
    }

    /// A parked steal of it is to be answered at once. One without an id is another process each
    /// time, that has not been told.
    pub fn has_news(&self) -> bool {
        let knows = self.order == self.told && self.who.id.is_some();
        !self.lost.is_empty() || (self.order != Order::None && !knows)
    }
}
