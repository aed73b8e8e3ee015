//! What a task runs: an argument vector, a script, or words without a shell, with placeholders for
//! what the task has of its own.
//!
//! Invariant: a name is data, never code, to what kworker itself starts. In an argument vector it is put in as it is, because no
//! shell reads it. A script never contains a name at all: `{}` becomes a reference to the
//! variable DHUB_TASK, quoted as its place in the script demands.
//! What would plainly hand a name to a second interpreter (an inner `sh -c`, eval, ssh) is refused at the
//! start, as far as `code` sees it; docs/security.md names what it does not see.

mod code;
mod commands;
mod find;
pub mod interpreter;
mod place;
mod script;
mod shell;
mod words;

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use find::find;
pub use place::{Who, variables};
use place::{fill, has_place};
pub use shell::Shell;

/// Why the program cannot be run by anybody.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum ProgramError {
    #[error("{0}: no such file (looked up before any task was stolen)")]
    NoFile(String),
    #[error(
        "{0}: not found in PATH (looked up before any task was stolen); a file of this directory is written ./{0}"
    )]
    NotInPath(String),
    #[error(
        "{}: is no executable file (looked up before any task was stolen); mend it with: chmod +x {}",
        .0, dhub_proto::shell::file(.0)
    )]
    NotExecutable(String),
    #[error("{0}: is a directory (looked up before any task was stolen)")]
    Directory(String),
    #[error(
        "{reader} would read what stands for {{}} as code, whatever a name contains\n  {advice}"
    )]
    Code { reader: String, advice: String },
}

/// What every task of this pool runs, and the shell for what is a script.
#[derive(Debug)]
pub struct Program {
    kind: Kind,
    shell: Shell,
}

#[derive(Debug)]
enum Kind {
    /// No shell. `file` is PROG as found in PATH, unless its name depends on the task.
    Vector {
        file: Option<PathBuf>,
        argv: Vec<OsString>,
    },
    Script(String),
    /// The task's own command, else its name.
    OfTask,
}

impl Program {
    /// Relative paths are relative to `dir`.
    pub fn new(
        script: Option<&str>,
        argv: Vec<OsString>,
        shell: Shell,
        dir: &Path,
    ) -> Result<Self, ProgramError> {
        Ok(Self { kind: Kind::new(script, argv, dir)?, shell })
    }

    /// The command for one task; the caller adds what is the same for all of them.
    pub fn command(&self, own: &str, who: &Who) -> Command {
        match &self.kind {
            Kind::Vector { file, argv } => {
                let mut argv = argv.iter().map(|argument| fill(argument, who));
                let program = argv.next().unwrap_or_default();
                let mut command = match file {
                    // Found once, not again in PATH for each task.
                    Some(file) => Command::new(file),
                    None => Command::new(&program),
                };
                command.arg0(program).args(argv);
                command
            }
            Kind::Script(script) => self.shell.command(script),
            Kind::OfTask => self.shell.command(own_command(own, who)),
        }
    }

    /// The same without a shell, if the task's own command needs none and its program is found. Where
    /// it is not, the shell may say so.
    pub fn direct(&self, own: &str, who: &Who, search: &OsStr, dir: &Path) -> Option<Command> {
        let Kind::OfTask = self.kind else { return None };
        let words = words::plain(own_command(own, who))?;
        let (&program, args) = words.split_first()?;
        let file = match program.contains('/') {
            true => PathBuf::from(program),
            false => find::find_in(OsStr::new(program), search, dir).ok()?,
        };
        let mut command = Command::new(file);
        command.arg0(program).args(args);
        Some(command)
    }

    /// What of a task's script is not for the shell that is to run it, in words.
    pub fn doubt(&self, own: &str, name: &str) -> Option<String> {
        let script = match &self.kind {
            Kind::Vector { .. } => return None,
            Kind::Script(script) => script,
            Kind::OfTask if own.is_empty() => name,
            Kind::OfTask => own,
        };
        let word = self.shell.lacks(script)?;
        let shell = self.shell.name();
        Some(format!("'{word}' is not what it seems in {shell}; for bash: --shell-program bash"))
    }
}

