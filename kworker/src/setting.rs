//! What is the same for all tasks of a pool: where they run, what they find in their environment,
//! where their output goes.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Component, Path, PathBuf, absolute};
use std::process::{Command, Stdio};

use dhub_proto::find::INSECURE;
use dhub_proto::output;
use dhub_proto::private::{self, Mode, PrivateError};
use dhub_proto::wire::Lease;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;

use crate::command::{Program, Who, variables};
use crate::guard;
use crate::process::{Output, Start};

/// Where tasks write.
#[derive(Clone, Debug, PartialEq)]
pub enum Where {
    Tail,
    Nothing,
    /// An absolute template of files.
    Files(String),
}

impl Where {
    /// `tail`, `none`, a directory or a template.
    pub fn parse(text: &str) -> io::Result<Self> {
        Ok(match text {
            "tail" => Self::Tail,
            "none" => Self::Nothing,
            place => {
                let place = absolute(place)?.into_os_string().into_string();
                let place =
                    place.map_err(|_| io::Error::other("the current directory is not UTF-8"))?;
                let template = output::template(&place);
                if let Some(word) = output::unknown(&template) {
                    let known = output::PLACEHOLDERS.join(", ");
                    let what = format!("{word} is no placeholder; they are {known}");
                    return Err(io::Error::other(what));
                }
                let below = Path::new(&template).strip_prefix(output::fixed(&template));
                if below.is_ok_and(|below| below.components().any(|it| it == Component::ParentDir))
                {
                    return Err(io::Error::other("no '..' behind a placeholder"));
                }
                Self::Files(template)
            }
        })
    }

    /// As the hub is told it.
    pub fn template(&self) -> &str {
        match self {
            Self::Files(template) => template,
            _ => "",
        }
    }
}

pub struct Setting {
    pub worker: String,
    pub host: String,
    pub hub: String,
    /// The name of the access file, so that the task's own tools are let in; never what is in it.
    pub access: Option<PathBuf>,
    /// None: where the pool was started.
    pub dir: Option<PathBuf>,
    pub env: Vec<(String, String)>,
    pub output: Where,
    /// Of the files that tasks write their output to.
    pub file_mode: Mode,
}

/// Why a task was not started.
#[derive(Debug)]
pub enum NotStarted {
    /// Trouble of this machine: others may still start it, or it later.
    System(io::Error),
    Task(io::Error),
}

impl Setting {
    /// What to start for a task; the second is another way, if the system does not know the first.
    pub fn start(
        &self,
        program: &Program,
        lease: &Lease,
        slot: u32,
    ) -> Result<(Start, Option<Command>), NotStarted> {
        let who = Who { name: &lease.name, attempt: lease.attempt, worker: &self.worker, slot };
        let dir = self.dir(lease);
        let mut command = program.command(&lease.command, &who);
        let direct = program.direct(
            &lease.command,
            &who,
            &self.search(lease),
            dir.as_deref().unwrap_or(Path::new("")),
        );
        let other = direct.map(|direct| std::mem::replace(&mut command, direct));
        let prepare = |mut command: Command| {
            self.prepare(&mut command, lease, &who, dir.as_deref());
            command
        };
        let time_limit = (lease.time_limit_ms > 0)
            .then(|| std::time::Duration::from_millis(lease.time_limit_ms));
        let start = Start {
            command: prepare(command),
            attempt: dhub_proto::wire::Attempt {
                name: lease.name.clone(),
                attempt: lease.attempt,
                started: true,
            },
            time_limit,
            stdin: stdin(&lease.stdin).map_err(NotStarted::System)?,
            output: self.output(lease)?,
        };
        Ok((start, other.map(prepare)))
    }

    fn prepare(&self, command: &mut Command, lease: &Lease, who: &Who, dir: Option<&Path>) {
        command.env_remove(guard::VARIABLE);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.envs(lease.env.iter().filter_map(|variable| variable.split_once('=')));
        command.envs(variables(who)).env("DHUB_HUB", &self.hub);
        match &self.access {
            Some(access) => command.env("DHUB_ACCESS", access).env_remove(INSECURE),
            None => command.env_remove("DHUB_ACCESS").env(INSECURE, "1"),
        };
        if let Some(dir) = dir {
            command.current_dir(dir);
        }
    }

    /// Where the task runs, if not where the pool does.
    pub fn dir(&self, lease: &Lease) -> Option<PathBuf> {
        match (&self.dir, lease.dir.as_str()) {
            (dir, "") => dir.clone(),
            (Some(dir), of_task) => Some(dir.join(of_task)),
            (None, of_task) => Some(of_task.into()),
        }
    }

