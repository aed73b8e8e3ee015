//! Room for a task that is tried alone: as long as it is the first of all, one worker at a time that holds something
//! and asks for more gets nothing.

use dhub::engine::message::*;
use dhub::engine::scheduler::State;

use crate::model::{Model, has_id};

/// So long, less what passes within an operation, one makes room before it goes on.
const TURN_MS: u64 = 30_000;

impl Model {
    pub fn last_try_is_first(&self) -> bool {
        let (states, urgent) = (self.states(), self.urgent());
        let most = |alone: bool| {
            let ready = self.tasks.iter().filter(|(name, _)| states[*name] == State::Ready);
            let those = ready.filter(|(_, task)| task.is_tried_alone() == alone);
            those.map(|(name, _)| urgent[name]).max()
        };
        most(true).is_some() && most(true) >= most(false)
    }

    fn is_any_other_ready(&self) -> bool {
        let states = self.states();
        let mut tasks = self.tasks.iter();
        tasks.any(|(name, task)| states[name] == State::Ready && !task.is_tried_alone())
    }

    /// It has an id and holds something, none of it alone.
    pub fn could_make_room(&self, worker: usize) -> bool {
        let tasks = self.tasks.values();
        let mut held = tasks
            .filter(|it| it.held.is_some() && it.holder == Some(worker))
            .map(|it| it.is_tried_alone())
            .peekable();
        has_id(worker) && held.peek().is_some() && !held.any(|alone| alone)
    }

    /// Somebody else makes room, or this one may not be given anything.
    pub fn assert_room(&self, worker: usize) {
        if !self.could_make_room(worker) || !self.last_try_is_first() {
            return;
        }
        let since = self.refused.get(&worker).or(self.go_on.get(&worker));
        if since.is_some_and(|since| self.now >= since + TURN_MS) {
            return;
        }
        let waiting = self.parked.values().filter(|(_, steal, _)| steal.n > 0);
        let mut others = waiting.map(|(other, ..)| other).chain(self.refused.keys());
        let makes_room = |&&other: &&usize| other != worker && self.could_make_room(other);
        assert!(others.any(|it| makes_room(&it)), "nobody makes room: {:?}", self.refused);
    }

    /// It wanted more than it was given.
    pub fn is_refused(&mut self, worker: usize) {
        if !self.could_make_room(worker) || !self.last_try_is_first() {
            return;
        }
        if self.is_any_other_ready() {
            let others = self.refused.iter().filter(|(other, _)| **other != worker);
            let mut others = others.filter(|(other, _)| self.could_make_room(**other));
            let other = others.find(|(_, since)| self.now < **since + TURN_MS);
            assert!(other.is_none(), "{worker} gets nothing, and {other:?} makes room already");
        }
        self.refused.entry(worker).or_insert(self.now);
    }

    /// The end of an operation.
    pub fn note_room(&mut self) {
        let waiting = self.parked.values().filter(|(_, steal, _)| steal.n > 0);
        let mut refused = self.refused.clone();
        waiting.for_each(|(worker, ..)| _ = refused.entry(*worker).or_insert(self.now));
        // Who has made room for long goes on, whatever came in between.
        let long = refused.iter().filter(|(_, since)| self.now >= **since + TURN_MS);
        self.go_on.extend(long.map(|(&worker, &since)| (worker, since)));
        refused.retain(|&worker, _| self.could_make_room(worker) && self.last_try_is_first());
        self.refused = refused;
        // Of those for whom there would be something one is left.
        let waits = |worker: usize| {
            self.parked
                .values()
                .any(|(it, steal, _): &(usize, Steal, _)| *it == worker && steal.n > 0)
        };
        if self.is_any_other_ready() {
            let kept: Vec<usize> = self.refused.keys().copied().filter(|&it| waits(it)).collect();
            assert!(kept.len() <= 1, "{kept:?} all wait beside a ready task");
        }
    }
}
