//! A disk that knows what is written and what is safe, counts what is asked of it, and fails when
//! it is told to.
//!
//! The files are real, so that the store finds them; they are what the system shows. Beside each is
//! what a loss of power leaves: its bytes at the last sync, and what was written since.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::SystemTime;

use rusqlite::ffi;

use crate::random::Random;

/// A code of SQLite.
#[derive(Debug)]
pub struct Failed(pub i32);

/// What a disk may do with an I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails once.
    Eio,
    /// It and all that follow fail.
    Gone,
    /// From it on nothing new finds space.
    Full,
    /// The same, of its user's share.
    Quota,
    /// From it on nothing is taken, as where the system makes a file system read-only that has errors.
    ReadOnly,
    /// A write that takes half of its bytes.
    Short,
    /// A sync that fails. What it was to make safe counts as written, and is not (as on Linux).
    Sync,
    /// Such a sync, and all I/Os after it.
    SyncGone,
}

/// What an I/O is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Look,
    Write {
        grows: bool,
    },
    Delete,
    Sync,
    /// Of a directory.
    SyncNames,
}

impl Fault {
    pub fn strikes(self, kind: Kind) -> bool {
        match self {
            Fault::Eio | Fault::Gone => true,
            Fault::Full | Fault::Quota => kind == Kind::Write { grows: true },
            Fault::ReadOnly => matches!(kind, Kind::Write { .. } | Kind::Delete),
            Fault::Short => matches!(kind, Kind::Write { .. }),
            Fault::Sync | Fault::SyncGone => matches!(kind, Kind::Sync | Kind::SyncNames),
        }
    }
}

/// What is left when the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// What was synced, nothing else.
    Unsynced,
    /// Nothing is lost: the process was killed.
    Nothing,
    /// In the order of the writes up to one, which is torn.
    After(u64),
    /// Any sectors of what was not synced, of any file.
    Sectors(u64),
}

const SECTOR: usize = 512;

#[derive(Clone)]
enum Edit {
    Write { at: usize, bytes: Arc<[u8]> },
    Truncate { size: usize },
}

#[derive(Clone, Default)]
struct Content {
    synced: Arc<Vec<u8>>,
    /// Since then, each with its place among all edits of the disk.
    edits: Vec<(u64, Edit)>,
    /// A sync failed: some of what the system shows will never be safe, unless it is written again.
    lacks: bool,
}

/// What the system shows, and what would survive it.
#[derive(Clone, Default)]
pub struct Surface {
    contents: Vec<Content>,
    names: BTreeMap<PathBuf, usize>,
    /// As the directory has them on disk.
    synced_names: BTreeMap<PathBuf, usize>,
    edits: u64,
}

/// The bytes of each file.
pub type Image = BTreeMap<PathBuf, Vec<u8>>;

struct OpenFile {
    file: File,
    content: usize,
    /// A new log: its first sync makes its name safe too, and with it all others.
    syncs_names: bool,
}

#[derive(Default)]
pub struct Disk {
    surface: Surface,
    open: Vec<OpenFile>,
    /// The I/Os so far.
    pub ios: Vec<Kind>,
    plan: Option<(usize, Fault)>,
    /// What happens to all I/Os now.
    state: Option<Fault>,
    /// The first I/O that failed.
    pub struck: Option<Kind>,
    /// The process was killed: whatever its end would still do does not happen.
    pub killed: bool,
    /// Files that are not safe, and carry an old time to show whether somebody writes to them.
    marked: Vec<PathBuf>,
    /// The surface after each I/O that changed it, if that is wanted.
    pub history: Option<Vec<Surface>>,
    /// Syncs wait at it.
    pub gate: Arc<Gate>,
}

/// What waits here waits until it is opened.
#[derive(Default)]
pub struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    closed: bool,
    waiting: u32,
    /// So many of them may pass all the same.
    passes: u32,
}

impl Gate {
    pub fn close(&self) {
        let mut state = self.state.lock().expect("a gate");
        (state.closed, state.passes) = (true, 0);
    }

    pub fn open(&self) {
        self.state.lock().expect("a gate").closed = false;
        self.changed.notify_all();
    }

