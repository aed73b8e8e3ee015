//! Did another program write to the file? A hub has it alone: what it did not write itself somebody put there, as
//! `cp other.db run.db` does, and SQLite would go on with a mixture of both.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use dhub_checksum::Writes;
use rustix::fs::{fstat, inotify};
use rustix::io::Errno;

/// Room for what the system tells at a time.
const EVENTS_BYTES: usize = 4096;

pub struct Foreign {
    /// By this process, which are not meant.
    own: Arc<Writes>,
    /// Told of writes alone, not of a new mode or time. None: the user has no more of them, and the file's time tells.
    events: Option<OwnedFd>,
    /// How many own ones there were at the last look, and when the file was written then.
    seen: Option<(u64, Time)>,
}

type Time = (i64, u64);

impl Foreign {
    /// From now on; before it is opened.
    pub fn new(real: &Path, file: &OwnedFd) -> Self {
        let warn = |error: &Errno| {
            tracing::warn!(
                "writes of other programs to {} are noticed by its time alone ({error}), so that touch counts as one",
                real.display()
            );
        };
        let events = watch(file).inspect_err(warn).ok();
        let mut foreign = Self { own: Writes::to(real), events, seen: None };
        foreign.look(file);
        foreign
    }

    /// Since the last look; what was written while this process wrote too is not told apart.
    pub fn look(&mut self, file: &OwnedFd) -> bool {
        let Some(count) = self.own.count() else { return false };
        let Ok(stat) = fstat(file) else { return false };
        let time = (stat.st_mtime, stat.st_mtime_nsec);
        let is_written = match &self.events {
            Some(events) => take(events),
            None => self.seen.is_some_and(|(_, seen)| seen != time),
        };
        if self.own.count() != Some(count) {
            return false;
        }
        let seen = self.seen.replace((count, time));
        is_written && seen.is_some_and(|(seen, _)| seen == count)
    }
}

fn watch(file: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    let events = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    // The file that is open, whatever has its name.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    inotify::add_watch(&events, path, inotify::WatchFlags::MODIFY)?;
    Ok(events)
}

/// Takes all that was told; whether that was anything.
fn take(events: &OwnedFd) -> bool {
    let mut room = [0; EVENTS_BYTES];
    let mut is_any = false;
    while let Ok(1..) = rustix::io::read(events, &mut room) {
        is_any = true;
    }
    is_any
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A user may have so many of the system's watches and no more.
    #[test]
    fn without_events_the_time_of_the_file_tells() {
        let dir = tempfile::tempdir().expect("a directory");
        let real = dir.path().canonicalize().expect("its name").join("run.db");
        fs::write(&real, "").expect("a file");
        let file = OwnedFd::from(fs::File::open(&real).expect("the file"));
        let mut foreign = Foreign::new(&real, &file);
        foreign.events = None;
        let db = dhub_checksum::open(&real, Default::default(), None).expect("a database");
        dhub_checksum::reserve(&db).expect("room");
        db.execute_batch("CREATE TABLE t (x)").expect("a table");
        assert!(!foreign.look(&file));
        assert!(!foreign.look(&file));
        drop(db);
        // Two writes in one tick of the clock would have one time.
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(1);
        let other = fs::File::options().append(true).open(&real).expect("the file");
        other.set_modified(later).expect("a time");
        assert!(foreign.look(&file));
        assert!(!foreign.look(&file));
    }
}
