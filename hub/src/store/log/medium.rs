//! Where the log lies.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use dhub_proto::disk::at as named;
use dhub_proto::private::{self, Mode, PrivateError};

/// What the log is written to: a file, or in tests a disk that fails.
pub trait Medium {
    fn read(&self) -> io::Result<Vec<u8>>;
    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()>;
    fn sync(&self) -> io::Result<()>;
    /// Nothing is in it any more.
    fn clear(&self) -> io::Result<()>;
    fn remove(self: Box<Self>) -> io::Result<()>;
}

/// The file as the system has it.
pub struct RedoFile {
    file: File,
    path: PathBuf,
}

impl RedoFile {
    /// Made if it is not there; then its name in the directory is safe too.
    pub fn open(path: &Path, mode: Option<Mode>) -> Result<Self, PrivateError> {
        let file = private::keep(path, mode)?.file;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let synced = File::open(parent.unwrap_or(Path::new("."))).and_then(|dir| dir.sync_all());
        synced.map_err(|source| PrivateError::Io { path: path.to_owned(), source })?;
        Ok(Self { file, path: path.to_owned() })
    }
}

impl Medium for RedoFile {
    fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.file.metadata()?.len() as usize];
        self.file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, at).map_err(named(&self.path))
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data().map_err(named(&self.path))
    }

    fn clear(&self) -> io::Result<()> {
        self.file.set_len(0).map_err(named(&self.path))
    }

    fn remove(self: Box<Self>) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }
}
