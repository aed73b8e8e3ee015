//! What a file says by itself, as if nothing lay beside it: by that it is told whether its logs are its own.
//!
//! SQLite takes any log that has the name of the file's. Over an older state of the file, or another file, its pages
//! make a mixture of both, of which most can be read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::journal::{journal_path, turn_before};
use super::mark::{Logs, marks, saved_from};
use super::meta_page::value;
use crate::engine::message::Turn;
use crate::store::damage::{advice, advice_after};
use crate::store::files::paths::{logs_of, names, them, wal_path};
use crate::store::log::Records;

/// The file and its logs are of different states of it, or of different files.
#[derive(Debug, thiserror::Error)]
pub enum Replaced {
    #[error("{} is not what {} {are} of: it was replaced by an older state of it, or by another file; by itself it ends with turn {alone}, and what lies beside it with turn {turn}; nothing was changed\n  put back the file that belongs to {them}; if it is lost, {}\n  to go on with this one as it is, without what came later, move {them} away first", .file.display(), names(.logs), advice(.file), are = if .logs.len() == 1 { "is" } else { "are" }, them = them(.logs))]
    File { file: PathBuf, logs: Vec<PathBuf>, alone: Turn, turn: Turn },
    #[error("{} is not of {} as that is now: it is of an older state of it, or of another file; it ends with turn {turn}, and the file by itself with turn {alone}; nothing was changed\n  {}", .wal.display(), .file.display(), what_to_do(.file, .wal, *.is_clean))]
    Log { file: PathBuf, wal: PathBuf, alone: Turn, turn: Turn, is_clean: bool },
}

fn what_to_do(file: &Path, wal: &Path, is_clean: bool) -> String {
    match is_clean {
        true => format!("move {} away: the file has all without it", wal.display()),
        false => advice_after("bring back the log that belongs to the file", file),
    }
}

pub struct Alone {
    is_clean: bool,
    pub turn: Turn,
    /// The redo log that the file had which was gone when this one was saved; 0: none.
    pub saved_from: u64,
    logs: Logs,
    /// The page that all this is on.
    meta: u32,
}

impl Alone {
    /// None: it cannot be read, as when the power went while its log was moved into it. Then it says nothing.
    pub fn read(file: &Path) -> Option<Self> {
        Self::of(&open_immutable(file).ok()?).ok()
    }

    /// What these tables say, whatever lies beside them.
    pub fn of(db: &Connection) -> rusqlite::Result<Self> {
        let (_, is_clean, turn) = marks(db)?;
        let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'meta'";
        let meta = db.query_row(sql, [], |row| row.get(0)).optional()?.unwrap_or(0);
        Ok(Self { is_clean, turn, saved_from: saved_from(db)?, logs: Logs::of(db)?, meta })
    }

    /// The turn that this journal goes back to, if the file never had it.
    pub fn lacks_turn_of(&self, journal: impl Read + Seek) -> Option<Turn> {
        turn_before(journal, self.meta).filter(|turn| *turn > self.turn)
    }

    /// Before SQLite puts the pages of a journal back into the file.
    pub fn fits_journal(&self, file: &Path) -> Result<(), Replaced> {
        // What is there and cannot be read, SQLite cannot read either.
        let Ok(journal) = File::open(journal_path(file)) else { return Ok(()) };
        let Some(turn) = self.lacks_turn_of(BufReader::new(journal)) else { return Ok(()) };
        let (file, mut logs) = (file.to_owned(), logs_of(file));
        logs.insert(0, journal_path(&file));
        Err(Replaced::File { file, logs, alone: self.turn, turn })
    }

    /// Is SQLite's log, with which the tables are as here, the file's own?
    pub fn has_log_of(&self, db: &Connection) -> bool {
        // What cannot be read is damaged, and others say that.
        Logs::of(db).map_or(true, |logs| logs.go_on_from(self.logs))
    }

    /// Are these pages, newer than those of the file, of its own log? With the turn, if they are not.
    pub fn has_log_with(&self, pages: &BTreeMap<u32, &[u8]>) -> Result<(), Turn> {
        let found = pages.get(&self.meta).and_then(|page| Some((page, Logs::on_page(page)?)));
        match found {
            Some((page, logs)) if !logs.go_on_from(self.logs) => {
                Err(value(page, "turn").unwrap_or(0))
            }
            _ => Ok(()),
        }
    }

    /// Before SQLite looks at them: of what it makes of a mixture, not even that may be readable.
    pub fn fits_pages(&self, pages: &BTreeMap<u32, &[u8]>, file: &Path) -> Result<(), Replaced> {
        self.has_log_with(pages).map_err(|turn| self.replaced(file, turn))
    }

    /// With SQLite's log, if it can be read so, and before anything is written.
    pub fn fits(&self, db: &Connection, file: &Path) -> Result<(), Replaced> {
        match self.has_log_of(db) {
            true => Ok(()),
            false => Err(self.replaced(file, marks(db).map_or(0, |(_, _, turn)| turn))),
        }
    }

    /// Beside a log that ends with this turn.
    fn replaced(&self, file: &Path, turn: Turn) -> Replaced {
        let (file, logs) = (file.to_owned(), logs_of(file));
        let (alone, is_clean) = (self.turn, self.is_clean);
        match turn < alone {
            true => Replaced::Log { wal: wal_path(&file), file, alone, turn, is_clean },
            false => Replaced::File { file, logs, alone, turn },
        }
    }
}

/// After a clean stop the redo log has nothing that the tables, which end with `turn`, do not have.
pub fn fits_clean(file: &Path, turn: Turn, records: &Records) -> Result<(), Replaced> {
    let last = records.last();
    if last <= turn {
        return Ok(());
    }
    let (file, logs) = (file.to_owned(), logs_of(file));
    Err(Replaced::File { file, logs, alone: turn, turn: last })
}

/// To read; takes no lock and leaves nothing behind. A page that is not as it was written says nothing.
fn open_immutable(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let mut uri = "file:".to_owned();
    for byte in file.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => {
                uri.push(char::from(*byte));
            }
            byte => uri += &format!("%{byte:02x}"),
        }
    }
    dhub_checksum::open(Path::new(&(uri + "?immutable=1")), flags, None)
}
