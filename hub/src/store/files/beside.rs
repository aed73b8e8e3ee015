//! Does what lies beside a file fit it? SQLite takes of its log what it can read and is silent about
//! the rest, and a start that went on from there would blame, or lose, what is sound.

use std::path::{Path, PathBuf};
use std::{fs, io};

use rusqlite::Connection;

use super::alone::Alone;
use super::wal::{Wal, page_size};
use crate::engine::message::Turn;
use crate::store::access::Access;
use crate::store::check::problems;
use crate::store::error::OpenError;
use crate::store::files::paths::wal_path;
use crate::store::log::Records;

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