    /// One who waits, not one who comes later.
    pub fn let_one_pass(&self) {
        let mut state = self.state.lock().expect("a gate");
        state.passes = state.waiting.min(1);
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock().expect("a gate");
        state.waiting += 1;
        let is_shut = |state: &mut GateState| state.closed && state.passes == 0;
        let mut state = self.changed.wait_while(state, is_shut).expect("a gate");
        state.waiting -= 1;
        state.passes = state.passes.saturating_sub(1);
    }
}

impl Disk {
    /// A disk without files that fails at the first I/O from `at` on that the fault is for.
    pub fn reset(&mut self, plan: Option<(usize, Fault)>) {
        *self = Self { plan, ..Self::default() };
    }

    /// From now on it works, with the files it has.
    pub fn mend(&mut self) {
        (self.plan, self.state) = (None, None);
        for (path, &content) in &self.surface.names {
            let content = &self.surface.contents[content];
            if content.lacks || !content.edits.is_empty() {
                let file = File::options().write(true).open(path).expect("a file");
                file.set_modified(SystemTime::UNIX_EPOCH).expect("another time");
                self.marked.push(path.clone());
            }
        }
    }

    /// The store writes and syncs its log without SQLite when it starts; that makes it safe.
    fn notice_rewrites(&mut self) {
        for path in std::mem::take(&mut self.marked) {
            let time = fs::metadata(&path).and_then(|meta| meta.modified()).expect("a file");
            if time != SystemTime::UNIX_EPOCH {
                let synced = Arc::new(fs::read(&path).expect("a file"));
                let content = self.surface.names[&path];
                self.surface.contents[content] = Content { synced, ..Content::default() };
            }
        }
    }

    pub fn surface(&self) -> &Surface {
        &self.surface
    }

    /// Is this I/O to fail?
    fn fault(&mut self, kind: Kind) -> Option<Fault> {
        if self.killed {
            return Some(Fault::Gone);
        }
        let number = self.ios.len();
        self.ios.push(kind);
        if let Some(state) = self.state
            && state.strikes(kind)
        {
            return Some(state);
        }
        let (at, fault) = self.plan?;
        if number < at || !fault.strikes(kind) {
            return None;
        }
        self.struck = Some(kind);
        self.plan = None;
        self.state = match fault {
            Fault::Gone | Fault::SyncGone => Some(Fault::Gone),
            Fault::Full | Fault::Quota | Fault::ReadOnly => Some(fault),
            Fault::Eio | Fault::Short | Fault::Sync => None,
        };
        Some(fault)
    }

    /// What the system says where SQLite says only that something failed.
    pub fn errno(&self) -> i32 {
        match self.state {
            Some(Fault::Full) => libc::ENOSPC,
            Some(Fault::Quota) => libc::EDQUOT,
            Some(Fault::ReadOnly) => libc::EROFS,
            _ => libc::EIO,
        }
    }

    fn look(&mut self, code: i32) -> Result<(), Failed> {
        self.fault(Kind::Look).map_or(Ok(()), |_| Err(Failed(code)))
    }

    fn changed(&mut self) {
        if let Some(history) = &mut self.history {
            history.push(self.surface.clone());
        }
    }

    fn edit(&mut self, content: usize, edit: Edit) {
        self.surface.edits += 1;
        self.surface.contents[content].edits.push((self.surface.edits, edit));
        self.changed();
    }

    pub fn open(&mut self, path: &Path, create: bool, is_new_log: bool) -> Result<usize, Failed> {
        let exists = self.surface.names.contains_key(path);
        let kind = if exists { Kind::Look } else { Kind::Write { grows: true } };
        if self.fault(kind).is_some() || !(exists || create) {
            return Err(Failed(ffi::SQLITE_CANTOPEN));
        }
        let file =
            OpenOptions::new().read(true).write(true).create(create).truncate(false).open(path);
        let file = file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if !exists {
            self.surface.names.insert(path.to_owned(), self.surface.contents.len());
            self.surface.contents.push(Content::default());
            self.changed();
        }
        let content = self.surface.names[path];
        self.open.push(OpenFile { file, content, syncs_names: is_new_log });
        Ok(self.open.len() - 1)
    }

