//! What a task runs: an argument vector or a script, with `{}` standing for its name.
//!
//! Invariant: a name is data, never code. In an argument vector it is put in as it is, because no
//! shell reads it. A script never contains a name at all: `{}` becomes a reference to the
//! variable DHUB_TASK, quoted as its place in the script demands. If that place is misjudged (a
//! here-document, a `case` inside `$(...)`), the word comes out wrong, but is still not run.
//! What the script itself hands to another interpreter (ssh, an inner `sh -c`) is its own affair.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use dhub_proto::wire::Lease;
use rustix::fs::{Access, access};

const PLACE: &str = "{}";
const SHELL: &str = "/bin/sh";
/// What execvp uses when PATH is not set.
const PATH_DEFAULT: &str = "/bin:/usr/bin";

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
        "{0}: is no executable file (looked up before any task was stolen); mend it with: chmod +x {0}"
    )]
    NotExecutable(String),
    #[error("{0}: is a directory (looked up before any task was stolen)")]
    Directory(String),
}

/// What every task of this pool runs.
#[derive(Debug)]
pub enum Program {
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
    pub fn new(shell: Option<&str>, argv: Vec<OsString>) -> Result<Self, ProgramError> {
        if let Some(script) = shell {
            return Ok(Self::Script(refer_to_task(script)));
        }
        let Some(program) = argv.first() else {
            return Ok(Self::OfTask);
        };
        let depends_on_task = split_at_place(program.as_bytes()).is_some();
        let file = if depends_on_task { None } else { Some(find(program)?) };
        Ok(Self::Vector { file, argv })
    }

    /// The command for one task; the caller adds what is the same for all of them.
    pub fn command(&self, lease: &Lease) -> Command {
        match self {
            Self::Vector { file, argv } => {
                let mut argv = argv.iter().map(|argument| replace(argument, &lease.name));
                let program = argv.next().unwrap_or_default();
                let mut command = match file {
                    // Found once, not again in PATH for each task.
                    Some(file) => Command::new(file),
                    None => Command::new(&program),
                };
                command.arg0(program).args(argv);
                command
            }
            Self::Script(script) => sh(script),
            Self::OfTask if lease.command.is_empty() => sh(&lease.name),
            Self::OfTask => sh(&lease.command),
        }
    }
}

fn sh(script: &str) -> Command {
    let mut command = Command::new(SHELL);
    // A script that begins with a dash is no option.
    command.arg("-c").arg("--").arg(script);
    command
}

fn split_at_place(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.windows(PLACE.len()).position(|window| window == PLACE.as_bytes())?;
    Some((&bytes[..at], &bytes[at + PLACE.len()..]))
}

/// Puts the name in as it is. What is put in is not looked at again.
fn replace(argument: &OsStr, name: &str) -> OsString {
    let mut rest = argument.as_bytes();
    let mut out = Vec::with_capacity(rest.len() + name.len());
    while let Some((before, after)) = split_at_place(rest) {
        out.extend_from_slice(before);
        out.extend_from_slice(name.as_bytes());
        rest = after;
    }
    out.extend_from_slice(rest);
    OsString::from_vec(out)
}

/// Where in a script something stands, as far as quoting goes.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// Not quoted; inside `$(...)` with how many parentheses of its own open.
    Plain(usize),
    Backticks,
    Single,
    Double,
}

