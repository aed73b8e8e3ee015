//! Names of files in commands that people are told to type.

use std::path::{Path, PathBuf};

/// One word of a shell, whatever is in it.
pub fn word(text: &str) -> String {
    // A zero byte, which no word can have, is left to the reader.
    shlex::try_quote(text).map_or_else(|_| text.to_owned(), |quoted| quoted.into_owned())
}

/// The name of a task as the last argument: a name with a dash is no option.
pub fn name(text: &str) -> String {
    names(&[text])
}

/// Names of tasks as the last arguments.
pub fn names(names: &[&str]) -> String {
    let dashes = names.iter().any(|name| name.starts_with('-')).then(|| "--".to_owned());
    let words = dashes.into_iter().chain(names.iter().map(|name| word(name)));
    words.collect::<Vec<_>>().join(" ")
}

/// A file as an argument: a name with a dash is no option.
pub fn file(path: impl AsRef<Path>) -> String {
    let text = path.as_ref().display().to_string();
    word(&if text.starts_with('-') { format!("./{text}") } else { text })
}

/// The file with this at the end of its name, or with a number too if something has that name.
pub fn free_name(file: impl AsRef<Path>, end: &str) -> PathBuf {
    let named = |more: &str| {
        let mut name = file.as_ref().as_os_str().to_owned();
        name.push(format!("{end}{more}"));
        PathBuf::from(name)
    };
    let mut names = std::iter::once(named("")).chain((2..=99).map(|n| named(&format!("-{n}"))));
    let is_free = |path: &PathBuf| path.symlink_metadata().is_err();
    names.find(is_free).unwrap_or_else(|| named(""))
}

/// What saves most of a damaged file of a hub.
pub fn rescue(file_of_hub: impl AsRef<Path>) -> String {
    let to = free_name(&file_of_hub, ".rescued");
    format!("dhub rescue {} {}", file(&file_of_hub), file(to))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_reads_each_name_as_one_word_that_is_no_option() {
        let names = ["run.db", "my run.db", "it's", "-f", "a\"b$c", "`x`", "a;b", "*", "~", "ünï"];
        for name in names {
            let script = format!("for it in {}; do printf '%s\\n' \"$it\"; done", file(name));
            let output = Command::new("sh").args(["-c", &script]).output().expect("a shell");
            let read = String::from_utf8(output.stdout).expect("UTF-8");
            let name = if name == "-f" { "./-f" } else { name };
            assert_eq!(read, format!("{name}\n"), "{script}");
        }
        assert_eq!(file("/scratch/ada/run.db"), "/scratch/ada/run.db", "as it is");
    }

    #[test]
    fn a_task_that_is_called_like_an_option_is_none() {
        assert_eq!(name("a b"), "'a b'");
        assert_eq!(name("a-b"), "a-b");
        assert_eq!(name("--failed"), "-- --failed");
        assert_eq!(name("-f it"), "-- '-f it'");
        assert_eq!(names(&["a", "-b"]), "-- a -b");
    }

    #[test]
    fn what_is_proposed_is_not_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let run = dir.path().join("my run.db");
        let there = dir.path().display();
        assert_eq!(
            rescue(&run),
            format!("dhub rescue '{there}/my run.db' '{there}/my run.db.rescued'")
        );
        std::fs::write(dir.path().join("my run.db.rescued"), "").expect("a file");
        assert!(rescue(&run).ends_with("/my run.db.rescued-2'"));
    }
}
