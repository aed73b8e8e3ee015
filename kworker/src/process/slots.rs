//! Numbers for what runs at the same time: 0 for the first, and always the lowest that is free.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

#[derive(Debug, Default)]
pub struct Slots {
    free: BinaryHeap<Reverse<u32>>,
    /// From here on all are free.
    next: u32,
}

impl Slots {
    pub fn lowest(&self) -> u32 {
        self.free.peek().map_or(self.next, |&Reverse(slot)| slot)
    }

    pub fn take_lowest(&mut self) -> u32 {
        self.free.pop().map_or_else(
            || {
                self.next += 1;
                self.next - 1
            },
            |Reverse(slot)| slot,
        )
    }

    pub fn give_back(&mut self, slot: u32) {
        self.free.push(Reverse(slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_that_is_free() {
        let mut slots = Slots::default();
        assert_eq!([(); 3].map(|()| slots.take_lowest()), [0, 1, 2]);
        slots.give_back(2);
        slots.give_back(0);
        assert_eq!(slots.lowest(), 0);
        assert_eq!([(); 3].map(|()| slots.take_lowest()), [0, 2, 3]);
    }
}
