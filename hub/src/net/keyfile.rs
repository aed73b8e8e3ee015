//! The file of keys: read when somebody says so, and looked at in between. A key that is taken back is
//! refused soon, also if the hub cannot be told or has no descriptor left.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::net::error::HomeError;
use crate::net::grant::Grant;
use crate::net::home::Home;

/// Descriptors kept to read the keys with. One would do, if no connection took it in between.
const SPARE: usize = 4;

pub struct KeyFile {
    home: Home,
    path: PathBuf,
    /// As it was when it was read last.
    seen: Option<Stamp>,
    spare: Vec<File>,
}

/// Another one after each change: the file is replaced, never written over.
#[derive(PartialEq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl From<Metadata> for Stamp {
    fn from(meta: Metadata) -> Self {
        Self {
            inode: meta.ino(),
            bytes: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

impl KeyFile {
    pub fn of(home: Home) -> Self {
        let path = home.keys_path();
        let mut file = Self { home, path, seen: None, spare: Vec::new() };
        file.reserve();
        file
    }

    /// Is there something else to read than the last time? Takes no descriptor.
    pub fn has_changed(&self) -> bool {
        self.stamp() != self.seen
    }

    pub fn read(&mut self) -> Result<Vec<Grant>, HomeError> {
        // Looked at before: what changes while it is read is read again.
        let stamp = self.stamp();
        self.spare.clear();
        let read = self.home.grants();
        self.reserve();
        // What could not be read is tried again.
        self.seen = stamp.filter(|_| read.is_ok());
        read
    }

    fn stamp(&self) -> Option<Stamp> {
        std::fs::symlink_metadata(&self.path).ok().map(Stamp::from)
    }

    fn reserve(&mut self) {
        let missing = SPARE.saturating_sub(self.spare.len());
        let nothing = || File::open("/dev/null");
        self.spare.extend(std::iter::repeat_with(nothing).take(missing).map_while(Result::ok));
    }
}
