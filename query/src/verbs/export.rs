//! `export`: every task with its attempts, for other programs.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use dhub_proto::exit::Exit;
use dhub_proto::plain;
use dhub_proto::private::{self, Mode, ModeOption, PrivateError};
use dhub_proto::wire::{ExportedTask, State};
use hashbrown::HashMap;
use rustix::fs::OFlags;

use crate::failure::Failure;
use crate::hub::Hub;
use crate::output::Output;
use crate::render::json;
use crate::run::joblog::{HEADER, Joblog};

/// Lines that are written at once.
const WRITE_BYTES: usize = 64 * 1024;

#[derive(clap::Args, Debug)]
pub struct Export {
    /// Write a log of jobs as GNU parallel's --joblog does, to a file or (-) to standard output
    #[arg(long, value_name = "FILE")]
    joblog: Option<PathBuf>,

    #[command(flatten)]
    mode: ModeOption,
}

pub fn run(args: Export, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    match args.joblog {
        Some(file) => joblog(&file, args.mode.file_mode, hub, out)?,
        None => lines(hub, out)?,
    }
    Ok(Exit::Ok)
}

fn joblog(file: &Path, mode: Mode, hub: &mut Hub, out: Output) -> Result<(), Failure> {
    let mut log = Joblog::default();
    hub.export(false, |task| {
        log.add(&task);
        Ok(())
    })?;
    let text: String = std::iter::once(HEADER.to_owned()).chain(log.lines()).collect();
    match file == Path::new("-") {
        true => out.raw(&text),
        false => write(file, &text, mode),
    }
}

/// A file that the user named, whole or not at all.
pub fn write(file: &Path, text: &str, mode: Mode) -> Result<(), Failure> {
    let wrong = |source: &io::Error| {
        Failure::system(format_args!("cannot write {}", file.display()), source)
    };
    if is_stream(file) {
        let flags = if is_of_system(file) { OFlags::empty() } else { OFlags::NOFOLLOW };
        let stream = File::options().write(true).custom_flags(flags.bits() as i32).open(file);
        let written = stream.and_then(|mut stream| stream.write_all(text.as_bytes()));
        return written.map_err(|error| wrong(&error));
    }
    private::write_with(file, text.as_bytes(), mode).map_err(|error| match error {
        PrivateError::Io { source, .. } => wrong(&source),
        error => Failure::new(Exit::System, format!("nothing was written: {error}")),
    })
}

/// The system's own names are links; others may be somebody's who wants his device written to.
fn is_of_system(file: &Path) -> bool {
    ["/dev", "/proc/self/fd"].iter().any(|dir| file.parent() == Some(Path::new(dir)))
        || file.parent() == Some(Path::new("/dev/fd"))
}

/// /dev/stdout, /dev/null, a pipe of the shell's: of this user or the system, and there is nothing to keep.
fn is_stream(file: &Path) -> bool {
    let own = [0, rustix::process::getuid().as_raw()];
    let meta = if is_of_system(file) { fs::metadata(file) } else { fs::symlink_metadata(file) };
    meta.is_ok_and(|meta| {
        let kind = meta.file_type();
        (kind.is_fifo() || kind.is_char_device()) && own.contains(&meta.uid())
    })
}

fn lines(hub: &mut Hub, out: Output) -> Result<(), Failure> {
    let (mut named, mut text) = (Named::default(), String::new());
    let print = |text: &mut String, exported: &ExportedTask, needs: &[&str]| {
        if exported.task.as_ref().is_some_and(|task| task.state() != State::Missing) {
            *text += &plain::json(&json::exported(exported, needs).to_string());
            text.push('\n');
        }
        match text.len() < WRITE_BYTES {
            true => Ok(()),
            false => out.raw(&std::mem::take(text)),
        }
    };
    hub.export(false, |task| {
        named.add(task);
        while let Some((task, needs)) = named.next(false) {
            print(&mut text, &task, &needs)?;
        }
        Ok(())
    })?;
    while let Some((task, needs)) = named.next(true) {
        print(&mut text, &task, &needs)?;
    }
    out.raw(&text)
}

/// Tasks that are told with the names of what they need. Some were added after those that need them,
/// and come later.
#[derive(Default)]
struct Named {
    names: HashMap<u64, Box<str>>,
    held: VecDeque<ExportedTask>,
}

impl Named {
    fn add(&mut self, task: ExportedTask) {
        let name = task.task.as_ref().map(|task| task.name.as_str().into());
        self.names.insert(task.id, name.unwrap_or_default());
        self.held.push_back(task);
    }

    /// The first, if the names of all its needs are known, or if no more come.
    fn next(&mut self, all: bool) -> Option<(ExportedTask, Vec<&str>)> {
        let first = self.held.front()?;
        if !all && !first.needs.iter().all(|id| self.names.contains_key(id)) {
            return None;
        }
        let first = self.held.pop_front()?;
        let name = |id| self.names.get(id).map(|name| &**name);
        let needs = first.needs.iter().filter_map(name).collect();
        Some((first, needs))
    }
}