impl Kind {
    fn new(script: Option<&str>, argv: Vec<OsString>, dir: &Path) -> Result<Self, ProgramError> {
        if let Some(script) = script {
            if let Some(reader) = code::reader(script) {
                return Err(refused(reader, None));
            }
            return Ok(Self::Script(script::refer(script)));
        }
        let Some(program) = argv.first() else {
            return Ok(Self::OfTask);
        };
        let words: Vec<_> = argv.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        if let Some(reader) = code::reader_of(&words) {
            return Err(refused(reader, words.iter().find(|word| word.contains("{}"))));
        }
        let file = if has_place(program) { None } else { Some(find(program, dir)?) };
        Ok(Self::Vector { file, argv })
    }
}

/// How to do it instead. `script`: all that a shell of the command line was to run.
fn refused(reader: String, script: Option<&String>) -> ProgramError {
    let advice = match (reader.as_str(), script) {
        ("ssh", _) => {
            "let it read the name: printf '%s\\n' {} | ssh HOST 'read -r it; ./run \"$it\"'".into()
        }
        ("eval" | "trap", _) => "say \"$DHUB_TASK\" in its place, inside single quotes".into(),
        (reader, Some(script)) if reader.ends_with("sh -c") => {
            format!(
                "safe is: --shell '{script}'      names that are commands: kworker without PROG"
            )
        }
        (reader, _) if reader.ends_with("sh -c") => {
            format!("give it as a word: {reader} './run \"$1\"' sh {{}}")
        }
        _ => "let it take the name from the variable DHUB_TASK, or as a further argument".into(),
    };
    ProgramError::Code { reader, advice }
}

/// An own command may be empty: then the name is it.
fn own_command<'a>(own: &'a str, who: &Who<'a>) -> &'a str {
    if own.is_empty() { who.name } else { own }
}

#[cfg(test)]
mod tests {
    use super::find::find_in;
    use super::*;
    use crate::process::tests::alone;

    const NASTY: [&str; 10] = [
        "plain",
        "two words  and more",
        "it's",
        "say \"hi\"",
        "line\nbreak\n",
        "$(touch pwned)",
        "`touch pwned`; touch pwned",
        "{}",
        "\\ * ? ~ # & | < >",
        "-n",
    ];

