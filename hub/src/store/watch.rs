//! When it is looked whether the files of a hub that runs are there.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::files::Files;
use super::open::{CHECKPOINT_PAGES, move_log};
use super::{Store, StoreError, thread_ended};

/// How often, if nothing is written.
const LOOK: Duration = Duration::from_millis(500);

impl Store {
    /// From now on it is noticed when the files of this hub are gone. When nothing else opens or replaces them.
    pub fn watch(&mut self) -> Result<(), StoreError> {
        let Some(real) = self.lock.as_ref().map(|lock| lock.file().to_owned()) else {
            return Ok(());
        };
        let files = Arc::new(Files::note(&real).map_err(StoreError::Commit)?);
        self.watch_tables(&files)?;
        if let Some(redo) = &mut self.redo {
            redo.watch(&files);
        }
        self.files = Some(files);
        Ok(())
    }

    /// Are the files of this hub still there? Looks again when it is time to.
    pub fn look(&mut self) -> Result<(), StoreError> {
        let Some(files) = &self.files else { return Ok(()) };
        if self.looked_at.elapsed() < LOOK {
            return Ok(files.found()?);
        }
        self.looked_at = Instant::now();
        Ok(files.look()?)
    }

    pub(super) fn look_due(&self) -> Option<Duration> {
        self.files.as_ref().map(|_| LOOK.saturating_sub(self.looked_at.elapsed()))
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
