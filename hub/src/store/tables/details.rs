//! Commands and the like of tasks that the tables may not have yet. The simulation's store has this one too.

use std::collections::HashMap;

use crate::engine::message::{Change, Details, TaskId, Turn};

#[derive(Default)]
pub struct NewDetails {
    details: HashMap<TaskId, (Turn, Details)>,
}

impl NewDetails {
    /// What this turn has changed.
    pub fn note<'a>(&mut self, turn: Turn, changes: impl IntoIterator<Item = &'a Change>) {
        for change in changes {
            if let Change::Added { id, task, .. } = change
                && let Some(details) = &task.details
            {
                self.details.insert(*id, (turn, (**details).clone()));
            }
        }
    }

    /// The tables have all up to this turn.
    pub fn folded(&mut self, upto: Turn) {
        self.details.retain(|_, (turn, _)| *turn > upto);
    }

    pub fn get(&self, id: TaskId) -> Option<&Details> {
        self.details.get(&id).map(|(_, details)| details)
    }
}
