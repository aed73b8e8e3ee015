//! A pipe that keeps writes apart: what several programs say into it arrives write by write, as
//! a terminal that they share would show it.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use rustix::pipe::{PipeFlags, pipe_with};

pub struct Writes {
    read: File,
    write: OwnedFd,
}

impl Writes {
    pub fn new() -> Self {
        let (read, write) = pipe_with(PipeFlags::DIRECT | PipeFlags::CLOEXEC).expect("a pipe");
        Self { read: read.into(), write }
    }

    /// One more end to write to.
    pub fn end(&self) -> Stdio {
        self.write.try_clone().expect("a pipe").into()
    }

    /// All writes, once everybody who has an end is gone.
    pub fn read(self) -> Vec<String> {
        let Self { mut read, write } = self;
        drop(write);
        let mut writes = Vec::new();
        // A longer write would arrive in pieces.
        let mut buffer = [0; 4096];
        while let n @ 1.. = read.read(&mut buffer).expect("a pipe") {
            writes.push(String::from_utf8_lossy(&buffer[..n]).into_owned());
        }
        writes
    }
}

impl Default for Writes {
    fn default() -> Self {
        Self::new()
    }
}
