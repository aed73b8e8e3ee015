//! Who makes room for a task that is tried alone.
//!
//! It needs a worker that holds nothing, and where workers are never without work there is none. So when it is the
//! first of all ready tasks, a worker that asks for more gets nothing until it is empty: it makes room. That is
//! one at a time; the others go on.
//!
//! What it holds may wait for tasks that nobody else takes, or end late, or never. So it makes room for a while
//! only, and then goes on for as long; another one that asks may take its place. Each turn is twice as long as the
//! one before, until a last try was given out: however long tasks take, one becomes empty.
//!
//! Nothing of this is stored.

use super::Scheduler;
use crate::engine::message::*;
use crate::engine::scheduler::state::origin::Origin;
use crate::engine::scheduler::state::task::Task;
use crate::engine::scheduler::state::worker::Worker;

/// So long the first worker makes room at most.
const TURN_MS: u64 = 60_000;

#[derive(Debug)]
pub struct Room {
    /// Who makes room, and until when at most.
    maker: Option<(WorkerId, Millis)>,
    /// Who did in vain, and until when it goes on.
    passed_over: Option<(WorkerId, Millis)>,
    /// How long the next one makes room at most.
    turn_ms: u64,
}

impl Default for Room {
    fn default() -> Self {
        Self { maker: None, passed_over: None, turn_ms: TURN_MS }
    }
}

impl Room {
    /// When who makes room goes on.
    pub fn deadline(&self) -> Option<Millis> {
        self.maker.map(|(_, until)| until)
    }

    /// A last try was given out.
    pub fn is_used(&mut self) {
        self.turn_ms = TURN_MS;
    }
}

impl Scheduler {
    /// What waits for a worker that runs nothing, if it is the first of all, and who makes room for it.
    pub fn room(&self) -> Option<(&Task, Option<&Worker>)> {
        let first = self.ready.first_of_all().map(|slot| self.tasks.get(slot));
        let task = first.filter(|task| task.origin == Origin::Alone)?;
        Some((task, self.room.maker.and_then(|(id, _)| self.workers.get(id))))
    }

    /// The first of all is to be tried alone.
    pub(super) fn last_try_is_first(&self) -> bool {
        let first = self.ready.first_of_all();
        first.is_some_and(|slot| self.tasks.get(slot).origin == Origin::Alone)
    }

    pub(super) fn makes_room(&self, id: WorkerId) -> bool {
        self.room.maker.is_some_and(|(maker, _)| maker == id)
    }

    /// It has an id, as only such a worker is tried alone with; and it gets nothing as long as it runs something.
    fn may_make_room(&self, id: WorkerId) -> bool {
        let is_one = |it: &Worker| {
            it.who.id.is_some() && !it.runs_nothing() && !it.is_alone() && it.order == Order::None
        };
        self.last_try_is_first() && self.workers.get(id).is_some_and(is_one)
    }

    /// This worker asks for more.
    pub(super) fn make_room(&mut self, now: Millis, id: WorkerId) {
        let goes_on = self.room.passed_over.is_some_and(|(it, until)| it == id && now < until);
        if self.room.maker.is_none() && !goes_on && self.may_make_room(id) {
            self.room.maker = Some((id, now.saturating_add(self.room.turn_ms)));
            self.note_standing(id);
        }
    }

    /// Nobody makes room any longer than there is a reason to; and of those that wait somebody does, if there is one.
    pub(super) fn review_room(&mut self, now: Millis) {
        if let Some((id, until)) = self.room.maker {
            let is_over = now >= until;
            if is_over {
                self.room.passed_over = Some((id, now.saturating_add(self.room.turn_ms)));
                self.room.turn_ms = self.room.turn_ms.saturating_mul(2);
            }
            if is_over || !self.may_make_room(id) {
                self.room.maker = None;
                self.note_standing(id);
            }
        }
        if let Some(id) = self.parking.first_busy() {
            self.make_room(now, id);
        }
    }
}
