//! What hubs saved when their file was gone, as it lies beside that file or its place.

use std::path::{Path, PathBuf};
use std::{fmt, fs};

use dhub_proto::private;

use crate::engine::message::Turn;
use crate::store::files::alone::Alone;
use crate::store::files::part::parent;

/// In the names of such files, between that of the file and the time.
pub const SAVED: &str = ".saved-";

/// Those of this file, by their times.
pub fn saved_beside(file: &Path) -> Vec<PathBuf> {
    let mut first = file.file_name().unwrap_or_default().to_owned();
    first.push(SAVED);
    let first = first.as_encoded_bytes();
    let names = fs::read_dir(parent(file)).into_iter().flatten().flatten();
    let named = names.filter(|it| it.file_name().as_encoded_bytes().starts_with(first));
    // What lies beside one in turn is none.
    let is_log = |path: &PathBuf| {
        let ends = ["-wal", "-journal", ".redo", ".lock", ".checksums"];
        ends.iter().any(|end| path.as_os_str().as_encoded_bytes().ends_with(end.as_bytes()))
    };
    let paths = named.map(|it| it.path()).filter(|path| !is_log(path) && path.is_file());
    let mut paths: Vec<_> = paths.collect();
    paths.sort();
    paths
}

/// One that goes on from where the file ends; not of another hub, if it can be told. Nobody need hear of it any more once
/// the file has come as far by itself, or is that of a hub that was begun anew.
///
/// One that ends as the file does is told of while the file has the redo log of then: somebody may have written to it.
#[derive(Debug)]
pub struct Newer {
    path: PathBuf,
    turn: Turn,
    file: PathBuf,
    file_turn: Turn,
}

impl Newer {
    /// Than a file with this redo log (0: none yet) that ends with this turn.
    pub fn than(file: &Path, id: u64, file_turn: Turn) -> Option<Self> {
        let newer = saved_beside(file).into_iter().filter_map(|path| {
            // It is read as a file of the hub's own.
            private::look(&path, None).ok()??;
            let saved = Alone::read(&path)?;
            let is_own = [saved.saved_from, 0].contains(&id);
            // A file that was closed has none, and then this is no more said.
            let is_as_far = saved.turn == file_turn && id != 0;
            (is_own && (saved.turn > file_turn || is_as_far)).then_some((saved.turn, path))
        });
        let (turn, path) = newer.max()?;
        Some(Self { path, turn, file: file.to_owned(), file_turn })
    }
}

impl fmt::Display for Newer {
    fn fmt(&self, text: &mut fmt::Formatter) -> fmt::Result {
        let Self { path, turn, file, file_turn } = self;
        let (path, file) = (path.display(), file.display());
        if turn == file_turn {
            return write!(
                text,
                "{path} ends with turn {turn} as {file} does: a hub saved it when {file} was no more its own; if somebody wrote to {file}, go on with the saved one, else remove that"
            );
        }
        write!(
            text,
            "{path} is newer: a hub saved it when {file} was gone, with all up to turn {turn}; {file} ends with turn {file_turn}; go on with it, or move it away"
        )
    }
}
