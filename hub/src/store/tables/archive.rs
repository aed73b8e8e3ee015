//! What the engine asks of the tables.

use std::path::Path;

use crate::engine::archive::{Archive, Copied, Copying, Matching, Page};
use crate::engine::message::*;
use crate::engine::message::{AttemptRow, TaskRow};
use crate::store::{CopyError, Store, StoreError, fault};

impl Archive for Store {
    type Error = StoreError;

    fn task(&self, name: &str) -> Result<Option<PastTask>, StoreError> {
        self.look_up(name)
    }

    fn worker(&self, who: &Who) -> Result<Option<(WorkerId, Name)>, StoreError> {
        self.find_worker(who)
    }

    fn row(&self, name: &str) -> Result<Option<TaskRow>, StoreError> {
        self.task(name)
    }

    fn row_by_id(&self, id: TaskId) -> Result<Option<TaskRow>, StoreError> {
        self.task_by_id(id)
    }

    fn page(&self, which: Page, after: TaskId, most: usize) -> Result<Vec<TaskRow>, StoreError> {
        self.page(which, after, most)
    }

    fn page_before(
        &self,
        which: Page,
        before: TaskId,
        most: usize,
    ) -> Result<Vec<TaskRow>, StoreError> {
        self.page_before(which, before, most)
    }

    fn matching(
        &self,
        which: Page,
        patterns: &[Name],
        from: TaskId,
        back: bool,
        most: usize,
    ) -> Result<Matching, StoreError> {
        self.matching(which, patterns, from, back, most)
    }

    fn last_attempt(&self, task: TaskId, output: bool) -> Result<Option<AttemptRow>, StoreError> {
        self.last_attempt(task, output)
    }

    fn skipped_for(
        &self,
        blame: TaskId,
        after: TaskId,
        most: usize,
    ) -> Result<Vec<(TaskId, Vec<TaskId>)>, StoreError> {
        self.skipped_for(blame, after, most)
    }

    fn needs(&self, id: TaskId) -> Result<Vec<TaskId>, StoreError> {
        self.needs(id)
    }

    fn attempts_after(
        &self,
        task: TaskId,
        attempt: u32,
        most: usize,
    ) -> Result<Vec<AttemptRow>, StoreError> {
        self.attempts_after(task, attempt, most)
    }

    fn revived(&self, id: TaskId, dependent: bool) -> Result<Option<Revived>, StoreError> {
        self.revived(id, dependent)
    }

    fn name(&self, id: TaskId) -> Result<String, StoreError> {
        self.name(id)
    }

    fn copy_to(&self, to: &Path) -> Result<Copying, Answer> {
        let mut copying = self.copy_to(to).map_err(|error| refusal(&error))?;
        Ok(Box::new(move || match copying.step() {
            Ok(Some(bytes)) => Copied::All(Ok(bytes)),
            Ok(None) if copying.is_syncing() => Copied::Syncing,
            Ok(None) => Copied::Some,
            Err(error) => Copied::All(Err(refusal(&error))),
        }))
    }
}

/// Of a copy.
fn refusal(error: &CopyError) -> Answer {
    let code = match error {
        CopyError::Damaged { .. } => Code::Damaged,
        error if fault(error).is_some() => Code::Disk,
        _ => Code::Invalid,
    };
    let names = match error {
        CopyError::Damaged { file, .. } => vec![file.display().to_string().into()],
        _ => Vec::new(),
    };
    Answer::Error { code, message: error.to_string(), names }
}
