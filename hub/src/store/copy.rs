//! Copies of the file, of a running hub in slices or of a stopped one at once.
//!
//! The copy grows beside `TO`, under a name that nobody can guess, and gets its own when it is complete
//! and on disk: a file `TO` is never half a copy. What is committed meanwhile goes into the copy too, so
//! it is of one moment. A copy has all pages, also those of no use, which alone may read as zeros.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread::JoinHandle;

use dhub_checksum::{Damage, PAGE_BYTES, RESERVED_BYTES, allow_holes, free_pages, holes_read};
use dhub_proto::disk::Fault;
use dhub_proto::private::Mode;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use self_cell::{MutBorrow, self_cell};

use super::damage::{comes_from_damage, is_damage, told};
use super::disk::{fault_of, words};
use super::{Store, StoreError};
use crate::store::files::mark;
use crate::store::files::part::Part;

/// Pages a slice: a megabyte, about a millisecond.
const PAGES: i32 = 256;

#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("{} exists already; nothing was copied", .0.display())]
    Exists(PathBuf),
    #[error("this hub keeps its tasks in memory; there is no file to copy")]
    InMemory,
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is to be done the caller knows: a hub may go on with the rest.
    #[error("{} is damaged: {why}; nothing was copied", .file.display())]
    Damaged { file: PathBuf, why: String },
    #[error("cannot copy to {}: {}", .to.display(), words(.source))]
    Io { to: PathBuf, source: io::Error },
    #[error("cannot copy to {}: {}", .to.display(), words(.source))]
    Sqlite { to: PathBuf, source: rusqlite::Error },
    #[error("cannot copy to {}: {fault}", .to.display())]
    Disk {
        to: PathBuf,
        #[source]
        fault: Fault,
    },
}

impl CopyError {
    /// It is the file that cannot be read; the place of the copy may be sound.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Store(error) => error.is_damage(),
            _ => false,
        }
    }
}

type Under<'a> = Backup<'a, 'a>;

struct Ends {
    from: Rc<Connection>,
    to: MutBorrow<Connection>,
}

self_cell!(
    struct Pages {
        owner: Ends,
        #[not_covariant]
        dependent: Under,
    }
);

enum Stage {
    Pages(Box<Pages>),
    /// In a thread of its own: the disk may need seconds, and the hub has others to serve.
    Sync(JoinHandle<io::Result<u64>>),
    Over,
}

/// A copy under way.
pub struct Copying {
    file: PathBuf,
    to: PathBuf,
    /// Removed when it goes, unless it was given its name.
    part: Option<Part>,
    mode: Mode,
    /// Pages that read as zeros.
    holes: Vec<u32>,
    stage: Stage,
}

impl Store {
    /// Begins a copy; it goes on with each `step`.
    pub fn copy_to(&self, to: &Path) -> Result<Copying, CopyError> {
        let file = self.file().ok_or(CopyError::InMemory)?;
        Copying::new(self.db()?, file, to, self.mode)
    }
}

