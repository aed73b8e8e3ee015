//! The redo log's way to a `Disk`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use dhub::store::log::Medium;
use rusqlite::ffi::SQLITE_FULL;

use crate::model::{Disk, Failed};

pub struct RedoOnDisk {
    disk: Arc<Mutex<Disk>>,
    file: usize,
    path: PathBuf,
}

/// As the system says it.
fn error(disk: &Disk, Failed(code): Failed) -> io::Error {
    io::Error::from_raw_os_error(if code == SQLITE_FULL { libc::ENOSPC } else { disk.errno() })
}

/// As `RedoFile::open` does it.
pub fn open(disk: &Arc<Mutex<Disk>>, path: &Path) -> io::Result<Box<dyn Medium>> {
    let mut held = disk.lock().expect("the disk");
    let file = held.open(path, true, false).map_err(|failed| error(&held, failed))?;
    held.sync_names().map_err(|failed| error(&held, failed))?;
    Ok(Box::new(RedoOnDisk { disk: Arc::clone(disk), file, path: path.to_owned() }))
}

impl RedoOnDisk {
    fn with<T>(&self, act: impl FnOnce(&mut Disk) -> Result<T, Failed>) -> io::Result<T> {
        let mut disk = self.disk.lock().expect("the disk");
        act(&mut disk).map_err(|failed| error(&disk, failed))
    }
}

impl Medium for RedoOnDisk {
    fn read(&self) -> io::Result<Vec<u8>> {
        let size = self.with(|disk| disk.size(self.file))?;
        let mut bytes = vec![0; size as usize];
        self.with(|disk| disk.read(self.file, 0, &mut bytes))?;
        Ok(bytes)
    }

    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.with(|disk| disk.write(self.file, at, bytes))
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|disk| disk.sync(self.file))
    }

    fn clear(&self) -> io::Result<()> {
        self.with(|disk| disk.truncate(self.file, 0))
    }

    fn remove(self: Box<Self>) -> io::Result<()> {
        self.with(|disk| disk.delete(&self.path, false))
    }
}
