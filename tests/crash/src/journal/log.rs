//! The file in which pools tell what they run.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use crate::plan::Key;

pub struct Log {
    path: PathBuf,
    read: u64,
}

impl Log {
    pub fn new(path: PathBuf) -> Self {
        Self { path, read: 0 }
    }

    /// Whole lines that are new.
    pub fn read(&mut self) -> io::Result<String> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
            Err(error) => return Err(error),
        };
        file.seek(SeekFrom::Start(self.read))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        self.read += text.len() as u64;
        Ok(text)
    }
}

/// What pools write when they begin a task: its name and the number of the attempt.
pub fn parse_line(line: &str) -> Option<(Key, u32)> {
    let (name, attempt) = line.split_once(' ')?;
    Some((Key::parse(name)?, attempt.parse().ok()?))
}
