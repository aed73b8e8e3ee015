//! The terminal that a pool was started on. Its tasks have none: in a group that is not in the
//! foreground a read from it would stop them for ever, and nobody would see what is asked.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// This process, and what it starts, has no controlling terminal any more. It stays in its session:
/// when its guardian is killed while both are stopped, the kernel lets it go on, as it does with
/// groups that lose their last relative in their session. In one of its own it would stay stopped.
pub fn let_go() {
    let Ok(terminal) = File::open("/dev/tty") else { return };
    if let Err(error) = disown(&terminal) {
        tracing::debug!(%error, "keeps its terminal");
    }
}

#[allow(unsafe_code, reason = "no well-kept crate has it")]
fn disown(terminal: &File) -> io::Result<()> {
    // SAFETY: the request takes no argument and touches no memory of this process; the descriptor
    // is open. Who does not lead its session, as a child, takes nothing from others by it.
    match unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCNOTTY) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
