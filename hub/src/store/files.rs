//! The files that the hub has open, and those that have their names: are they the same, and whole?
//!
//! A file that was removed or replaced goes on to take all that is written to it, and nobody else will ever
//! read that. So it is looked at twice a second, and with each commit of the tables. What a look found stays
//! found: whatever is in place of the file later is not what the hub wrote.

mod foreign;

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{CWD, Mode, OFlags, Stat, fstat, openat};
use rustix::io::Errno;

use crate::store::files::part::{Part, parent};
use crate::store::files::paths::beside;

use foreign::Foreign;

/// What lies beside the file, as far as it is there.
const ENDS: [&str; 5] = ["", "-wal", "-journal", ".redo", ".lock"];

/// One of them is not what the hub has open any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {how} while this hub was running", .path.display())]
pub struct Gone {
    pub path: PathBuf,
    pub how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum How {
    #[error("was removed")]
    Removed,
    #[error("was moved away, or a directory above it,")]
    Moved,
    #[error("was replaced by another file")]
    Replaced,
    #[error("was cut from {from} to {to} bytes")]
    Cut { from: u64, to: u64 },
    #[error("was written to by another program")]
    Written,
}

impl How {
    /// What is not in memory is lost.
    pub fn has_changed(&self) -> bool {
        matches!(self, Self::Cut { .. } | Self::Written)
    }
}

/// A file that is open, also if nothing has its name any more. The descriptor cannot read or write, so that it takes
/// no lock of SQLite's with it when it goes; and no other file gets the same number while it is there.
struct One {
    end: &'static str,
    path: PathBuf,
    file: OwnedFd,
    /// It is at least so long. None: that is about to change.
    size: Option<u64>,
}

pub struct Files {
    /// The directory, wherever it is by now.
    dir: OwnedFd,
    real: PathBuf,
    /// Other machines may write it, and none is told of that.
    is_network: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: Vec<One>,
    foreign: Option<Foreign>,
    found: Option<Gone>,
}

impl Files {
    /// As a start finds them, before it believes anything in them. They may become shorter; what SQLite may remove by
    /// itself is left out; until `renew`.
    pub fn note(real: &Path, is_network: bool) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = openat(CWD, parent(real), flags, Mode::empty())?;
        let files = Self { dir, real: real.to_owned(), is_network, state: Mutex::default() };
        files.add()?;
        Ok(files)
    }

    /// Those that came since.
    pub fn add(&self) -> io::Result<()> {
        // Beside a file with nothing in it SQLite takes none of them for its own.
        let is_empty = || !fs::symlink_metadata(&self.real).is_ok_and(|meta| meta.len() > 0);
        self.add_those(|end| match end {
            "-wal" => !self.is_network && !is_empty(),
            end => end != "-journal",
        })
    }

