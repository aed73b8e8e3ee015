//! Tasks and attempts as the tables have them, and as people see them.

use super::{State, TaskId};

/// A task as people see it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskRow {
    pub id: TaskId,
    pub name: String,
    /// None: open; the scheduler knows more.
    pub finished: Option<State>,
    pub priority: i32,
    pub retries: u32,
    pub attempt: u32,
    pub failures: u32,
    pub reclaims: u32,
    pub worker: String,
    /// How long it ran, or has been running; and since when, if it runs.
    pub run_ms: u64,
    pub started_ms: u64,
    pub exit_code: i32,
    pub reason: String,
    pub command: String,
    pub time_limit_ms: u64,
    pub created_ms: u64,
    pub ended_ms: u64,
    pub blame: Option<TaskId>,
    pub dir: String,
    /// A JSON array of NAME=VALUE; empty: none.
    pub env: String,
    pub stdin_bytes: u64,
    pub held: bool,
    pub left_behind: u32,
    /// It cannot be read; this is what other tables and the indices have of it.
    pub is_lost: bool,
}

impl TaskRow {
    /// What it takes in a message, about.
    pub fn bytes(&self) -> usize {
        let texts = [&self.name, &self.worker, &self.reason, &self.command, &self.dir, &self.env];
        128 + texts.map(String::len).iter().sum::<usize>()
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttemptRow {
    pub attempt: u32,
    pub worker: String,
    /// The name of the key of that worker.
    pub key: String,
    pub started_ms: u64,
    pub ended_ms: u64,
    pub outcome: &'static str,
    pub exit_code: i32,
    pub reason: String,
    pub output: Vec<u8>,
    pub host: String,
    pub output_file: String,
    pub left_behind: u32,
}

impl AttemptRow {
    /// The attempt of a task that runs.
    pub fn running(row: &TaskRow) -> Self {
        Self {
            attempt: row.attempt,
            worker: row.worker.clone(),
            started_ms: row.started_ms,
            outcome: "running",
            ..Self::default()
        }
    }
}

/// A task as people see it: its row, and what memory knows of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskView {
    pub row: TaskRow,
    pub state: State,
    pub run_ms: u64,
    pub retry_in_ms: u64,
    /// Its priority by what needs it, if that is more than its own.
    pub effective: Option<i32>,
    pub is_damaged: bool,
}
