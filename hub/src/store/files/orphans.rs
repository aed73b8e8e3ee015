//! Logs, or what a hub saved, where the file itself is missing or empty.

use std::fs;
use std::path::{Path, PathBuf};

use super::paths::{logs_of, names, them};
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
