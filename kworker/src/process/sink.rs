//! Where a task's output goes, and how its end is read.

use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Stdio;

use rustix::fs::{OFlags, fcntl_setfl};

use super::tail::Tail;

/// Reads from the pipe of a task that ended: more than a pipe holds, but not for ever.
const LAST_READS_MAX: usize = 16;
const READ_BYTES: usize = 64 * 1024;

/// Where one task is to write.
#[derive(Debug)]
pub enum Output {
    /// A pipe, of which the last bytes are kept.
    Tail,
    Nothing,
    /// Opened for appending.
    File {
        file: File,
        path: PathBuf,
    },
}

/// This side of it.
#[derive(Debug)]
pub enum Sink {
    Pipe {
        pipe: Option<PipeReader>,
        tail: Tail,
    },
    Nothing,
    /// `from`: what was in the file before is not this attempt's.
    File {
        file: File,
        path: PathBuf,
        from: u64,
        bytes_max: usize,
    },
}

impl Output {
    /// The task's side, for both of its streams, and this one.
    pub fn open(self, bytes_max: usize) -> io::Result<([Stdio; 2], Sink)> {
        match self {
            Self::Tail => {
                let (pipe, write) = io::pipe()?;
                fcntl_setfl(&pipe, OFlags::NONBLOCK)?;
                let sink = Sink::Pipe { pipe: Some(pipe), tail: Tail::new(bytes_max) };
                Ok(([write.try_clone()?.into(), write.into()], sink))
            }
            Self::Nothing => Ok(([Stdio::null(), Stdio::null()], Sink::Nothing)),
            Self::File { file, path } => {
                let both = [file.try_clone()?.into(), file.try_clone()?.into()];
                let from = file.metadata()?.len();
                Ok((both, Sink::File { file, path, from, bytes_max }))
            }
        }
    }
}

impl Sink {
    /// What has to be read while the task runs.
    pub fn pipe(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Pipe { pipe, .. } => pipe.as_ref().map(AsFd::as_fd),
            _ => None,
        }
    }

    /// Reads once. Whether there may be more.
    pub fn read(&mut self, buffer: &mut [u8]) -> bool {
        let Self::Pipe { pipe: source, tail } = self else { return false };
        let Some(pipe) = source else { return false };
        match pipe.read(buffer) {
            Ok(0) => {
                *source = None;
                false
            }
            Ok(bytes) => {
                tail.push(&buffer[..bytes]);
                true
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(_) => {
                *source = None;
                false
            }
        }
    }

    /// The last bytes of the output, and the file that has all of it.
    pub fn end(mut self, buffer: &mut [u8]) -> (Vec<u8>, String) {
        for _ in 0..LAST_READS_MAX {
            if !self.read(buffer) {
                break;
            }
        }
        match self {
            Self::Pipe { tail, .. } => (tail.into_bytes(), String::new()),
            Self::Nothing => (Vec::new(), String::new()),
            Self::File { file, path, from, bytes_max } => {
                let end = end_of(&file, from, bytes_max).unwrap_or_else(|error| {
                    tracing::warn!(path = %path.display(), %error, "cannot read the end of the output");
                    Vec::new()
                });
                (end, path.to_string_lossy().into_owned())
            }
        }
    }
}

pub fn buffer() -> Box<[u8]> {
    vec![0; READ_BYTES].into()
}

fn end_of(file: &File, from: u64, bytes_max: usize) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(bytes_max as u64).max(from.min(length));
    let mut end = vec![0; (length - start) as usize];
    let mut read = 0;
    while read < end.len() {
        // Somebody may have made it shorter meanwhile.
        match file.read_at(&mut end[read..], start + read as u64)? {
            0 => break,
            bytes => read += bytes,
        }
    }
    end.truncate(read);
    Ok(end)
}
