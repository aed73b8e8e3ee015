//! What can be done with the file of a hub that does not run: check, backup, rescue.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

use dhub::engine::message::Phase;
use dhub::server::Options;
use dhub::store::{Doubt, Newer, Opened, Orphans, Scanned, Store, copy_file, rescue};
use dhub_proto::disk::output;
use dhub_proto::plain::plain;
use dhub_proto::private::Mode;

use crate::failure::Failure;
use crate::listen::found;

/// The file of a stopped hub; never made by looking at it.
fn open_stopped(file: &Path, network: bool) -> Result<Opened, Failure> {
    expect(file)?;
    Ok(Store::open(file, &since(), network)?)
}

fn expect(file: &Path) -> Result<(), Failure> {
    match Orphans::of(file) {
        Some(orphans) => Err(orphans.into()),
        None if is_empty(file) => {
            Err(Failure::Empty { file: file.display().to_string(), place: None })
        }
        None if file.is_file() => Ok(()),
        None => Err(Failure::Absent { file: file.display().to_string() }),
    }
}

pub fn is_empty(file: &Path) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.len() == 0)
}

pub fn check(file: &Path, network: bool) -> Result<(), Failure> {
    let name = file.display().to_string();
    expect(file)?;
    let scanned = Scanned::of(file, &since())?;
    let Opened { store, doubt, newer, .. } = match open_stopped(file, network) {
        Err(failure) => {
            for line in scanned.problems(None) {
                say!("dhub: {name}: {line}");
            }
            return Err(failure);
        }
        opened => opened?,
    };
    let unread = |source| Failure::Restore { file: name.clone(), source };
    let mut problems = scanned.problems(Some(&store));
    let mut is_mended = scanned.are_mended();
    match store.check() {
        Ok(more) => {
            is_mended &= more.is_empty();
            problems.extend(more);
        }
        Err(error) if error.is_damage() && !problems.is_empty() => is_mended = false,
        Err(error) => return Err(unread(error)),
    }
    if !problems.is_empty() {
        return Err(Failure::Unsound { file: name, problems, is_mended });
    }
    let scheduler = dhub::server::restore(&store, &Options::default()).map_err(unread)?;
    let at = match scheduler.phase() {
        Phase::Empty => "no task was ever added",
        Phase::Active => "there is work to do",
        Phase::Stuck => "the rest waits for names that nobody added",
        Phase::Finished => "everything is finished",
    };
    print(format_args!("{}: sound; {}; {at}", file.display(), found(&scheduler)))?;
    if scanned.has_no_checksums() {
        print("  its pages have no checksums, by which damage is told: the next hub adds them")?;
    }
    tell(doubt, newer)?;
    store.close().map_err(|source| Failure::Restore { file: file.display().to_string(), source })
}

/// What else is to be known of a file that was looked at.
fn tell(doubt: Option<Doubt>, newer: Option<Newer>) -> Result<(), Failure> {
    if let Some(doubt) = doubt {
        print(format_args!("  in doubt: {doubt}"))?;
    }
    newer.map_or(Ok(()), |newer| print(format_args!("  {newer}")))
}

pub fn backup(file: &Path, to: &Path, network: bool, mode: Mode) -> Result<(), Failure> {
    let Opened { store, doubt, newer, .. } = open_stopped(file, network)?;
    let failed = |source| Failure::Copy { file: file.to_owned(), source };
    let bytes = copy_file(&store, to, mode).map_err(failed)?;
    print(format_args!("{} copied to {} ({bytes} bytes)", file.display(), to.display()))?;
    tell(doubt, newer)?;
    store.close().map_err(|source| Failure::Restore { file: file.display().to_string(), source })
}

/// Saves what can be read, and lists the rest.
pub fn save(file: &Path, to: &Path, mode: Mode) -> Result<(), Failure> {
    let rescued = rescue(file, to, mode, &since())?;
    let name = |path: &Path| path.display().to_string();
    let list = |what: &str, lines: &[String]| {
        lines.iter().try_for_each(|line| print(format_args!("  {what}  {}", plain(line))))
    };
    let store = Store::open(to, &since(), true)?.store;
    let unread = |source| Failure::Restore { file: name(to), source };
    let scheduler = dhub::server::restore(&store, &Options::default()).map_err(unread)?;
    let used: Vec<_> = rescued.used.iter().map(|path| name(path)).collect();
    let (tasks, used) = (found(&scheduler), used.join(", "));
    print(format_args!("{} saved to {}: {tasks}; read from {used}", name(file), name(to)))?;
    list("lost task", &rescued.tasks)?;
    list("lost     ", &rescued.lost)?;
    list("in doubt ", &rescued.doubt)?;
    list("not used ", &rescued.unused)?;
    if let Some(newer) = &rescued.saved {
        print(format_args!("  {newer}"))?;
    }
    store.close().map_err(unread)?;
    match rescued.is_whole() {
        true => Ok(()),
        false => Err(Failure::Incomplete { file: name(file) }),
    }
}

/// To standard output; whoever stopped to read it has seen enough.
fn print(line: impl Display) -> Result<(), Failure> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Output(output(error)))
        }
        _ => Ok(()),
    }
}

/// For the lock: when this hub started.
pub fn since() -> String {
    jiff::Zoned::now().strftime("%Y-%m-%d %H:%M").to_string()
}
