//! The file that a worker says a task wrote to. A worker that may only work can name any file, so it is looked
//! at before anything of it is printed.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use dhub_proto::output::bears;
use dhub_proto::wire::AttemptInfo;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

/// A file that is older than its attempt by this is another one, of the same name on this machine.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

pub enum Found {
    File(File),
    /// It is not here, or is that of another machine.
    Absent,
    /// Why it is there and is not printed.
    Refused(&'static str),
}

/// `any`: somebody who has seen the path asks for it, whatever it is called and whoever has written it.
pub fn open(task: &str, attempt: &AttemptInfo, any: bool) -> Found {
    let path = Path::new(&attempt.output_file);
    if !path.is_absolute() {
        return Found::Absent;
    }
    // A FIFO is not waited for, and a link is not followed.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match openat(CWD, path, flags | OFlags::CLOEXEC, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP) => return Found::Refused("it is a link"),
        Err(_) => return Found::Absent,
    };
    // Of the open file: what is printed is what was looked at.
    let Ok(meta) = file.metadata() else { return Found::Absent };
    if !meta.is_file() {
        return Found::Refused("it is no regular file");
    }
    if !any && meta.uid() != rustix::process::getuid().as_raw() {
        return Found::Refused("it belongs to somebody else; if it is right: --file");
    }
    if !any && !bears(path, task) {
        return Found::Refused("it has not the task's name; if it is right: --file");
    }
    match is_of(attempt, &meta) {
        Ok(true) => Found::File(file),
        _ => Found::Absent,
    }
}

/// On a shared file system it is the same one; on a disk of this machine it need not be.
fn is_of(attempt: &AttemptInfo, meta: &Metadata) -> io::Result<bool> {
    let began = UNIX_EPOCH + Duration::from_millis(attempt.started_unix_ms);
    let is_here = attempt.host == dhub_proto::host_name();
    Ok(is_here || meta.modified()? + CLOCKS_DIFFER >= began)
}
