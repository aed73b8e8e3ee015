//! Priority inheritance: what an urgent task needs is as urgent.
//!
//! The effective priority of a task is the largest of its own and those of all unfinished tasks that need it,
//! directly or not. Each task has it in memory, and nothing of it is stored: a start works it out from the graph.
//!
//! A rise goes from task to task only as far as it raises something. When something that needed a task is gone, or
//! sinks, the rest of what needs it is looked at, and no more than `FOLD_MAX` of that: a task that more need keeps
//! what it has until it is finished, or the hub starts again. Both go on in slices, for a graph may be deep.

use std::collections::BTreeSet;

use super::Scheduler;
use crate::engine::message::State;
use crate::engine::scheduler::state::slot::{NONE, Slot};
use crate::engine::scheduler::state::task::Task;

/// Tasks that a command, or a turn, looks at.
pub(super) const STEPS_MAX: usize = 100_000;
/// Of those that need one task.
const FOLD_MAX: usize = 10_000;

/// Tasks that others are still to hear of. Those that come last are taken first: mostly what needs others
/// was added after them, so each is looked at once.
#[derive(Default)]
pub struct Urgency {
    /// What these need has to be as urgent.
    raised: BTreeSet<Slot>,
    /// Of what needs these something is gone or has sunk.
    lowered: BTreeSet<Slot>,
}

impl Urgency {
    pub fn is_settled(&self) -> bool {
        self.raised.is_empty() && self.lowered.is_empty()
    }
}

/// Without those that need it.
fn own(task: &Task) -> i32 {
    if task.state == State::Missing { i32::MIN } else { task.priority }
}

impl Scheduler {
    /// `succ` needs `pred` from now on.
    pub(super) fn is_needed(&mut self, pred: Slot, succ: Slot) {
        let rises = self.tasks.get(pred).effective < self.tasks.get(succ).effective;
        if rises && self.config.inherit_priority {
            self.urgency.raised.insert(succ);
        }
    }

    /// What had this effective priority needs `pred` no more, or has sunk.
    pub(super) fn is_needed_less(&mut self, pred: Slot, effective: i32) {
        let task = self.tasks.get(pred);
        let sinks = task.effective == effective && effective > own(task);
        if sinks && self.config.inherit_priority {
            self.urgency.lowered.insert(pred);
        }
    }

    /// A task that is not in the ready set has another priority of its own.
    pub(super) fn set_priority(&mut self, slot: Slot, priority: i32) {
        let task = self.tasks.get_mut(slot);
        let before = task.effective;
        task.priority = priority;
        let after = match self.config.inherit_priority {
            true => self.fold(slot).0.unwrap_or(before.max(priority)),
            false => priority,
        };
        self.tasks.get_mut(slot).effective = after;
        if after > before && self.config.inherit_priority {
            self.urgency.raised.insert(slot);
        } else {
            self.sinks_from(slot, before);
        }
    }

    /// Goes on with what is still to be told, for about so many tasks.
    pub(super) fn pass_on_urgency(&mut self, most: usize) {
        let mut steps = 0;
        while steps < most {
            steps += 1;
            if let Some(slot) = self.urgency.raised.pop_last() {
                steps += self.raise_needs(slot);
            } else if let Some(slot) = self.urgency.lowered.pop_last() {
                steps += self.lower(slot);
            } else {
                return;
            }
        }
    }

    fn raise_needs(&mut self, slot: Slot) -> usize {
        let Some(effective) = self.tasks.get_some(slot).map(|task| task.effective) else {
            return 0;
        };
        let needs: Vec<Slot> = self.edges.preds(&self.tasks, slot).collect();
        for &need in &needs {
            if self.tasks.get(need).effective < effective {
                self.set_effective(need, effective);
                self.urgency.raised.insert(need);
            }
        }
        needs.len()
    }

    fn lower(&mut self, slot: Slot) -> usize {
        let Some(before) = self.tasks.get_some(slot).map(|task| task.effective) else {
            return 0;
        };
        let (after, steps) = self.fold(slot);
        match after {
            Some(after) if after < before => {
                self.set_effective(slot, after);
                steps + self.sinks_from(slot, before)
            }
            _ => steps,
        }
    }

    fn sinks_from(&mut self, slot: Slot, before: i32) -> usize {
        let needs: Vec<Slot> = self.edges.preds(&self.tasks, slot).collect();
        needs.iter().for_each(|&need| self.is_needed_less(need, before));
        needs.len()
    }

    /// The effective priority of a task, of which nothing that needs it has more than it had before; None: too
    /// many need it. And how many were looked at: no more when one is found that has as much.
    fn fold(&self, slot: Slot) -> (Option<i32>, usize) {
        let task = self.tasks.get(slot);
        let mut largest = own(task);
        let mut ends = self.edges.succ_ends(&self.tasks, slot);
        for steps in 0..FOLD_MAX {
            if largest >= task.effective {
                return (Some(largest), steps);
            }
            match ends.next() {
                None => return (Some(largest), steps),
                Some(NONE) => {}
                Some(succ) => largest = largest.max(self.tasks.get(succ).effective),
            }
        }
        (None, FOLD_MAX)
    }

    /// A ready one takes its place behind those like it.
    fn set_effective(&mut self, slot: Slot, effective: i32) {
        let task = self.tasks.get(slot);
        let (is_ready, origin) = (task.state == State::Ready, task.origin);
        if is_ready {
            self.ready.remove(&mut self.tasks, slot);
        }
        self.tasks.get_mut(slot).effective = effective;
        if is_ready {
            self.ready.insert(&mut self.tasks, slot, origin);
        }
    }

    /// Whose priority a task has, if it is not its own.
    pub fn urgent_for(&self, name: &str) -> Option<&Task> {
        let mut slot = self.tasks.find(name)?;
        let effective = self.tasks.get(slot).effective;
        let is_own = |slot| own(self.tasks.get(slot)) >= effective;
        if is_own(slot) {
            return None;
        }
        let mut steps = 0;
        while steps < STEPS_MAX && !is_own(slot) {
            let is_it = |succ: &Slot| {
                steps += 1;
                *succ != NONE && self.tasks.get(*succ).effective == effective
            };
            slot = self.edges.succ_ends(&self.tasks, slot).take(FOLD_MAX).find(is_it)?;
        }
        Some(self.tasks.get(slot))
    }
}
