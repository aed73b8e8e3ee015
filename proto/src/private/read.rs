//! Files with keys, and what stands in for one on a command line.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, open};

use super::{PrivateError, io_error};

const ADVICE: &str = "give a file or a pipe of yours";

/// The text of a file that nobody else can read.
pub fn read(path: &Path) -> Result<String, PrivateError> {
    let file = look(path)?;
    if !file.metadata().map_err(io_error(path))?.is_file() {
        return Err(PrivateError::NotRegular { path: path.to_owned() });
    }
    io::read_to_string(file).map_err(io_error(path))
}

/// The same of what a person named, which may be a pipe.
pub fn read_given(path: &Path) -> Result<String, PrivateError> {
    let file = look(path)?;
    // It was opened without waiting for anybody, and would seem empty until somebody writes.
    let wait = || -> rustix::io::Result<()> {
        poll(&mut [PollFd::new(&file, PollFlags::IN)], None)?;
        fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)
    };
    wait().map_err(|errno| io_error(path)(errno.into()))?;
    io::read_to_string(file).map_err(io_error(path))
}

/// Opens it; of the open file, so that what is read is what was looked at.
fn look(path: &Path) -> Result<File, PrivateError> {
    // Nothing may make this wait: whose it is is not known yet.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = open(path, flags, Mode::empty());
    let file = File::from(opened.map_err(|errno| io_error(path)(errno.into()))?);
    let meta = file.metadata().map_err(io_error(path))?;
    let path = || path.to_owned();
    if !meta.is_file() && !meta.file_type().is_fifo() {
        return Err(PrivateError::Kind { path: path() });
    }
    if meta.mode() & 0o077 != 0 {
        return Err(PrivateError::FileMode { path: path() });
    }
    // Whoever made it decides what comes out of it; root decides all the same.
    let (owner, own) = (meta.uid(), rustix::process::getuid().as_raw());
    if owner != own && !(meta.is_file() && owner == 0) {
        return Err(PrivateError::Owner { path: path(), owner, advice: ADVICE });
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;
    use std::thread;

    use super::*;

    #[test]
    fn a_pipe_is_waited_for_only_where_a_person_named_it() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(Command::new("mkfifo").args(["-m", "600"]).arg(&pipe).status().unwrap().success());
        // Nobody writes, so this would wait for ever.
        assert!(matches!(read(&pipe), Err(PrivateError::NotRegular { .. })));
        let writer = {
            let pipe = pipe.clone();
            thread::spawn(move || fs::write(pipe, "secret").unwrap())
        };
        assert_eq!(read_given(&pipe).unwrap(), "secret");
        writer.join().unwrap();
    }
}
