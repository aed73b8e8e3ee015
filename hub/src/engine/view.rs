//! One task as people see it: its row, and what memory knows of it.

use super::message::{State, TaskRow, TaskView};
use super::scheduler::{DAMAGED, Scheduler};

impl TaskView {
    pub fn new(scheduler: &Scheduler, row: TaskRow) -> Self {
        let state = state(scheduler, &row);
        let open = scheduler.find(&row.name).filter(|task| task.state.is_unfinished());
        let effective = open.map(|task| task.effective);
        Self {
            state,
            run_ms: scheduler.running_ms(&row.name).unwrap_or(row.run_ms),
            retry_in_ms: scheduler.retry_in_ms(&row.name).unwrap_or(0),
            effective: effective.filter(|&effective| effective > row.priority),
            is_damaged: row.is_lost || (state == State::Failed && row.reason == DAMAGED),
            row,
        }
    }
}

/// The scheduler knows the state of open tasks, the store that of the others.
pub fn state(scheduler: &Scheduler, row: &TaskRow) -> State {
    match (row.finished, scheduler.find(&row.name)) {
        (_, Some(task)) => task.state,
        (Some(state), None) => state,
        (None, None) => State::Waiting,
    }
}
