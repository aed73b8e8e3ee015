//! When the files of a running hub are gone: all that it has goes to a new file.
//!
//! The connection still reads what it has open, and keeps the newest pages in memory; the turns that are not folded
//! are in memory as well. The new file is beside the old one, or where there is room for it.

use std::io;
use std::path::{Path, PathBuf};

use dhub_checksum::{allow_holes, holes_read};
use dhub_proto::private::Mode;
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::Store;
use super::check::problems;
use super::copy::{check_holes, open_part, target};
use super::disk::words;
use super::files::{Files, Gone};
use super::saved::SAVED;
use crate::engine::scheduler::State;
use crate::store::files::mark::{mark_copy, mark_saved, marks};
use crate::store::files::part::Part;
use crate::store::tables::fold::{Batch, fold};

/// Pages copied at a time.
const PAGES: i32 = 4096;
/// Names tried in one directory.
const NAMES_MAX: usize = 100;

/// What became of a hub whose files are gone.
#[derive(Debug)]
pub struct Saved {
    pub gone: Gone,
    /// The file that is gone, by its real name.
    pub file: PathBuf,
    /// The new file, or why there is none, a line for each place that was tried.
    pub to: Result<PathBuf, Vec<String>>,
}

#[derive(Debug, thiserror::Error)]
enum SaveError {
    #[error("{}", words(.0))]
    Io(#[from] io::Error),
    #[error("{}", words(.0))]
    Sqlite(#[from] rusqlite::Error),
    #[error("what is left of the file is not sound: {0}")]
    Unsound(String),
}

impl Store {
    /// If files of this hub are gone or cut: saves all that was committed. None: they are as they should be.
    pub fn save(&mut self) -> Option<Saved> {
        let files = self.files.clone()?;
        let gone = files.look().err()?;
        // This may take a while; what came of it is told at the end.
        tracing::error!(
            "nothing is acknowledged any more, as the hub's files are not its own; what there is goes to a new file"
        );
        // Whatever has its name now is not to be touched.
        if let Some(redo) = self.redo.take() {
            redo.leave();
        }
        // If the thread that folds failed, it gave the connection back all the same.
        let _ = self.db();
        let mut batches = std::mem::take(&mut *self.unfolded.borrow_mut());
        batches.extend(self.behind.drain(..));
        let saved = self.save_somewhere(&files, &batches, &gone);
        Some(Saved { gone, file: files.real().to_owned(), to: saved })
    }

    fn save_somewhere(
        &self,
        files: &Files,
        batches: &[Batch],
        gone: &Gone,
    ) -> Result<PathBuf, Vec<String>> {
        let own = files.dir().map(|dir| (dir, self.mode));
        let others = [Some(std::env::temp_dir()), std::env::home_dir()];
        // Nobody but the hub's user has anything to look for there.
        let others = others.into_iter().flatten().map(|dir| (dir, Mode::PRIVATE));
        let mut why = Vec::new();
        for (dir, mode) in own.into_iter().chain(others) {
            let saved = free_name(&dir, files.real())
                .map_err(SaveError::from)
                .and_then(|to| self.save_to(&to, mode, files, batches, gone).map(|()| to));
            match saved {
                Ok(to) => return Ok(to),
                Err(error) => why.push(format!("{}: {error}", dir.display())),
            }
        }
        Err(why)
    }

    fn save_to(
        &self,
        to: &Path,
        mode: Mode,
        files: &Files,
        batches: &[Batch],
        gone: &Gone,
    ) -> Result<(), SaveError> {
        let mut part = Part::new(to)?;
        match self.db.borrow().as_deref() {
            Some(db) => copy(db, files.real(), &part)?,
            // It was closed, and then it was gone: SQLite's log is in it already.
            None => part.fill(&mut files.reopen()?)?,
        }
        let db = open_part(&part)?;
        let (_, _, turn) = marks(&db)?;
        let rest = batches.iter().position(|batch| batch.turn > turn).unwrap_or(batches.len());
        fold(&db, &batches[rest..])?;
        let (id, ..) = marks(&db)?;
        mark_copy(&db)?;
        mark_saved(&db, id)?;
        if gone.how.has_changed() || files.is_changed() {
            self.is_whole(&db)?;
        }
        db.close().map_err(|(_, error)| error)?;
        part.keep(to, mode)?;
        Ok(())
    }

    /// Of a file that was cut or written over, pages that are not in memory are lost.
    fn is_whole(&self, db: &Connection) -> Result<(), SaveError> {
        if let Some(problem) = problems(db)?.into_iter().next() {
            return Err(SaveError::Unsound(problem));
        }
        let sql = "SELECT count(*) FROM tasks WHERE state <> ?1";
        let found: i64 = db.query_row(sql, [State::Missing as i64], |row| row.get(0))?;
        match self.totals.total().saturating_sub(found as u64) {
            0 => Ok(()),
            lost => Err(SaveError::Unsound(format!("{lost} tasks are missing"))),
        }
    }
}

fn copy(from: &Connection, real: &Path, part: &Part) -> Result<(), SaveError> {
    let mut to = target(from, part)?;
    to.pragma_update(None, "synchronous", "OFF")?;
    allow_holes(from, true);
    let pages = Backup::new(from, &mut to)?;
    while pages.step(PAGES)? != StepResult::Done {}
    drop(pages);
    to.close().map_err(|(_, error)| error)?;
    Ok(check_holes(part, real, &holes_read(from))?)
}

/// A name with the time in it that nothing has yet.
fn free_name(dir: &Path, real: &Path) -> io::Result<PathBuf> {
    let name = real.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let now = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S");
    let first = format!("{name}{SAVED}{now}");
    let names = (2..=NAMES_MAX).map(|n| format!("{first}-{n}"));
    let mut paths = std::iter::once(first.clone()).chain(names).map(|name| dir.join(name));
    let free = paths.find(|path| path.symlink_metadata().is_err());
    free.ok_or_else(|| io::ErrorKind::AlreadyExists.into())
}