    /// The task's PATH.
    fn search(&self, lease: &Lease) -> OsString {
        let of_task = lease.env.iter().rev().find_map(|it| it.strip_prefix("PATH="));
        let of_worker = || {
            self.env.iter().rev().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_str())
        };
        of_task
            .or_else(of_worker)
            .map(OsString::from)
            .or_else(|| std::env::var_os("PATH"))
            .unwrap_or_default()
    }

    fn output(&self, lease: &Lease) -> Result<Output, NotStarted> {
        let template = match &self.output {
            Where::Tail => return Ok(Output::Tail),
            Where::Nothing => return Ok(Output::Nothing),
            Where::Files(template) => template,
        };
        let path = output::path(template, &lease.name, lease.attempt, &self.worker, &self.host);
        match append(output::fixed(template), &path, self.file_mode) {
            Ok(file) => Ok(Output::File { file, path }),
            Err(error) => {
                let of_task = is_of_the_name(&error);
                let what = match &error {
                    PrivateError::Io { .. } => "its output goes to ",
                    _ => "its output cannot be written: ",
                };
                let told = io::Error::other(NoOutput { what, source: error });
                Err(if of_task { NotStarted::Task(told) } else { NotStarted::System(told) })
            }
        }
    }
}

/// Others have other names: no machine would take this one, or something is in the way at its place.
fn is_of_the_name(error: &PrivateError) -> bool {
    match error {
        PrivateError::Io { source, .. } => matches!(
            Errno::from_io_error(source),
            Some(Errno::NAMETOOLONG | Errno::ISDIR | Errno::LOOP)
        ),
        PrivateError::DirMode { .. } => false,
        _ => true,
    }
}

/// Where it was to go cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{what}{source}")]
struct NoOutput {
    what: &'static str,
    source: PrivateError,
}

/// What is there already stays: it is of an earlier attempt, or of another run. No link is followed below the
/// directory that the user named: names of tasks come in there, and others may write there.
fn append(fixed: &Path, path: &Path, mode: Mode) -> Result<File, PrivateError> {
    let below = path.strip_prefix(fixed).unwrap_or(path);
    let keep = || private::keep_below(fixed, below, mode).map(|kept| kept.file);
    match keep() {
        Err(PrivateError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            private::make_dirs(fixed, mode)?;
            keep()
        }
        kept => kept,
    }
}

/// A file without a name: nobody has to feed it, however slowly it is read.
fn stdin(bytes: &[u8]) -> io::Result<Stdio> {
    if bytes.is_empty() {
        return Ok(Stdio::null());
    }
    let mut file = File::from(memfd_create("stdin", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

/// For the command line.
pub fn parse_variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(output: Where) -> Setting {
        Setting {
            worker: "w".into(),
            host: "h".into(),
            hub: "tcp://h:1".into(),
            access: None,
            dir: Some("/work".into()),
            env: vec![("A".into(), "1".into()), ("PATH".into(), "/x".into())],
            output,
            file_mode: Mode::PRIVATE,
        }
    }

    #[test]
    fn a_place_is_made_absolute() {
        assert_eq!(Where::parse("tail").unwrap(), Where::Tail);
        assert_eq!(Where::parse("none").unwrap().template(), "");
        assert_eq!(Where::parse("/o/{name}").unwrap().template(), "/o/{name}");
        let here = std::env::current_dir().unwrap();
        let expected = format!("{}/out/{{name}}.{{attempt}}.out", here.display());
        assert_eq!(Where::parse("out/").unwrap().template(), expected);
        let error = Where::parse("out/{index}.txt").unwrap_err().to_string();
        let known = "{index} is no placeholder; they are {name}, {attempt}, {worker}, {host}";
        assert_eq!(error, known);
    }

    #[test]
    fn directory_and_path_of_the_task_win() {
        let setting = setting(Where::Tail);
        let lease = |dir: &str| Lease { dir: dir.into(), ..Lease::default() };
        assert_eq!(setting.dir(&lease("")), Some("/work".into()));
        assert_eq!(setting.dir(&lease("a/b")), Some("/work/a/b".into()));
        assert_eq!(setting.dir(&lease("/c")), Some("/c".into()));
        assert_eq!(setting.search(&lease("")), "/x");
        let env = vec!["PATH=/y".to_owned(), "B=PATH=/z".to_owned()];
        assert_eq!(setting.search(&Lease { env, ..Lease::default() }), "/y");
    }

    #[test]
    fn output_is_appended_and_its_directories_are_made() {
        let dir = tempfile::tempdir().unwrap();
        let template = dir.path().join("a/b/{name}").display().to_string();
        let lease = Lease { name: "x/y".into(), attempt: 1, ..Lease::default() };
        for _ in 0..2 {
            let Ok(Output::File { mut file, path }) =
                setting(Where::Files(template.clone())).output(&lease)
            else {
                panic!("no file");
            };
            assert_eq!(path, dir.path().join("a/b/x%2Fy"));
            file.write_all(b"line\n").unwrap();
        }
        assert_eq!(std::fs::read(dir.path().join("a/b/x%2Fy")).unwrap(), b"line\nline\n");
        let in_file = dir.path().join("a/b/x%2Fy/{name}").display().to_string();
        let error = setting(Where::Files(in_file)).output(&lease).unwrap_err();
        assert!(
            matches!(&error, NotStarted::System(it) if it.to_string().contains("x%2Fy/x%2Fy")),
            "{error:?}"
        );
    }

    #[test]
    fn variables_of_the_command_line() {
        assert_eq!(parse_variable("A=b=c"), Ok(("A".into(), "b=c".into())));
        assert!(parse_variable("A").is_err() && parse_variable("=x").is_err());
    }
}