/// Replaces `{}` by a reference to the task's name that stays one word where it stands.
fn refer_to_task(script: &str) -> String {
    let mut out = String::with_capacity(script.len() + 16);
    let mut places = vec![Place::Plain(0)];
    let mut rest = script;
    let mut word_starts = true;
    while let Some(c) = rest.chars().next() {
        let place = places.last().copied().unwrap_or(Place::Plain(0));
        if let Some(after) = rest.strip_prefix(PLACE) {
            out.push_str(match place {
                Place::Plain(_) | Place::Backticks => "\"${DHUB_TASK}\"",
                Place::Double => "${DHUB_TASK}",
                Place::Single => "'\"${DHUB_TASK}\"'",
            });
            rest = after;
            word_starts = false;
            continue;
        }
        let mut taken = c.len_utf8();
        match (place, c) {
            (Place::Single, '\'') => drop(places.pop()),
            (Place::Single, _) => {}
            (_, '\\') => taken += rest[taken..].chars().next().map_or(0, char::len_utf8),
            (_, '$') if rest.starts_with("$(") => {
                places.push(Place::Plain(0));
                taken = 2;
            }
            (Place::Backticks, '`') => drop(places.pop()),
            (_, '`') => places.push(Place::Backticks),
            (Place::Double, '"') => drop(places.pop()),
            (Place::Double, _) => {}
            (_, '"') => places.push(Place::Double),
            (_, '\'') => places.push(Place::Single),
            // A comment: its apostrophes open nothing.
            (_, '#') if word_starts => taken = rest.find('\n').unwrap_or(rest.len()),
            (Place::Plain(open), '(') => set_last(&mut places, Place::Plain(open + 1)),
            (Place::Plain(0), ')') if places.len() > 1 => drop(places.pop()),
            (Place::Plain(open), ')') => {
                set_last(&mut places, Place::Plain(open.saturating_sub(1)));
            }
            _ => {}
        }
        word_starts = rest.starts_with("$(") || " \t\n;&|()`".contains(c);
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    out
}

fn set_last(places: &mut [Place], place: Place) {
    if let Some(last) = places.last_mut() {
        *last = place;
    }
}

/// Finds the program as execvp would.
fn find(program: &OsStr) -> Result<PathBuf, ProgramError> {
    let shown = || program.to_string_lossy().into_owned();
    if program.as_bytes().contains(&b'/') {
        let path = Path::new(program);
        return match path.metadata() {
            Err(_) => Err(ProgramError::NoFile(shown())),
            Ok(meta) if meta.is_dir() => Err(ProgramError::Directory(shown())),
            Ok(_) if !is_executable(path) => Err(ProgramError::NotExecutable(shown())),
            Ok(_) => Ok(path.to_owned()),
        };
    }
    let search = std::env::var_os("PATH").unwrap_or_else(|| PATH_DEFAULT.into());
    find_in(program, &search)
}

fn find_in(program: &OsStr, search: &OsStr) -> Result<PathBuf, ProgramError> {
    let shown = || program.to_string_lossy().into_owned();
    if program.is_empty() {
        return Err(ProgramError::NotInPath(shown()));
    }
    let mut found_other = None;
    for dir in std::env::split_paths(search) {
        // An empty entry is the current directory.
        let path = if dir.as_os_str().is_empty() {
            Path::new(".").join(program)
        } else {
            dir.join(program)
        };
        match path.metadata() {
            Ok(meta) if meta.is_file() && is_executable(&path) => return Ok(path),
            Ok(meta) if meta.is_file() => found_other = Some(path),
            _ => {}
        }
    }
    Err(match found_other {
        Some(path) => ProgramError::NotExecutable(path.display().to_string()),
        None => ProgramError::NotInPath(shown()),
    })
}

fn is_executable(path: &Path) -> bool {
    access(path, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
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

    fn lease(name: &str, command: &str) -> Lease {
        Lease { name: name.into(), command: command.into(), ..Lease::default() }
    }

    /// What the command prints, run in an empty directory that has to stay empty.
    fn run(program: &Program, name: &str) -> String {
        let _alone = alone();
        let dir = tempfile::tempdir().unwrap();
        let output = program
            .command(&lease(name, ""))
            .env("DHUB_TASK", name)
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "{name:?} ran something");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn an_argument_vector_gets_the_name_as_it_is() {
        let argv = ["printf", "%s", "a{}b{}"].map(OsString::from).to_vec();
        let program = Program::new(None, argv).unwrap();
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
            let program = Program::new(Some(script), vec![]).unwrap();
            for name in NASTY {
                let printed = run(&program, name);
                // sed completes the last line, $(...) drops its end.
                assert_eq!(printed.trim_end_matches('\n'), name.trim_end_matches('\n'), "{script}");
            }
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
            let program = Program::new(Some(script), vec![]).unwrap();
            for name in NASTY {
                run(&program, name);
            }
        }
    }

    #[test]
    fn without_a_program_the_task_knows_what_to_run() {
        let _alone = alone();
        let program = Program::new(None, vec![]).unwrap();
        let output = program.command(&lease("echo name", "echo command")).output().unwrap();
        assert_eq!(output.stdout, b"command\n");
        let output = program.command(&lease("echo name", "")).output().unwrap();
        assert_eq!(output.stdout, b"name\n");
    }

    #[test]
    fn a_missing_program_is_found_out() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tool");
        std::fs::write(&file, "#!/bin/sh\n").unwrap();
        let error = |argv: &str| Program::new(None, vec![argv.into()]).unwrap_err();
        assert_eq!(
            error("./simulat").to_string(),
            "./simulat: no such file (looked up before any task was stolen)"
        );
        assert_eq!(error("no-such-tool"), ProgramError::NotInPath("no-such-tool".into()));
        assert_eq!(error("/tmp"), ProgramError::Directory("/tmp".into()));
        let shown = file.display().to_string();
        assert_eq!(error(&shown), ProgramError::NotExecutable(shown.clone()));
        assert_eq!(
            find_in(OsStr::new("tool"), dir.path().as_os_str()),
            Err(ProgramError::NotExecutable(shown))
        );
        // Which file it is depends on the task.
        assert!(Program::new(None, vec!["./{}".into()]).is_ok());
    }

    #[test]
    fn path_is_searched_as_execvp_does() {
        let mut search = OsString::from("/no/such/directory:");
        search.push(std::env::var_os("PATH").unwrap());
        assert!(find_in(OsStr::new("sh"), &search).unwrap().is_absolute());
    }
}
