//! Why there is no place for a file in a directory.

use std::path::Path;
use std::{fs, io};

use dhub_proto::disk::words;
use dhub_proto::shell;

/// What is wrong with a directory that is none, and what mends it. `mkdir -p` makes nothing in place of a link or a file.
pub fn no_directory(dir: &Path) -> String {
    let all: Vec<_> = dir.ancestors().filter(|it| !it.as_os_str().is_empty()).collect();
    let first = all.into_iter().rev().find(|it| !it.is_dir()).unwrap_or(dir);
    let name = first.display();
    let why = match (fs::metadata(first), fs::read_link(first)) {
        (Ok(_), _) => format!(": {name} is a file"),
        (Err(error), _) if error.kind() != io::ErrorKind::NotFound => {
            format!(": {name}: {}", words(&error))
        }
        (Err(_), Ok(to)) => {
            let to = to.display();
            format!(
                ": {name} is a link that leads to nothing, {to}\n  make that, or remove the link"
            )
        }
        (Err(_), Err(_)) => format!("\n  make it first: mkdir -p {}", shell::file(dir)),
    };
    format!("there is no directory {}{why}", dir.display())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_in_the_way_is_named_and_nothing_is_advised_that_fails() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name);
        fs::write(path("file"), "").expect("a file");
        symlink(path("nowhere"), path("link")).expect("a link");
        symlink(path("loop"), path("loop")).expect("a link");
        for (below, said) in [
            ("file", "/file is a file"),
            ("file/below", "/file is a file"),
            ("link", "/link is a link that leads to nothing, "),
            ("link/below", "/link is a link that leads to nothing, "),
            ("loop/below", "/loop: too many levels of symbolic links"),
            ("new/below", "\n  make it first: mkdir -p "),
        ] {
            let why = no_directory(&path(below));
            assert!(why.starts_with(&format!("there is no directory {}", path(below).display())));
            assert!(why.contains(said), "{why}");
            assert_eq!(why.contains("mkdir"), below == "new/below", "{why}");
        }
    }
}