/// The whole copy at once: of a stopped hub's file.
pub fn copy_file(store: &Store, to: &Path, mode: Mode) -> Result<u64, CopyError> {
    let mut copying = Copying { mode, ..store.copy_to(to)? };
    loop {
        if let Some(bytes) = copying.step()? {
            return Ok(bytes);
        }
        if copying.is_syncing() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

impl Copying {
    fn new(from: Rc<Connection>, file: &Path, to: &Path, mode: Mode) -> Result<Self, CopyError> {
        if fs::symlink_metadata(to).is_ok() {
            return Err(CopyError::Exists(to.to_owned()));
        }
        let io = |source| CopyError::Io { to: to.to_owned(), source };
        let sqlite = |source| CopyError::Sqlite { to: to.to_owned(), source };
        let part = Part::new(to).map_err(io)?;
        let target = target(&from, &part).map_err(sqlite)?;
        part.check().map_err(io)?;
        target.pragma_update(None, "synchronous", "OFF").map_err(sqlite)?;
        let ends = Ends { from, to: MutBorrow::new(target) };
        let pages = Pages::try_new(ends, |ends| Backup::new(&ends.from, ends.to.borrow_mut()))
            .map_err(sqlite)?;
        let stage = Stage::Pages(Box::new(pages));
        Ok(Self {
            file: file.to_owned(),
            to: to.to_owned(),
            part: Some(part),
            mode,
            holes: Vec::new(),
            stage,
        })
    }

    fn damaged(&self, why: String) -> CopyError {
        CopyError::Damaged { file: self.file.clone(), why }
    }

    /// It ends here. Of a copy only its connection knows what the system said.
    fn failed(&mut self, source: rusqlite::Error) -> CopyError {
        let to = self.to.clone();
        let fault = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Pages(pages) => fault_of(&pages.into_owner().to.into_inner(), &source),
            Stage::Sync(_) | Stage::Over => None,
        };
        match fault {
            Some(fault) => CopyError::Disk { to, fault },
            None => CopyError::Sqlite { to, source },
        }
    }

    pub fn is_syncing(&self) -> bool {
        matches!(self.stage, Stage::Sync(_))
    }

    /// A slice of the work; the size of the copy when it is complete.
    pub fn step(&mut self) -> Result<Option<u64>, CopyError> {
        match &mut self.stage {
            Stage::Pages(pages) => {
                let step = pages.with_dependent(|ends, copy| {
                    allow_holes(&ends.from, true);
                    let step = copy.step(PAGES);
                    allow_holes(&ends.from, false);
                    let holes = holes_read(&ends.from);
                    if !holes.is_empty() {
                        // They are in SQLite's cache, where a page that is in use must not be found.
                        ends.from.execute_batch("PRAGMA shrink_memory")?;
                        self.holes.extend(holes);
                    }
                    step
                });
                match step {
                    Ok(StepResult::Done) => {
                        // Drops the connection, so that nothing is written behind the sync.
                        self.stage = Stage::Over;
                        let (to, part, mode) = (self.to.clone(), self.part.take(), self.mode);
                        let (from, holes) = (self.file.clone(), std::mem::take(&mut self.holes));
                        let lost = || io::Error::other("it was made already");
                        let keep = move || {
                            let part = part.ok_or_else(lost)?;
                            check_holes(&part, &from, &holes)?;
                            keep(part, &to, mode)
                        };
                        self.stage = Stage::Sync(std::thread::spawn(keep));
                        Ok(None)
                    }
                    Ok(_) => Ok(None),
                    Err(source) if is_damage(&source) => Err(self.damaged(told(&source))),
                    Err(source) => Err(self.failed(source)),
                }
            }
            Stage::Sync(thread) if !thread.is_finished() => Ok(None),
            Stage::Sync(_) | Stage::Over => {
                let Stage::Sync(thread) = std::mem::replace(&mut self.stage, Stage::Over) else {
                    return Ok(None);
                };
                let panicked = |_| Err(io::Error::other("the thread that syncs it ended"));
                let io = |source: io::Error| match comes_from_damage(&source) {
                    // Of a file without checksums it is seen in the copy only.
                    true => self.damaged(source.to_string()),
                    false => CopyError::Io { to: self.to.clone(), source },
                };
                thread.join().unwrap_or_else(panicked).map(Some).map_err(io)
            }
        }
    }
}

fn flags() -> OpenFlags {
    OpenFlags::default() | OpenFlags::SQLITE_OPEN_NOFOLLOW
}

/// What the pages of this one go to: with checksums if it has them.
pub(super) fn target(from: &Connection, part: &Path) -> rusqlite::Result<Connection> {
    match dhub_checksum::is_summed(from) {
        true => new_part(part),
        false => open_plain_part(part),
    }
}

/// It is synced as a whole at the end, and thrown away if it does not get there. Each page gets its checksum.
pub(super) fn new_part(part: &Path) -> rusqlite::Result<Connection> {
    let db = open_part(part)?;
    dhub_checksum::reserve(&db)?;
    Ok(db)
}

/// One with pages in it already, which have checksums or have none.
pub(super) fn open_part(part: &Path) -> rusqlite::Result<Connection> {
    let db = dhub_checksum::open(part, flags(), None)?;
    db.pragma_update(None, "journal_mode", "OFF")?;
    Ok(db)
}

/// The same without a look at checksums: of a file that has none yet, or whose are wrong.
pub(super) fn open_plain_part(part: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(part, flags())?;
    db.pragma_update(None, "journal_mode", "OFF")?;
    Ok(db)
}

/// Whatever reads as zeros in a copy of `from` is of no use.
pub(super) fn check_holes(part: &Path, from: &Path, holes: &[u32]) -> io::Result<()> {
    if holes.is_empty() {
        return Ok(());
    }
    let copy = File::open(part)?;
    let free = free_pages(&copy, &Default::default());
    let mut body = [0; PAGE_BYTES - RESERVED_BYTES];
    for &page in holes.iter().filter(|page| !free.contains(page)) {
        copy.read_exact_at(&mut body, (u64::from(page) - 1) * PAGE_BYTES as u64)?;
        // It may have been written since.
        if body.iter().all(|&byte| byte == 0) {
            return Err(io::Error::other(Damage { file: from.to_owned(), page }));
        }
    }
    Ok(())
}

/// The redo log of the file is not that of its copy.
fn stand_alone(part: &Path) -> rusqlite::Result<()> {
    let db = open_part(part)?;
    mark::mark_copy(&db)?;
    db.close().map_err(|(_, error)| error)
}

/// Syncs the copy and gives it its name, unless somebody else took that meanwhile.
fn keep(part: Part, to: &Path, mode: Mode) -> io::Result<u64> {
    stand_alone(&part).map_err(io::Error::other)?;
    part.keep(to, mode)
}