    fn add_those(&self, is_wanted: impl Fn(&str) -> bool) -> io::Result<()> {
        let mut state = self.state();
        for end in ENDS.into_iter().filter(|end| is_wanted(end)) {
            let path = beside(&self.real, end);
            if state.files.iter().all(|one| one.end != end)
                && let Some(file) = open(&path)?
            {
                state.files.push(One { end, path, file, size: None });
                state.watch(self);
            }
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Besides what was found: whether the file was cut too, or written to by another program.
    pub fn is_changed(&self) -> bool {
        let mut state = self.state();
        let is_cut = state.file().is_some_and(|one| {
            let bytes = fstat(&one.file).map_or(0, |stat| stat.st_size as u64);
            one.size.is_some_and(|size| bytes < size)
        });
        state.is_foreign() || is_cut
    }

    /// They are as they are now, and what is there for the first time belongs to them.
    pub fn renew(&self) -> io::Result<()> {
        // SQLite has no use for one beside its log.
        self.add_those(|end| end != "-journal" || self.is_network)?;
        let mut state = self.state();
        for one in &mut state.files {
            one.size = Some(fstat(&one.file)?.st_size as u64);
        }
        if state.is_foreign() {
            let written = Gone { path: self.real.clone(), how: How::Written };
            state.found.get_or_insert(written);
        }
        Ok(())
    }

    /// The file is made anew: this one takes its place, unless another one has that by now.
    pub fn replace(&self, part: Part) -> io::Result<()> {
        let new = open(&part)?.ok_or(io::ErrorKind::NotFound)?;
        let mut state = self.state();
        let own = fstat(&state.file().ok_or(io::ErrorKind::NotFound)?.file)?;
        part.replace(&self.real, |found| is_same(&own, found))?;
        // SQLite makes the others anew too.
        state.files.retain(|one| !one.end.is_empty() && !one.end.starts_with('-'));
        let path = self.real.clone();
        state.files.push(One { end: "", path, file: new, size: None });
        state.foreign = None;
        state.watch(self);
        Ok(())
    }

    /// They may become shorter now; until `renew`.
    pub fn loosen(&self) {
        self.state().files.iter_mut().for_each(|one| one.size = None);
    }

    /// What this does to them is no damage.
    pub fn changed_by<T>(&self, act: impl FnOnce() -> T) -> T {
        self.loosen();
        let done = act();
        // Else the next look has nothing to compare with.
        let _ = self.renew();
        done
    }

    /// Is each of them there, and no shorter than before?
    pub fn look(&self) -> Result<(), Gone> {
        let mut state = self.state();
        if state.found.is_none() {
            let found = state.files.iter_mut().find_map(|one| one.look().err());
            let found = found.or_else(|| self.cut_log());
            let path = || self.real.clone();
            let written = || state.is_foreign().then(|| Gone { path: path(), how: How::Written });
            state.found = found.or_else(written);
        }
        state.found.clone().map_or(Ok(()), Err)
    }

    /// One that was cut, and is as long again by what was written since.
    fn cut_log(&self) -> Option<Gone> {
        let path = beside(&self.real, "-wal");
        let (from, to) = dhub_checksum::cut(&path)?;
        Some(Gone { path, how: How::Cut { from, to } })
    }

    /// Is the file with this end no shorter than before? That costs a system call.
    pub fn look_at_length(&self, end: &str) -> Result<(), Gone> {
        let mut state = self.state();
        if state.found.is_none() {
            let one = state.files.iter_mut().find(|one| one.end == end);
            let found = one.and_then(|one| one.look_at_length(fstat(&one.file).ok()?).err());
            state.found = found;
        }
        state.found.clone().map_or(Ok(()), Err)
    }

    /// What was found already, if anything.
    pub fn found(&self) -> Result<(), Gone> {
        self.state().found.clone().map_or(Ok(()), Err)
    }

    /// The same of the file alone, when nothing is beside it any more.
    pub fn look_at_file(&self) -> Result<(), Gone> {
        let mut state = self.state();
        state.files.retain(|one| one.end.is_empty());
        drop(state);
        self.look()
    }

    pub fn real(&self) -> &Path {
        &self.real
    }

    /// Where the directory is by now; None: it was removed.
    pub fn dir(&self) -> Option<PathBuf> {
        let path = fs::read_link(format!("/proc/self/fd/{}", self.dir.as_raw_fd())).ok()?;
        let (own, found) = (fstat(&self.dir).ok()?, fs::metadata(&path).ok()?);
        is_same(&own, &found).then_some(path)
    }

    /// The file, to read, also if nothing has its name any more.
    pub fn reopen(&self) -> io::Result<File> {
        let state = self.state();
        let one = state.file().ok_or(io::ErrorKind::NotFound)?;
        File::open(format!("/proc/self/fd/{}", one.file.as_raw_fd()))
    }
}

impl State {
    fn file(&self) -> Option<&One> {
        self.files.iter().find(|one| one.end.is_empty())
    }

    /// From now on it is noticed when others write to the file.
    fn watch(&mut self, files: &Files) {
        if self.foreign.is_none() && !files.is_network {
            self.foreign = self.file().map(|one| Foreign::new(&files.real, &one.file));
        }
    }

    fn is_foreign(&mut self) -> bool {
        let file = self.files.iter().find(|one| one.end.is_empty());
        self.foreign.as_mut().zip(file).is_some_and(|(foreign, one)| foreign.look(&one.file))
    }
}

fn open(path: &Path) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(CWD, path, flags, Mode::empty()) {
        Err(Errno::NOENT) => Ok(None),
        file => Ok(Some(file?)),
    }
}

fn is_same(own: &Stat, found: &Metadata) -> bool {
    (own.st_dev, own.st_ino) == (found.dev(), found.ino())
}

impl One {
    fn look(&mut self) -> Result<(), Gone> {
        let gone = |how| Err(Gone { path: self.path.clone(), how });
        let own = match fstat(&self.file) {
            Ok(own) => own,
            // What a network file system says of one that another machine removed.
            Err(Errno::STALE) => return gone(How::Removed),
            // Whatever ails the disk, the next write says it.
            Err(_) => return Ok(()),
        };
        match fs::symlink_metadata(&self.path) {
            Ok(found) if is_same(&own, &found) => {}
            Ok(_) => return gone(How::Replaced),
            Err(_) if own.st_nlink == 0 => return gone(How::Removed),
            Err(error) => {
                let kind = error.kind();
                let is_away = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
                return if is_away.contains(&kind) { gone(How::Moved) } else { Ok(()) };
            }
        }
        self.look_at_length(own)
    }

    fn look_at_length(&mut self, own: Stat) -> Result<(), Gone> {
        let size = own.st_size as u64;
        match self.size {
            Some(from) if size < from => {
                Err(Gone { path: self.path.clone(), how: How::Cut { from, to: size } })
            }
            Some(_) => {
                self.size = Some(size);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

pub(crate) mod alone;
pub(crate) mod beside;
pub(crate) mod journal;
pub(crate) mod lock;
pub(crate) mod made;
pub(crate) mod mark;
pub(crate) mod meta_page;
pub(crate) mod network;
pub(crate) mod orphans;
pub(crate) mod part;
pub(crate) mod paths;
#[cfg(test)]
mod tests;
pub(crate) mod wal;
pub(crate) mod watch;
