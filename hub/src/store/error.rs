//! Why a file is not opened, and why a hub cannot go on with it.

use std::io;
use std::path::{Path, PathBuf};

use dhub_proto::disk::{DiskError, words};
use dhub_proto::private::PrivateError;
use rusqlite::Connection;

use super::LockError;
use super::absent::no_directory;
use super::damage::{advice, advice_after, told};
use super::disk::{disk_error, is_busy};
use super::files::Gone;
use crate::engine::message::Turn;
use crate::store::damage;
use crate::store::files::alone::Replaced;
use crate::store::files::orphans::Orphans;
use crate::store::files::paths::{names, them, wal_path};
use crate::store::log::Gap;
use crate::store::tables::meta::VERSION;

/// The disk did not take a change. What was acknowledged is safe; nothing more can be.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot read: {}", damage::told(.0))]
    Read(#[from] rusqlite::Error),
    #[error("cannot commit: {}", words(.0))]
    Commit(#[source] io::Error),
    #[error("cannot commit: {}", damage::told(.0))]
    Fold(#[source] rusqlite::Error),
    #[error("cannot commit: {0}")]
    Disk(#[from] DiskError),
    #[error("{0}")]
    Gone(#[from] Gone),
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Private(#[from] PrivateError),
    #[error("{} is of version {found}, this dhub knows {VERSION}; use the newer dhub that wrote it", .file.display())]
    Newer { file: PathBuf, found: i64 },
    #[error("{} is not a file of dhub; it was left as it is", .file.display())]
    Foreign { file: PathBuf },
    #[error("{} is on a network file system ({kind}), where SQLite's log does not work and locks are not to be relied on\n  put it on a local disk, or accept slower commits with --network-file", .file.display())]
    Network { file: PathBuf, kind: &'static str },
    #[error("cannot use {}: page 1 is damaged, or another program wrote the file anew, for its pages had checksums; it was left as it is\n  {}", .file.display(), advice(.file))]
    Header { file: PathBuf },
    #[error("cannot make {}: {}", .file.display(), no_directory(.dir))]
    NoDirectory { file: PathBuf, dir: PathBuf },
    #[error("{} is a link that leads to nothing: {}; name that file itself once, so that it is made, or remove the link", .file.display(), .to.display())]
    Nowhere { file: PathBuf, to: PathBuf },
    #[error("{gone}; nothing was changed\n  {}", advice_after("put it back and start again", .file))]
    Gone { file: PathBuf, gone: Gone },
    #[error(transparent)]
    Orphans(#[from] Orphans),
    #[error(transparent)]
    Replaced(#[from] Replaced),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("{}: {}", .path.display(), words(.source))]
    Io { path: PathBuf, source: io::Error },
    #[error("cannot use {}: {}; it was left as it is\n  {}", .file.display(), told(.source), what_to_do(.file, .source))]
    Unusable { file: PathBuf, source: rusqlite::Error },
    #[error("cannot use {}: {source}; it was left as it is\n  {}", .file.display(), advice(.file))]
    Unreadable { file: PathBuf, source: StoreError },
    #[error("{} is missing or empty, and had what is not in {name} yet, or {name} was replaced by an older one\n  {}", .wal.display(), advice_after("bring it back beside the file", .file), name = .file.display())]
    WalMissing { file: PathBuf, wal: PathBuf },
    #[error("{} is damaged: {why}\n  {}", .wal.display(), advice_after("bring back a sound copy of it", .file))]
    WalDamaged { file: PathBuf, wal: PathBuf, why: String },
    #[error("{} {} missing, and {} what was acknowledged last and is not in {} yet\n  {}", names(.logs), if .logs.len() == 1 { "is" } else { "are" }, if .logs.len() == 1 { "has" } else { "have" }, .file.display(), advice_after(&format!("bring {} back beside the file", them(.logs)), .file))]
    RedoMissing { file: PathBuf, logs: Vec<PathBuf> },
    #[error("{} does not belong to {} as that is now: it is of another file, or of another state of it{}\n  {}", .redo.display(), .file.display(), wal_may_lack(.file), advice_after("bring back what belongs together; if the log is of another file, move it away", .file))]
    RedoForeign { file: PathBuf, redo: PathBuf },
    #[error("{} is damaged, or is no redo log: nothing in it can be read\n  {}", .redo.display(), advice_after("bring back a sound copy of it", .file))]
    RedoUnreadable { file: PathBuf, redo: PathBuf },
    #[error("{} is damaged{}: {gap}\n  {}", .redo.display(), if *.goes_on { String::new() } else { format!(", or {} was replaced by an older one", .file.display()) }, advice_after("bring back a sound copy of it", .file))]
    RedoDamaged {
        file: PathBuf,
        redo: PathBuf,
        gap: Gap,
        /// The first turn that the tables lack is in it.
        goes_on: bool,
    },
    #[error("{} is of an older state of {}: it ends with turn {last}, and the tables with turn {turn}; what was acknowledged after that is in a newer one\n  {}", .redo.display(), .file.display(), advice_after("bring back the newest", .file))]
    RedoOlder { file: PathBuf, redo: PathBuf, last: Turn, turn: Turn },
    #[error("{} was written by another version of dhub; start that version once on the same file and stop it", .redo.display())]
    RedoVersion { redo: PathBuf },
    #[error("{}: turn {turn} was written by another version of dhub; start that version once and stop it", .redo.display())]
    RedoUnknown { redo: PathBuf, turn: Turn },
}

impl OpenError {
    /// If it is the disk that takes nothing, that is all that is wrong.
    pub(super) fn or_disk(self, db: &Connection) -> Self {
        match &self {
            Self::Unusable { file, source } => match disk_error(db, file, source) {
                Some(disk) => disk.into(),
                None => self,
            },
            _ => self,
        }
    }
}

fn what_to_do(file: &Path, error: &rusqlite::Error) -> String {
    match is_busy(error) {
        true => "another program has it open; end that, and do it again".into(),
        false => advice(file),
    }
}

fn wal_may_lack(file: &Path) -> String {
    let wal = wal_path(file);
    if wal.exists() { String::new() } else { format!(", or {} was lost", wal.display()) }
}
