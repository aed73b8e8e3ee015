//! Why a hub ends otherwise than it should, and with which code.

use std::io;
use std::path::{Path, PathBuf};

use dhub::net::access::AccessFailure;
use dhub::net::error::HomeError;
use dhub::net::socket::BindError;
use dhub::server::Fatal;
use dhub::store::{
    CopyError, LockError, OpenError, Orphans, RescueError, StoreError, advice, fault,
};
use dhub_proto::disk::words;
use dhub_proto::exit::Exit;
use dhub_proto::private::PrivateError;
use dhub_proto::shell;

use crate::process::FILES_MIN;

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Access(#[from] AccessFailure),
    #[error("this libzmq has no CURVE, or is older than 4.3.5")]
    NoCurve,
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Dir(#[from] PrivateError),
    #[error("{fatal}{}", .file.as_ref().map_or(String::new(), |file| fatal.advice(file)))]
    Fatal {
        file: Option<PathBuf>,
        #[source]
        fatal: Fatal,
    },
    #[error("cannot start in memory: {0}")]
    Memory(rusqlite::Error),
    #[error("{source}{}", advice_if(source.is_damage(), file))]
    Copy { file: PathBuf, source: CopyError },
    #[error(transparent)]
    Rescue(#[from] RescueError),
    #[error("not all of {file} could be saved: what is lost or in doubt is listed")]
    Incomplete { file: String },
    #[error("{file} does not exist")]
    Absent { file: String },
    #[error(transparent)]
    Orphans(#[from] Orphans),
    #[error("{file} is empty, which the file of a hub never is{}: what was in it is gone\n  put the file back, or go on from a backup; to begin a new hub without tasks, remove it first: rm {}", .place.as_ref().map_or(String::new(), |place| format!(", and a hub has run on it ({})", place.display())), shell::file(file))]
    Empty { file: String, place: Option<PathBuf> },
    #[error("{file} is not sound:\n  {}\n  {}", .problems.join("\n  "), if *.is_mended { format!("a start mends it, in the background, and nothing is lost: dhub -f {}", shell::file(file)) } else { advice(file.as_ref()) })]
    Unsound { file: String, problems: Vec<String>, is_mended: bool },
    #[error("cannot read {file}: {source}{}", advice_if(source.is_damage(), file.as_ref()))]
    Restore { file: String, source: StoreError },
    #[error(
        "this process may open {limit} files only (ulimit -Hn); a hub needs {FILES_MIN}, and one more for each connection"
    )]
    Files { limit: u64 },
    #[error("cannot write to standard output: {}", words(.0))]
    Output(#[source] io::Error),
    #[error("the system refused {what}: {source}")]
    System { what: &'static str, source: std::io::Error },
}

impl Failure {
    pub fn exit(&self) -> Exit {
        match self {
            Failure::Fatal { fatal: Fatal::Gone(_), .. }
            | Failure::Open(OpenError::Gone { .. })
            | Failure::Restore { source: StoreError::Gone(_), .. } => Exit::FileGone,
            // Wherever it was met.
            _ if fault(self).is_some() => Exit::Disk,
            Failure::Access(failure) => failure.exit(),
            Failure::Open(OpenError::Lock(LockError::InUse { .. })) => Exit::FileInUse,
            Failure::Open(OpenError::Newer { .. }) => Exit::FileNewer,
            Failure::Open(OpenError::Network { .. }) => Exit::NetworkFile,
            Failure::Open(_)
            | Failure::Restore { .. }
            | Failure::Memory(_)
            | Failure::Absent { .. }
            | Failure::Orphans(_)
            | Failure::Empty { .. }
            | Failure::Unsound { .. } => Exit::FileUnusable,
            Failure::Copy { source, .. } if source.is_damage() => Exit::FileUnusable,
            Failure::Copy { .. } => Exit::System,
            Failure::Incomplete { .. } => Exit::Incomplete,
            Failure::Rescue(failure) => match failure {
                RescueError::Lock(_) => Exit::FileInUse,
                RescueError::Newer { .. } => Exit::FileNewer,
                RescueError::Exists(_) | RescueError::Io { .. } | RescueError::Write { .. } => {
                    Exit::System
                }
                _ => Exit::FileUnusable,
            },
            Failure::Bind(_) | Failure::Dir(_) => Exit::Bind,
            Failure::Home(_) => Exit::Keys,
            Failure::NoCurve | Failure::Output(_) => Exit::System,
            Failure::Fatal { fatal: Fatal::Store(error), .. } => match error.is_damage() {
                true => Exit::FileUnusable,
                false => Exit::Disk,
            },
            Failure::Fatal { fatal: Fatal::Socket(_), .. }
            | Failure::System { .. }
            | Failure::Files { .. } => Exit::System,
        }
    }
}

pub fn advice_if(is_damage: bool, file: &Path) -> String {
    if is_damage { format!("\n  {}", advice(file)) } else { String::new() }
}
