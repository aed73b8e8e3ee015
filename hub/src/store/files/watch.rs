//! When it is looked whether the files of a hub that runs are there.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::store::access::CHECKPOINT_PAGES;
use crate::store::connection::move_log;
use crate::store::files::Files;
use crate::store::{Store, StoreError, thread_ended};

/// How often, if nothing is written.
const LOOK: Duration = Duration::from_millis(500);

impl Store {
    /// From now on files of this hub that are cut are noticed too, and with each commit. When nothing else opens or
    /// replaces them.
    pub fn watch(&mut self) -> Result<(), StoreError> {
        let Some(files) = self.files.clone() else { return Ok(()) };
        self.look_now()?;
        self.watch_tables(&files)?;
        if let Some(redo) = &mut self.redo {
            redo.watch(&files);
        }
        files.renew().map_err(StoreError::Commit)?;
        self.begin_scrub()
    }

    /// Are the files of this hub still there? Looks again when it is time to.
    pub fn look(&mut self) -> Result<(), StoreError> {
        match &self.files {
            Some(files) if self.look_due().is_some_and(|due| !due.is_zero()) => Ok(files.found()?),
            _ => self.look_now(),
        }
    }

    pub fn look_now(&mut self) -> Result<(), StoreError> {
        self.looked_at = self.files.as_ref().map(|_| Instant::now());
        Ok(self.files.as_ref().map_or(Ok(()), |files| files.look())?)
    }

    pub(crate) fn look_due(&self) -> Option<Duration> {
        self.looked_at.map(|at| LOOK.saturating_sub(at.elapsed()))
    }

    /// Each commit of the tables looks: what is written behind a cut would look whole later.
    fn watch_tables(&mut self, files: &Arc<Files>) -> Result<(), StoreError> {
        drop(self.db()?);
        let db = self.db.get_mut().as_mut().and_then(Rc::get_mut).ok_or_else(thread_ended)?;
        let at_commit = Arc::clone(files);
        let hooked = db.commit_hook(Some(move || {
            // It goes on all the same: what it writes stays in memory, to be saved.
            let _ = at_commit.look();
            false
        }));
        let moves = |()| move_log(db, CHECKPOINT_PAGES, Some(Arc::clone(files)));
        hooked.and_then(moves).map_err(StoreError::Fold)
    }
}
