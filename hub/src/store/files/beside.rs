//! Does what lies beside a file fit it? SQLite takes of its log what it can read and is silent about
//! the rest, and a start that went on from there would blame, or lose, what is sound.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::alone::Alone;
use super::wal::{Wal, page_size};
use crate::engine::message::Turn;
use crate::store::check::problems;
use crate::store::log::Records;
use crate::store::open::{Access, OpenError, redo_path, wal_path};
use crate::store::saved::saved_beside;

/// What belongs to a file that is not there, or has nothing in it: a hub was never that young.
#[derive(Debug, thiserror::Error)]
#[error("{} is {}, but {}", .file.display(), if *.is_missing { "missing" } else { "empty" }, self.what_to_do())]
pub struct Orphans {
    file: PathBuf,
    is_missing: bool,
    logs: Vec<PathBuf>,
    /// What hubs saved when it was gone, the last at the end.
    saved: Vec<PathBuf>,
}

impl Orphans {
    pub fn of(file: &Path) -> Option<Self> {
        let bytes = |path: &Path| fs::symlink_metadata(path).map(|meta| meta.len());
        let is_missing = match bytes(file) {
            Ok(1..) => return None,
            found => found.is_err(),
        };
        let (logs, saved) = (logs_of(file), saved_beside(file));
        let is_one = !saved.is_empty() || !logs.is_empty();
        is_one.then(|| Self { file: file.to_owned(), is_missing, logs, saved })
    }

    fn what_to_do(&self) -> String {
        let logs = names(&self.logs);
        let (are, them) = (if self.logs.len() == 1 { "is" } else { "are" }, them(&self.logs));
        match self.saved.split_last() {
            Some((saved, older)) => {
                let quoted = dhub_proto::shell::file(saved);
                let (rest, saved) = (older.iter().chain(&self.logs), saved.display());
                let rest: String = rest.map(|log| format!(" and {}", log.display())).collect();
                let last = match older.len() {
                    0 => String::new(),
                    _ => format!(", the last of {}", self.saved.len()),
                };
                format!(
                    "{saved} is there, in which a hub saved what it had when the file was gone{last}\n  go on with that: dhub -f {quoted}\n  to begin a new hub without tasks, move {saved}{rest} away first"
                )
            }
            None => format!(
                "{logs} {are} there, and what was acknowledged is in {them}\n  put the file back; if it is lost, {}\n  to begin a new hub without tasks, move {them} away first",
                rescue_it(&self.file)
            ),
        }
    }
}

/// What saves most of what there is.
fn rescue_it(file: &Path) -> String {
    format!(
        "save what can be read to a new file, with a list of what cannot: {}",
        dhub_proto::shell::rescue(file)
    )
}

/// The logs beside a file that have something in them.
pub fn logs_of(file: &Path) -> Vec<PathBuf> {
    // What is no file is told of when it is to be opened.
    let is_one = |path: &PathBuf| {
        fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() > 0)
    };
    [wal_path(file), redo_path(file)].into_iter().filter(is_one).collect()
}

pub fn them(paths: &[PathBuf]) -> &'static str {
    if paths.len() == 1 { "it" } else { "them" }
}

pub fn names(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    names.join(" and ")
}

/// SQLite's log, as a start finds it.
pub struct Found {
    file: PathBuf,
    /// Nothing is there, where a hub that died leaves one; or nothing is in it.
    is_missing: bool,
    is_empty: bool,
    /// What the tables have without it.
    alone: Turn,
}

impl Found {
    /// Before SQLite looks at it. Of a file with another kind of journal, nothing.
    pub fn look(
        file: &Path,
        access: Access,
        alone: Option<&Alone>,
    ) -> Result<Option<Self>, OpenError> {
        if access.network || access.vfs.is_some() {
            return Ok(None);
        }
        let path = wal_path(file);
        let io = |source| OpenError::Io { path: path.clone(), source };
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            bytes => Some(bytes.map_err(io)?).filter(|bytes| !bytes.is_empty()),
        };
        let Some(bytes) = bytes else {
            let (file, is_missing) = (file.to_owned(), !path.exists());
            return Ok(Some(Self { file, is_missing, is_empty: true, alone: 0 }));
        };
        let wal = size_of_pages(file).and_then(|size| Wal::read(bytes, size));
        if wal.as_ref().is_some_and(Wal::is_damaged) {
            let why = "what cannot be read was followed by more".into();
            return Err(OpenError::WalDamaged { file: file.to_owned(), wal: path, why });
        }
        if let (Some(wal), Some(alone)) = (&wal, alone) {
            alone.fits_pages(&wal.pages().0, file)?;
        }
        let alone = alone.map_or(0, |alone| alone.turn);
        Ok(Some(Self { file: file.to_owned(), is_missing: false, is_empty: false, alone }))
    }

    /// With what the tables say now: are they as they were? `records` are of the file's redo log.
    pub fn fits(self, db: &Connection, turn: Turn, records: &Records) -> Result<(), OpenError> {
        let (file, wal) = (self.file.clone(), wal_path(&self.file));
        let noted = self.alone.max(records.folded);
        if turn >= noted && !self.is_missing {
            return Ok(());
        }
        if !self.is_empty {
            let why = format!("turn {noted} was in it, and what can be read ends with turn {turn}");
            return Err(OpenError::WalDamaged { file, wal, why });
        }
        let unusable = |source| OpenError::Unusable { file: file.clone(), source };
        // Somebody else may have moved it into the file; then that is whole.
        if turn >= noted && problems(db).map_err(unusable)?.is_empty() {
            tracing::info!("{} is missing; {} has all of it", wal.display(), file.display());
            return Ok(());
        }
        if self.is_missing {
            self.forget();
        }
        Err(OpenError::WalMissing { file, wal })
    }

    /// Is it missed? A hub that had one leaves it, whatever is in it.
    pub fn is_missing(&self) -> bool {
        self.is_missing
    }

    /// Takes away what SQLite has made in its place just now: left there, the next start would find nothing missing.
    pub fn forget(self) -> PathBuf {
        let wal = wal_path(&self.file);
        if fs::metadata(&wal).is_ok_and(|meta| meta.len() == 0) {
            let _ = fs::remove_file(&wal);
        }
        wal
    }
}

/// The size of the pages, as the file says it.
fn size_of_pages(file: &Path) -> Option<usize> {
    let mut head = [0; 100];
    io::Read::read_exact(&mut fs::File::open(file).ok()?, &mut head).ok()?;
    page_size(&head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_hubs_saved_are_to_be_moved_away_for_a_hub_without_tasks() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("run.db");
        let saved = ["1", "2"].map(|time| dir.path().join(format!("run.db.saved-{time}")));
        let shown = saved.each_ref().map(|path| path.display().to_string());
        fs::write(&saved[1], "x").expect("a file");
        let said = Orphans::of(&file).expect("one").to_string();
        assert!(said.contains("when the file was gone\n"), "{said}");
        fs::write(&saved[0], "x").expect("a file");
        let said = Orphans::of(&file).expect("two").to_string();
        assert!(said.contains("when the file was gone, the last of 2\n"), "{said}");
        let away = format!("move {} and {} away first", shown[1], shown[0]);
        assert!(said.ends_with(&away), "{said}");
        for path in &saved {
            fs::remove_file(path).expect("a file");
        }
        assert!(Orphans::of(&file).is_none());
    }
}