    pub fn read(&mut self, file: usize, at: u64, to: &mut [u8]) -> Result<(), Failed> {
        self.look(ffi::SQLITE_IOERR_READ)?;
        let mut read = 0;
        while read < to.len() {
            match self.open[file].file.read_at(&mut to[read..], at + read as u64) {
                Ok(0) => return Err(Failed(ffi::SQLITE_IOERR_SHORT_READ)),
                Ok(n) => read += n,
                Err(error) => panic!("a read: {error}"),
            }
        }
        Ok(())
    }

    pub fn write(&mut self, file: usize, at: u64, from: &[u8]) -> Result<(), Failed> {
        self.notice_rewrites();
        let grows = at + from.len() as u64 > self.real_size(file);
        let fault = self.fault(Kind::Write { grows });
        let written = match fault {
            None => from,
            Some(Fault::Short) => &from[..from.len() / 2],
            Some(_) => &[],
        };
        if !written.is_empty() {
            let open = &self.open[file];
            open.file.write_all_at(written, at).expect("a write");
            let (at, bytes) = (at as usize, Arc::from(written));
            self.edit(open.content, Edit::Write { at, bytes });
        }
        match fault {
            None => Ok(()),
            Some(Fault::Full | Fault::Short) => Err(Failed(ffi::SQLITE_FULL)),
            Some(_) => Err(Failed(ffi::SQLITE_IOERR_WRITE)),
        }
    }

    pub fn truncate(&mut self, file: usize, size: u64) -> Result<(), Failed> {
        self.notice_rewrites();
        let grows = size > self.real_size(file);
        if self.fault(Kind::Write { grows }).is_some() {
            return Err(Failed(ffi::SQLITE_IOERR_TRUNCATE));
        }
        self.open[file].file.set_len(size).expect("a truncation");
        self.edit(self.open[file].content, Edit::Truncate { size: size as usize });
        Ok(())
    }

    pub fn sync(&mut self, file: usize) -> Result<(), Failed> {
        self.gate.pass();
        self.notice_rewrites();
        let fault = self.fault(Kind::Sync);
        let open = &mut self.open[file];
        let content = &mut self.surface.contents[open.content];
        match fault {
            None => {
                let edits = std::mem::take(&mut content.edits);
                let synced = Arc::make_mut(&mut content.synced);
                edits.iter().for_each(|(_, edit)| edit.apply(synced));
                if std::mem::take(&mut open.syncs_names) {
                    self.surface.synced_names = self.surface.names.clone();
                }
                self.changed();
                Ok(())
            }
            Some(fault) => {
                if matches!(fault, Fault::Sync | Fault::SyncGone) {
                    content.edits.clear();
                    content.lacks = true;
                }
                Err(Failed(ffi::SQLITE_IOERR_FSYNC))
            }
        }
    }

    pub fn size(&mut self, file: usize) -> Result<u64, Failed> {
        self.look(ffi::SQLITE_IOERR_FSTAT)?;
        Ok(self.real_size(file))
    }

    fn real_size(&self, file: usize) -> u64 {
        self.open[file].file.metadata().expect("a file").len()
    }

    /// An empty file counts as none, as for SQLite's own VFS.
    pub fn exists(&mut self, path: &Path) -> Result<bool, Failed> {
        self.look(ffi::SQLITE_IOERR_ACCESS)?;
        Ok(fs::metadata(path).is_ok_and(|meta| meta.len() > 0))
    }

    pub fn delete(&mut self, path: &Path, sync_names: bool) -> Result<(), Failed> {
        self.notice_rewrites();
        if self.fault(Kind::Delete).is_some() {
            return Err(Failed(ffi::SQLITE_IOERR_DELETE));
        }
        if self.surface.names.remove(path).is_none() {
            return Err(Failed(ffi::SQLITE_IOERR_DELETE_NOENT));
        }
        fs::remove_file(path).expect("a file to remove");
        self.changed();
        if sync_names { self.sync_names() } else { Ok(()) }
    }

