//! Writes of this process to a database file: whoever looks at the file tells them from those of other programs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

type Watched = Option<HashMap<PathBuf, Weak<Writes>>>;

static WATCHED: Mutex<Watched> = Mutex::new(None);

fn watched() -> MutexGuard<'static, Watched> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many there were.
#[derive(Debug, Default)]
pub struct Writes {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Writes {
    /// Those of each connection that is opened from now on to this file, by its full name.
    pub fn to(file: &Path) -> Arc<Self> {
        let mut watched = watched();
        let watched = watched.get_or_insert_default();
        watched.retain(|_, writes| writes.strong_count() > 0);
        if let Some(writes) = watched.get(file).and_then(Weak::upgrade) {
            return writes;
        }
        let writes = Arc::default();
        watched.insert(file.to_owned(), Arc::downgrade(&writes));
        writes
    }

    /// None: nobody looks at that file.
    pub(crate) fn if_watched(file: &Path) -> Option<Arc<Self>> {
        watched().as_ref()?.get(file)?.upgrade()
    }

    /// None: one is under way.
    pub fn count(&self) -> Option<u64> {
        // In this order: one that begins in between is seen.
        let ended = self.ended.load(SeqCst);
        (self.begun.load(SeqCst) == ended).then_some(ended)
    }

    pub(crate) fn note<T>(&self, write: impl FnOnce() -> T) -> T {
        self.begun.fetch_add(1, SeqCst);
        let written = write();
        self.ended.fetch_add(1, SeqCst);
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_through_a_connection_is_counted_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().canonicalize().expect("its name").join("a.db");
        let writes = Writes::to(&file);
        assert_eq!(writes.count(), Some(0));
        let db = crate::open(&file, Default::default(), None).expect("a file");
        crate::reserve(&db).expect("room");
        db.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").expect("a row");
        let count = writes.count().expect("none is under way");
        assert!(count >= 2, "{count}");
        assert_eq!(db.query_row("SELECT x FROM t", [], |row| row.get(0)), Ok(1));
        std::fs::File::options()
            .append(true)
            .open(&file)
            .and_then(|mut file| std::io::Write::write_all(&mut file, b"others"))
            .expect("a write");
        assert_eq!(writes.count(), Some(count));
        assert!(Arc::ptr_eq(&writes, &Writes::to(&file)));
        assert_eq!(writes.note(|| writes.count()), None);
        drop((db, writes));
        assert_eq!(Writes::to(&file).count(), Some(0));
    }
}
