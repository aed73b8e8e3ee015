//! The shell that runs what people wrote for one.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::ProgramError;
use super::find::find;

const SH: &str = "/bin/sh";
/// They read a script as sh does, and some of them more than it.
const LIKE_SH: [&str; 9] = ["sh", "bash", "dash", "ash", "ksh", "ksh93", "mksh", "lksh", "yash"];
/// They know what `OF_BASH` has, and what it means there.
const LIKE_BASH: [&str; 3] = ["bash", "zsh", "ksh93"];
/// What sh takes for something else, or refuses.
const OF_BASH: [&str; 5] = ["&>", "<<<", "<(", ">(", "[["];

#[derive(Debug)]
pub struct Shell {
    file: PathBuf,
}

impl Shell {
    /// The one that was asked for, else the person's own if it is like sh, else sh.
    pub fn choose(
        asked: Option<&OsStr>,
        own: Option<OsString>,
        dir: &Path,
    ) -> Result<Self, ProgramError> {
        if let Some(asked) = asked {
            return Ok(Self { file: find(asked, dir)? });
        }
        let is_like_sh = |file: &PathBuf| LIKE_SH.contains(&name(file)) && file.is_absolute();
        let own = own.map(PathBuf::from).filter(is_like_sh).filter(|file| file.exists());
        Ok(Self { file: own.unwrap_or_else(|| SH.into()) })
    }

    pub fn command(&self, script: &str) -> Command {
        let mut command = Command::new(&self.file);
        command.arg("-c");
        // A script that begins with a dash is no option; not each program that is no such shell knows the word.
        if LIKE_SH.contains(&self.name()) || self.name() == "zsh" {
            command.arg("--");
        }
        command.arg(script);
        command
    }

    /// What stands in this script that this shell does not know.
    pub fn lacks(&self, script: &str) -> Option<&'static str> {
        if LIKE_BASH.contains(&name(&self.file)) {
            return None;
        }
        OF_BASH.into_iter().find(|word| has_unquoted(script, word))
    }

    pub fn name(&self) -> &str {
        name(&self.file)
    }
}

fn name(file: &Path) -> &str {
    file.file_name().and_then(OsStr::to_str).unwrap_or_default()
}

/// Whether it stands there outside of quotes. `[[` has to be a word.
fn has_unquoted(script: &str, word: &str) -> bool {
    let mut quote = None;
    let (mut chars, mut before) = (script.char_indices(), ' ');
    while let Some((at, c)) = chars.next() {
        let follows = || script[at + word.len()..].starts_with([' ', '\t']);
        let is_word = || !word.starts_with('[') || before.is_whitespace() && follows();
        match quote {
            None if script[at..].starts_with(word) && is_word() => return true,
            Some('\'') | None if c == '\'' => quote = quote.xor(Some(c)),
            Some('"') | None if c == '"' => quote = quote.xor(Some(c)),
            Some('\'') => {}
            _ if c == '\\' => drop(chars.next()),
            _ => {}
        }
        before = c;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(asked: Option<&str>, own: Option<&str>) -> Result<Shell, ProgramError> {
        Shell::choose(asked.map(OsStr::new), own.map(OsString::from), Path::new("/"))
    }

    #[test]
    fn a_person_s_shell_is_taken_if_it_is_like_sh() {
        let name = |asked, own| choose(asked, own).unwrap().name().to_owned();
        assert_eq!(name(None, Some("/bin/bash")), "bash");
        for own in [None, Some("/bin/tcsh"), Some("bash"), Some("/none/bash"), Some("")] {
            assert_eq!(name(None, own), "sh", "{own:?}");
        }
        assert_eq!(name(Some("bash"), None), "bash");
        assert_eq!(
            choose(Some("no-such-shell"), None).unwrap_err(),
            ProgramError::NotInPath("no-such-shell".into())
        );
    }

    #[test]
    fn what_sh_takes_otherwise_is_found_outside_of_quotes() {
        let lacks = |script: &str| choose(Some("sh"), None).unwrap().lacks(script);
        assert_eq!(lacks("./q &> log"), Some("&>"));
        assert_eq!(lacks("echo 'a \" b' \"it's\" &>log"), Some("&>"));
        assert_eq!(lacks("if [[ -e x ]]; then y; fi"), Some("[["));
        assert_eq!(lacks("diff <(a) b"), Some("<("));
        for plain in
            ["a & >log b", "echo '&> [[ '", "echo \"<(\" \\&\\>", "tr '[[:a:]]' x", "a 2>&1", "é"]
        {
            assert_eq!(lacks(plain), None, "{plain}");
        }
        assert_eq!(choose(Some("bash"), None).unwrap().lacks("a &> b"), None);
    }
}
