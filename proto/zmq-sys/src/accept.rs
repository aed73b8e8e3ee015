//! What libzmq calls in place of accept(2), because `build.rs` renames the call.
//!
//! libzmq 4.3.5 takes a failed accept for a bug of its own and aborts, unless it knows the reason.
//! Its listener for ipc does not know that a process may be out of descriptors, and neither knows
//! the errors of a network that accept(2) passes on. All of them become ENFILE here, which both
//! listeners take for "not now". The connection stays in the backlog, so the listener is called
//! again at once: a short sleep keeps that from using up a processor.

use std::io::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use libc::{c_int, sockaddr, socklen_t};

static REFUSED: AtomicU64 = AtomicU64::new(0);

/// How many connections were closed at once, because the process had too few descriptors left.
pub fn zmq_connections_refused() -> u64 {
    REFUSED.load(Ordering::Relaxed)
}

const PAUSE: Duration = Duration::from_millis(2);

#[unsafe(no_mangle)]
unsafe extern "C" fn dhub_zmq_accept(
    listener: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
) -> c_int {
    // SAFETY: the arguments are libzmq's own for accept(2), passed on as they came.
    let socket = unsafe { libc::accept(listener, address, length) };
    if socket >= 0 {
        return socket;
    }
    let number = match Error::last_os_error().raw_os_error() {
        // What libzmq knows, and what would be a bug.
        Some(
            known @ (libc::EAGAIN
            | libc::EINTR
            | libc::ECONNABORTED
            | libc::EPROTO
            | libc::EBADF
            | libc::EFAULT
            | libc::EINVAL
            | libc::ENOTSOCK),
        ) => known,
        _ => {
            std::thread::sleep(PAUSE);
            libc::ENFILE
        }
    };
    // SAFETY: the location is this thread's own errno.
    unsafe { *libc::__errno_location() = number };
    socket
}
