//! Does what lies beside a file fit it? SQLite takes of its log what it can read and is silent about
//! the rest, and a start that went on from there would blame, or lose, what is sound.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::check::problems;
use super::mark::marks;
use super::open::{Access, OpenError, redo_path, wal_path};
use super::redo::Records;
use super::wal::{Wal, page_size};
use crate::scheduler::message::Turn;

/// What belongs to a file that is not there, or has nothing in it: a hub was never that young.
#[derive(Debug, thiserror::Error)]
#[error("{} is {}, but {} {} there, and what was acknowledged is in {}\n  put the file back; if it is lost, save what can be read to a new file, with a list of what cannot: {}\n  for a hub without tasks move {} away first", .file.display(), if *.is_missing { "missing" } else { "empty" }, names(.logs), if .logs.len() == 1 { "is" } else { "are" }, them(.logs), dhub_proto::shell::rescue(.file), them(.logs))]
pub struct Orphans {
    file: PathBuf,
    is_missing: bool,
    logs: Vec<PathBuf>,
}

impl Orphans {
    pub fn of(file: &Path) -> Option<Self> {
        let bytes = |path: &Path| fs::symlink_metadata(path).map(|meta| meta.len());
        let is_missing = match bytes(file) {
            Ok(1..) => return None,
            found => found.is_err(),
        };
        let logs = [wal_path(file), redo_path(file)].into_iter();
        // What is no file is told of when it is to be opened.
        let is_one = |path: &PathBuf| {
            fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() > 0)
        };
        let logs: Vec<_> = logs.filter(is_one).collect();
        (!logs.is_empty()).then(|| Self { file: file.to_owned(), is_missing, logs })
    }
}

fn them(paths: &[PathBuf]) -> &'static str {
    if paths.len() == 1 { "it" } else { "them" }
}

fn names(paths: &[PathBuf]) -> String {
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
    pub fn look(file: &Path, access: Access) -> Result<Option<Self>, OpenError> {
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
        let (size, alone) = alone(file).unwrap_or_default();
        if size > 0 && Wal::read(bytes, size).is_some_and(|wal| wal.is_damaged()) {
            let why = "what cannot be read was followed by more".into();
            return Err(OpenError::WalDamaged { file: file.to_owned(), wal: path, why });
        }
        Ok(Some(Self { file: file.to_owned(), is_missing: false, is_empty: false, alone }))
    }

    /// With what the tables say now: are they as they were? `records` are of the file's redo log.
    pub fn fits(&self, db: &Connection, turn: Turn, records: &Records) -> Result<(), OpenError> {
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
        if self.is_missing && fs::metadata(&wal).is_ok_and(|meta| meta.len() == 0) {
            // SQLite made it just now. Left there, the next start would find nothing missing.
            let _ = fs::remove_file(&wal);
        }
        Err(OpenError::WalMissing { file, wal })
    }
}

/// The size of the pages and the last turn of a file without its log.
fn alone(file: &Path) -> Option<(usize, Turn)> {
    let mut head = [0; 100];
    io::Read::read_exact(&mut fs::File::open(file).ok()?, &mut head).ok()?;
    let size = page_size(&head)?;
    let turn = open_immutable(file).and_then(|db| marks(&db)).map_or(0, |(_, _, turn)| turn);
    Some((size, turn))
}

/// To read, as if nothing lay beside it; takes no lock and leaves nothing behind. A page that is not as it was
/// written says nothing.
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
