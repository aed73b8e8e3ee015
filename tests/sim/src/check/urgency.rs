//! How urgent a task is by all that needs it, worked out from what is stored.

use std::collections::BTreeMap;

use dhub::engine::message::{Change, TaskId};
use dhub::engine::scheduler::State;

use crate::store::{Row, Rows};

/// Of tasks that are not finished, and of names that nobody added.
pub struct Urgency {
    inherits: bool,
    tasks: BTreeMap<TaskId, Urgent>,
    /// Something was changed, and is not passed on yet.
    is_stale: bool,
}

#[derive(Clone, Copy, Debug)]
struct Urgent {
    priority: i32,
    /// Who needs a task that is run again after it was done is not known any more.
    sure: bool,
}

impl Urgency {
    pub fn of(rows: &Rows, inherits: bool) -> Self {
        let mut urgency = Self { inherits, tasks: BTreeMap::new(), is_stale: true };
        urgency.settle(rows);
        urgency
    }

    /// A change that has just been written.
    pub fn note(&mut self, rows: &Rows, change: &Change) {
        match *change {
            Change::Adjusted { task, .. } => {
                // Counts at once for itself, and at the end of the command for what it needs.
                let needs = |row: &&Row| row.is_open() && row.needs.contains(&task);
                let needed_by = rows.iter().filter(needs).map(|row| self.of_task(row)).max();
                let Some(row) = rows.get(task) else { return };
                let priority = needed_by.filter(|_| self.inherits).unwrap_or(i32::MIN);
                let priority = priority.max(row.priority);
                self.tasks.insert(task, Urgent { priority, sure: self.is_sure(task) });
                self.is_stale = true;
            }
            Change::Finished { task, .. } => {
                self.tasks.remove(&task);
                self.is_stale = true;
            }
            Change::Added { .. } | Change::Needs { .. } | Change::Reopened { .. } => {
                self.is_stale = true;
            }
            _ => {}
        }
    }

    /// Passes on what has changed; false if nothing has.
    pub fn settle(&mut self, rows: &Rows) -> bool {
        if !std::mem::take(&mut self.is_stale) {
            return false;
        }
        self.tasks.clear();
        let mut needed_by: BTreeMap<TaskId, Vec<TaskId>> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.is_open() && self.inherits) {
            for need in rows.needs(row).filter(|need| !need.redone) {
                needed_by.entry(need.id).or_default().push(row.id);
            }
        }
        let none = Vec::new();
        let mut todo: Vec<TaskId> =
            rows.iter().filter(|row| is_urgent(row)).map(|it| it.id).collect();
        // Circles go through what is done again: without that this ends.
        while let Some(&id) = todo.last() {
            let by = needed_by.get(&id).unwrap_or(&none);
            let open = by.iter().find(|it| !self.tasks.contains_key(it));
            if let (Some(&open), false) = (open, self.tasks.contains_key(&id)) {
                todo.push(open);
                continue;
            }
            todo.pop();
            let Some(row) = rows.get(id) else { continue };
            let own = if row.state == State::Missing { i32::MIN } else { row.priority };
            let by = by.iter().filter_map(|it| self.tasks.get(it));
            let urgent = by.fold(Urgent { priority: own, sure: !row.redone }, |most, it| Urgent {
                priority: most.priority.max(it.priority),
                sure: most.sure && it.sure,
            });
            self.tasks.insert(id, urgent);
        }
        true
    }

    pub fn of_task(&self, row: &Row) -> i32 {
        self.tasks.get(&row.id).map_or(row.priority, |it| it.priority.max(row.priority))
    }

    pub fn is_sure(&self, id: TaskId) -> bool {
        self.tasks.get(&id).is_none_or(|it| it.sure)
    }
}

fn is_urgent(row: &Row) -> bool {
    row.is_open() || row.state == State::Missing
}
