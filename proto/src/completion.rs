//! What a shell offers to complete: asked from the program itself, each time.
//!
//! `dquery completions SHELL` prints what makes the shell ask. It sets a variable and gives the
//! program the words so far behind `--`; `answer` then prints what could be there.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

use clap::{Command, ValueEnum};
use clap_complete::CompleteEnv;
use clap_complete::env::{EnvCompleter, Fish, Shells, Zsh};

/// Set by the shell that asks.
const VARIABLE: &str = "_DHUB_COMPLETE";
/// The place of the word that is asked for.
const INDEX: &str = "_CLAP_COMPLETE_INDEX";
const SHELLS: Shells<'static> = Shells(&[&Bash, &Zsh, &Fish]);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// What the shell has to read so that it asks these programs.
pub fn script(shell: Shell, programs: &[&str]) -> io::Result<Vec<u8>> {
    let shell: &dyn EnvCompleter = match shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
    };
    let mut script = Vec::new();
    for program in programs {
        shell.write_registration(VARIABLE, program, program, program, &mut script)?;
    }
    Ok(script)
}

/// Ends the process if a shell asks; otherwise nothing happens.
pub fn answer(command: impl Fn() -> Command) {
    CompleteEnv::with_factory(command).var(VARIABLE).shells(SHELLS).complete();
}

/// clap's own takes a name with a colon apart, and inserts blanks as they are.
struct Bash;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == "bash"
    }

    fn write_registration(
        &self,
        variable: &str,
        program: &str,
        _bin: &str,
        _completer: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let script = include_str!("completion.sh");
        write!(out, "{}", script.replace("VARIABLE", variable).replace("PROGRAM", program))
    }

    fn write_complete(
        &self,
        command: &mut Command,
        words: Vec<OsString>,
        dir: Option<&Path>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let index = std::env::var(INDEX).ok().and_then(|index| index.parse().ok());
        let index = index.unwrap_or(words.len().saturating_sub(1));
        let nothing_typed = words.get(index).is_none_or(|word| word.is_empty());
        let mut found: Vec<String> = clap_complete::engine::complete(command, words, index, dir)?
            .iter()
            .map(|it| it.get_value().to_string_lossy().into_owned())
            .collect();
        // Bash shows no descriptions: options among names are only noise until a dash is typed.
        if nothing_typed && found.iter().any(|it| !it.starts_with('-')) {
            found.retain(|it| !it.starts_with('-'));
        }
        for it in found.iter().filter(|it| !it.contains('\n')) {
            writeln!(out, "{it}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shell_is_told_of_each_program() {
        for &shell in Shell::value_variants() {
            let script = script(shell, &["dquery", "kworker"]).expect("a script");
            let script = String::from_utf8(script).expect("text");
            for part in ["dquery", "kworker", VARIABLE] {
                assert!(script.contains(part), "{part} for {shell:?}: {script}");
            }
            assert!(!script.contains("PROGRAM") && !script.contains("VARIABLE"), "{script}");
        }
    }
}