    fn who(name: &str) -> Who<'_> {
        Who { name, attempt: 3, worker: "it's me", slot: 7 }
    }

    fn program(shell: Option<&str>, argv: &[&str]) -> Result<Program, ProgramError> {
        let sh = Shell::choose(None, None, Path::new("")).unwrap();
        Program::new(shell, argv.iter().map(OsString::from).collect(), sh, Path::new(""))
    }

    /// What the command prints, run in an empty directory that has to stay empty.
    fn run(program: &Program, name: &str) -> String {
        let _alone = alone();
        let dir = tempfile::tempdir().unwrap();
        let output = program
            .command("", &who(name))
            .envs(variables(&who(name)))
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "{name:?} ran something");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn an_argument_vector_gets_the_name_as_it_is() {
        let program = program(None, &["printf", "%s", "a{}b{}"]).unwrap();
        for name in NASTY {
            assert_eq!(run(&program, name), format!("a{name}b{name}"));
        }
    }

    #[test]
    fn a_script_gets_the_name_as_one_word_whatever_the_quotes() {
        for script in [
            "printf %s {}",
            "printf %s \"{}\"",
            "printf %s '{}'",
            "# isn't it\nprintf %s {}",
            "printf %s \"$(printf %s {}; printf x)\" | sed '$s/x$//'",
            "f() { printf %s {}; }; f other",
            "printf %s \\''{}' | sed 1s/.//",
            "echo \"$((1+(2)))\" >/dev/null; printf %s {}",
        ] {
            let program = program(Some(script), &[]).unwrap();
            for name in NASTY {
                let printed = run(&program, name);
                // sed completes the last line, $(...) drops its end.
                assert_eq!(printed.trim_end_matches('\n'), name.trim_end_matches('\n'), "{script}");
            }
        }
    }

    #[test]
    fn variables_of_the_script_are_its_own() {
        for (script, printed) in [
            ("slot=mine; printf %s \"${slot}\"", "mine"),
            ("slot=mine; printf %s ${slot}-{slot}", "mine-7"),
            ("worker=w; printf %s \"${worker}{attempt}${worker:-{}}\"", "w3w"),
            ("sh -c 'slot=inner; printf %s ${slot}'", "inner"),
            ("printf %s \\${slot}", "$7"),
        ] {
            let program = program(Some(script), &[]).unwrap();
            assert_eq!(run(&program, "name"), printed, "{script}");
        }
    }

    #[test]
    fn places_that_are_misjudged_still_run_nothing() {
        for script in [
            "cat <<E\n{} it's\nE\n: {}",
            "echo \"$(case x in x) echo {};; esac)\" {}",
            "echo \"`echo {}`\" '`' {}",
            "echo \"${x:-{}}\" ${x:-'{}'}",
        ] {
            let program = program(Some(script), &[]).unwrap();
            for name in NASTY {
                run(&program, name);
            }
        }
    }

    #[test]
    fn without_a_program_the_task_knows_what_to_run() {
        let _alone = alone();
        let program = program(None, &[]).unwrap();
        let output = program.command("echo command", &who("echo name")).output().unwrap();
        assert_eq!(output.stdout, b"command\n");
        let output = program.command("", &who("echo name")).output().unwrap();
        assert_eq!(output.stdout, b"name\n");
    }

    #[test]
    fn a_missing_program_is_found_out() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tool");
        std::fs::write(&file, "#!/bin/sh\n").unwrap();
        let error = |argv: &str| program(None, &[argv]).unwrap_err();
        assert_eq!(
            error("./simulat").to_string(),
            "./simulat: no such file (looked up before any task was stolen)"
        );
        assert_eq!(error("no-such-tool"), ProgramError::NotInPath("no-such-tool".into()));
        assert_eq!(error("/tmp"), ProgramError::Directory("/tmp".into()));
        let shown = file.display().to_string();
        assert_eq!(error(&shown), ProgramError::NotExecutable(shown.clone()));
        assert_eq!(
            find_in(OsStr::new("tool"), dir.path().as_os_str(), Path::new("")),
            Err(ProgramError::NotExecutable(shown))
        );
        // Which file it is depends on the task.
        assert!(program(None, &["./{}"]).is_ok());
    }

    #[test]
    fn path_is_searched_as_execvp_does() {
        let mut search = OsString::from("/no/such/directory:");
        search.push(std::env::var_os("PATH").unwrap());
        assert!(find_in(OsStr::new("sh"), &search, Path::new("")).unwrap().is_absolute());
    }

    #[test]
    fn other_placeholders_are_filled_in_too() {
        let argv = program(None, &["printf", "%s", "{attempt} {worker} {slot} {}"]).unwrap();
        assert_eq!(run(&argv, "a"), "3 it's me 7 a");
        let script = program(Some("printf '%s|' {attempt} {worker} '{slot}' \"{}\""), &[]).unwrap();
        assert_eq!(run(&script, "a b"), "3|it's me|7|a b|");
    }

    #[test]
    fn a_plain_command_of_the_task_is_executed_directly() {
        let _alone = alone();
        let program = program(None, &[]).unwrap();
        let search = std::env::var_os("PATH").unwrap();
        let direct = |own: &str| program.direct(own, &who("sleep 0"), &search, Path::new(""));
        let file = |own| direct(own).unwrap().get_program().to_owned();
        assert!(Path::new(&file("")).ends_with("sleep"));
        assert_eq!(file("/bin/ls -a"), "/bin/ls");
        let output = direct("env printf %s.%s a b-c").unwrap().output().unwrap();
        assert_eq!(output.stdout, b"a.b-c");
        // The shell says what is wrong, and knows what it has built in.
        for own in ["no-such-tool", "echo a", "sleep $X"] {
            assert!(direct(own).is_none(), "{own}");
        }
    }

    #[test]
    fn a_name_that_would_be_code_is_refused_with_what_to_do() {
        let refused = |shell: Option<&str>, argv: &[&str]| match program(shell, argv) {
            Err(error @ ProgramError::Code { .. }) => error.to_string(),
            other => panic!("{argv:?}: {other:?}"),
        };
        assert!(refused(None, &["sh", "-c", "echo {}"]).contains("--shell 'echo {}'"));
        refused(None, &["env", "X=1", "/bin/bash", "-e", "-lc", "--", "echo {slot}{}"]);
        assert!(refused(Some("sh -c 'echo {}'"), &[]).contains("\"$1\"' sh {}"));
        assert!(refused(Some("eval echo {}"), &[]).contains("DHUB_TASK"));
        assert!(refused(None, &["ssh", "node", "./sim", "{}"]).contains("read -r"));
        for argv in [
            &["sh", "-c", "echo $1", "sh", "{}"][..],
            &["sh", "script", "-c", "{}"],
            &["sh", "-e", "{}"],
            &["echo", "-c", "{}"],
            &["sh", "-c", "echo {name}"],
        ] {
            assert!(!matches!(program(None, argv), Err(ProgramError::Code { .. })), "{argv:?}");
        }
    }
}