    /// A directory is synced: all names in it are safe.
    pub fn sync_names(&mut self) -> Result<(), Failed> {
        if self.fault(Kind::SyncNames).is_some() {
            return Err(Failed(ffi::SQLITE_IOERR_DIR_FSYNC));
        }
        self.surface.synced_names = self.surface.names.clone();
        self.changed();
        Ok(())
    }

    /// The power goes and comes back: the real files are what is left of them.
    pub fn lose(&mut self, loss: Loss) {
        self.notice_rewrites();
        let image = self.surface.image(loss);
        for path in self.surface.names.keys() {
            let _ = fs::remove_file(path);
        }
        let mut surface = Surface::default();
        for (path, bytes) in image {
            fs::write(&path, &bytes).expect("what is left of a file");
            surface.names.insert(path, surface.contents.len());
            surface.contents.push(Content { synced: Arc::new(bytes), ..Content::default() });
        }
        surface.synced_names = surface.names.clone();
        self.surface = surface;
    }
}

impl Edit {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Edit::Write { at, bytes } => put(to, *at, bytes),
            Edit::Truncate { size } => to.resize(*size, 0),
        }
    }
}

fn put(to: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    to.resize(to.len().max(at + bytes.len()), 0);
    to[at..at + bytes.len()].copy_from_slice(bytes);
}

impl Surface {
    /// What a loss of power leaves.
    pub fn image(&self, loss: Loss) -> Image {
        match loss {
            Loss::Unsynced => self.left(&self.synced_names, |_, _, _| {}),
            Loss::Nothing => self.left(&self.names, |_, edit, to| edit.apply(to)),
            Loss::After(seed) => {
                let mut random = Random::new(seed);
                let first = self.contents.iter().flat_map(|content| content.edits.first());
                let first = first.map(|(number, _)| *number).min().unwrap_or(self.edits);
                let last = first + random.below(self.edits + 1 - first);
                let names = self.some_names(&mut random);
                self.left(&names, |number, edit, to| match edit {
                    edit if number < last => edit.apply(to),
                    Edit::Write { at, bytes } if number == last => {
                        let sectors = random.below((bytes.len() / SECTOR) as u64 + 1) as usize;
                        put(to, *at, &bytes[..sectors * SECTOR]);
                    }
                    _ => {}
                })
            }
            Loss::Sectors(seed) => {
                let mut random = Random::new(seed);
                // Of eight sectors this many survive; where one does not, a longer file has rubbish.
                let (most, rubbish) = (random.below(7) + 1, random.below(2) * 0xA5);
                let names = self.some_names(&mut random);
                self.left(&names, |_, edit, to| match edit {
                    Edit::Truncate { .. } if random.below(8) < most => edit.apply(to),
                    Edit::Truncate { .. } => {}
                    Edit::Write { at, bytes } => {
                        let mut at = *at;
                        let mut rest = &bytes[..];
                        while !rest.is_empty() {
                            let size = (SECTOR - at % SECTOR).min(rest.len());
                            if random.below(8) < most {
                                if at > to.len() {
                                    to.resize(at, rubbish as u8);
                                }
                                put(to, at, &rest[..size]);
                            }
                            (at, rest) = (at + size, &rest[size..]);
                        }
                    }
                })
            }
        }
    }

    /// Each name that came or went since the directory was synced may have done so on disk.
    fn some_names(&self, random: &mut Random) -> BTreeMap<PathBuf, usize> {
        let mut names = self.synced_names.clone();
        for path in self.names.keys().chain(self.synced_names.keys()) {
            if self.names.get(path) != self.synced_names.get(path) && random.below(2) == 0 {
                match self.names.get(path) {
                    Some(&content) => names.insert(path.clone(), content),
                    None => names.remove(path),
                };
            }
        }
        names
    }

    fn left(
        &self,
        names: &BTreeMap<PathBuf, usize>,
        mut keep: impl FnMut(u64, &Edit, &mut Vec<u8>),
    ) -> Image {
        let mut image = Image::new();
        for (path, &content) in names {
            let content = &self.contents[content];
            let mut bytes = content.synced.to_vec();
            content.edits.iter().for_each(|(number, edit)| keep(*number, edit, &mut bytes));
            image.insert(path.clone(), bytes);
        }
        image
    }
}
