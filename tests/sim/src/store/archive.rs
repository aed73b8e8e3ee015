//! What the hub reads of the store: only what is committed.

use dhub::engine::archive::Archive;
use dhub::engine::archive::{Matching, Page};
use dhub::engine::message::*;
use dhub::engine::message::{AttemptRow, TaskRow};
use dhub::engine::scheduler::State;

use super::rows::{Row, Rows};

impl Rows {
    pub fn need(&self, id: TaskId) -> Need {
        let row = self.get(id).unwrap_or_else(|| panic!("there is no task {id} to look up"));
        Need { id, name: row.name.clone(), state: finished_or_missing(row), blame: blame(row) }
    }

    pub fn stored(&self, row: &Row, needs: Vec<Need>) -> StoredTask {
        StoredTask {
            id: row.id,
            name: row.name.clone(),
            definition: row.definition,
            priority: row.priority,
            retries: row.retries,
            failures: row.failures,
            reclaims: row.reclaims,
            attempt: row.attempt,
            last: row.ended(row.attempt).map(|ended| (ended.worker, ended.how)),
            details_bytes: row.details.as_ref().map_or(0, |details| details.bytes()),
            held: row.held,
            needs,
        }
    }
}

/// An open task counts as missing until memory says otherwise.
fn finished_or_missing(row: &Row) -> State {
    if row.state.is_finished() { row.state } else { State::Missing }
}

fn blame(row: &Row) -> TaskId {
    row.blame.unwrap_or(row.id)
}

fn task_row(row: &Row) -> TaskRow {
    TaskRow {
        id: row.id,
        name: row.name.to_string(),
        finished: (!row.is_open()).then_some(row.state),
        attempt: row.attempt,
        blame: row.blame,
        held: row.held,
        ..TaskRow::default()
    }
}

fn attempt_row(attempt: u32, how: Ended) -> AttemptRow {
    let outcome = match how {
        Ended::Done => "done",
        Ended::Failed => "failed",
        Ended::Reclaimed => "reclaimed",
        Ended::Cancelled => "cancelled",
    };
    AttemptRow { attempt, outcome, ..AttemptRow::default() }
}

/// Ids compared with patterns at a time.
const MATCH_ROWS: TaskId = 3;

fn is_on(which: Page, row: &Row) -> bool {
    match which {
        Page::Any => true,
        Page::All => row.state != State::Missing,
        Page::Open => row.is_open(),
        Page::Dead(state) => row.state == state,
    }
}

impl Archive for Rows {
    type Error = String;

    fn task(&self, name: &str) -> Result<Option<PastTask>, String> {
        let Some(row) = self.find(name) else {
            return Ok(None);
        };
        if row.is_open() {
            return Err(format!("'{name}' is open in the store, yet memory lacks it"));
        }
        Ok(Some(PastTask {
            id: row.id,
            state: row.state,
            definition: row.definition,
            attempt: row.attempt,
            holder: row.ended(row.attempt).map(|ended| ended.worker),
            blame: blame(row),
        }))
    }

    fn worker(&self, who: &Who) -> Result<Option<(WorkerId, Name)>, String> {
        Ok(self.worker(who).map(|id| (id, self.workers[&id].host.clone())))
    }

    fn row(&self, name: &str) -> Result<Option<TaskRow>, String> {
        Ok(self.find(name).map(task_row))
    }

    fn row_by_id(&self, id: TaskId) -> Result<Option<TaskRow>, String> {
        Ok(self.get(id).map(task_row))
    }

    fn page(&self, which: Page, after: TaskId, most: usize) -> Result<Vec<TaskRow>, String> {
        let rows = self.iter().filter(|row| row.id > after && is_on(which, row));
        Ok(rows.take(most).map(task_row).collect())
    }

    fn page_before(
        &self,
        which: Page,
        before: TaskId,
        most: usize,
    ) -> Result<Vec<TaskRow>, String> {
        let mut rows: Vec<_> =
            self.iter().filter(|row| row.id < before && is_on(which, row)).collect();
        rows.reverse();
        Ok(rows.into_iter().take(most).map(task_row).collect())
    }

    /// Few at a time, so that there are often more; by their first character, and all of them if that
    /// is not told: the caller must look itself.
    fn matching(
        &self,
        which: Page,
        patterns: &[Name],
        after: TaskId,
        back: bool,
        _most: usize,
    ) -> Result<Matching, String> {
        assert!(!back, "nobody here goes back");
        let upto = after + MATCH_ROWS;
        let first = |name: &Name| name.chars().next();
        let begins = |row: &Row| {
            patterns.iter().any(|pattern| {
                matches!(first(pattern), Some('*' | '?')) || first(pattern) == first(&row.name)
            })
        };
        let rows = self.iter().filter(|row| row.id > after && row.id <= upto);
        let ids = rows.filter(|row| is_on(which, row) && begins(row)).map(|row| row.id).collect();
        Ok(Matching { ids, upto: (upto < self.last_task()).then_some(upto) })
    }

    fn last_attempt(&self, task: TaskId, _output: bool) -> Result<Option<AttemptRow>, String> {
        let attempts = self.get(task).map(|row| row.attempts.as_slice()).unwrap_or_default();
        let last = attempts.iter().max_by_key(|row| row.attempt);
        Ok(last.map(|row| attempt_row(row.attempt, row.how)))
    }

    fn skipped_for(
        &self,
        blame: TaskId,
        after: TaskId,
        most: usize,
    ) -> Result<Vec<(TaskId, Vec<TaskId>)>, String> {
        let rows = self.iter().filter(|row| row.blame == Some(blame) && row.id > after);
        Ok(rows.take(most).map(|row| (row.id, row.needs.clone())).collect())
    }

    fn needs(&self, id: TaskId) -> Result<Vec<TaskId>, String> {
        Ok(self.get(id).map(|row| row.needs.clone()).unwrap_or_default())
    }

    fn attempts_after(
        &self,
        task: TaskId,
        attempt: u32,
        most: usize,
    ) -> Result<Vec<AttemptRow>, String> {
        let attempts = self.get(task).map(|row| row.attempts.as_slice()).unwrap_or_default();
        let after = attempts.iter().filter(|row| row.attempt > attempt).take(most);
        Ok(after.map(|row| attempt_row(row.attempt, row.how)).collect())
    }

    fn revived(&self, id: TaskId, dependent: bool) -> Result<Option<Revived>, String> {
        let is_one = |row: &&Row| row.state.is_finished() && !self.damaged.contains(&id);
        Ok(self.get(id).filter(is_one).map(|row| {
            let needs = row.needs.iter().map(|&need| self.need(need)).collect();
            let task = StoredTask { last: None, ..self.stored(row, needs) };
            Revived { task, state: row.state, dependent }
        }))
    }

    fn name(&self, id: TaskId) -> Result<String, String> {
        Ok(self.get(id).map(|row| row.name.to_string()).unwrap_or_default())
    }

    fn copy_to(&self, _: &std::path::Path) -> Result<dhub::engine::archive::Copying, Answer> {
        unreachable!("nobody asks for a copy")
    }
}
