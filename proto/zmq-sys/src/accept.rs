//! What libzmq calls in place of accept(2), because `build.rs` renames the call.
//!
//! Who may come in while descriptors are few: a connection is a descriptor, and a process without
//! any left can neither let in its owner nor read a file. The system gives the lowest free number,
//! so the number of a new one tells how full the table is. Above a share of it, connections are
//! closed at once; those over ipc, which only the process's own user can open, have a larger share.
//!
//! So are those for which too many others have not said who they are: each costs some memory and a
//! descriptor, and strangers must not take those of peers that are known. All that are closed at
//! once are told so first: else nobody could tell a hub that is full from a tunnel to nowhere.
//!
//! libzmq 4.3.5 takes a failed accept for a bug of its own and aborts, unless it knows the reason.
//! Its listener for ipc does not know that a process may be out of descriptors, and neither knows
//! the errors of a network that accept(2) passes on. All of them become ENFILE here, which both
//! listeners take for "not now". The connection stays in the backlog, so the listener is called
//! again at once: a short sleep keeps that from using up a processor.

use std::io::Error;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::Duration;

use libc::{c_int, sockaddr, socklen_t};

use crate::limits::makes_way;

const PAUSE: Duration = Duration::from_millis(2);

/// Descriptors that TCP leaves for ipc, keys and files, and ipc for keys and files.
const LEFT_BY_TCP: u64 = 64;
const LEFT_BY_IPC: u64 = 24;

static REFUSED: AtomicU64 = AtomicU64::new(0);
/// Of these, for want of descriptors.
static CROWDED_OUT: AtomicU64 = AtomicU64::new(0);

/// The begin of a greeting, as far as those who connect read it before they wait for the rest. Its padding,
/// which nobody reads, says why there is none.
pub const ZMQ_FULL: [u8; 10] = *b"\xffdhubfull\x7f";

#[cfg(target_os = "linux")]
const FLAGS: c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
#[cfg(not(target_os = "linux"))]
const FLAGS: c_int = libc::MSG_DONTWAIT;

/// Given up for a moment to take in a connection, and close it, when there is no other left.
static SPARE: AtomicI32 = AtomicI32::new(-1);

/// How many connections were closed at once: the process had too few descriptors left, or too many
/// connections that have not said who they are.
pub fn zmq_connections_refused() -> u64 {
    REFUSED.load(Ordering::Relaxed)
}

/// How many of them for want of descriptors.
pub fn zmq_connections_crowded_out() -> u64 {
    CROWDED_OUT.load(Ordering::Relaxed)
}

/// Of so many descriptors, those that connections over TCP may have, together with all that are open already.
pub fn zmq_descriptors_for_tcp(all: u64) -> u64 {
    all - LEFT_BY_TCP.min(all / 4)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dhub_zmq_accept(
    listener: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
) -> c_int {
    keep_spare();
    // SAFETY: the arguments are libzmq's own for accept(2), passed on as they came.
    let socket = unsafe { accept(listener, address, length) };
    if socket >= 0 {
        // SAFETY: libzmq's own buffer, which holds the address of the other side now.
        let is_ipc = unsafe { (*address).sa_family } == libc::AF_UNIX as libc::sa_family_t;
        return match (is_ipc || makes_way(), has_room(socket, is_ipc)) {
            (false, _) => refuse(socket),
            (true, false) => crowd_out(socket),
            (true, true) => socket,
        };
    }
    match Error::last_os_error().raw_os_error() {
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
        ) => fail(known),
        Some(libc::EMFILE) => {
            let spare = SPARE.swap(-1, Ordering::Relaxed);
            if spare < 0 {
                return not_now();
            }
            close(spare);
            // SAFETY: as above.
            match unsafe { accept(listener, address, length) } {
                ..0 => not_now(),
                socket => crowd_out(socket),
            }
        }
        _ => not_now(),
    }
}

/// # Safety
/// As for accept(2).
unsafe fn accept(listener: c_int, address: *mut sockaddr, length: *mut socklen_t) -> c_int {
    #[cfg(target_os = "linux")]
    // SAFETY: by the caller's promise. Closed in the tasks that a worker starts, from the first moment.
    return unsafe { libc::accept4(listener, address, length, libc::SOCK_CLOEXEC) };
    #[cfg(not(target_os = "linux"))]
    // SAFETY: by the caller's promise.
    return unsafe { libc::accept(listener, address, length) };
}

fn has_room(socket: c_int, is_ipc: bool) -> bool {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: it writes to the struct that it is given.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return true;
    }
    let all = limit.rlim_cur;
    let most = if is_ipc { all - LEFT_BY_IPC.min(all / 8) } else { zmq_descriptors_for_tcp(all) };
    u64::try_from(socket).is_ok_and(|number| number < most)
}

fn crowd_out(socket: c_int) -> c_int {
    CROWDED_OUT.fetch_add(1, Ordering::Relaxed);
    refuse(socket)
}

fn refuse(socket: c_int) -> c_int {
    REFUSED.fetch_add(1, Ordering::Relaxed);
    // SAFETY: a socket of ours, and as many bytes as there are. Whether they arrive is not waited for.
    unsafe { libc::send(socket, ZMQ_FULL.as_ptr().cast(), ZMQ_FULL.len(), FLAGS) };
    close(socket);
    fail(libc::ECONNABORTED)
}

fn not_now() -> c_int {
    std::thread::sleep(PAUSE);
    fail(libc::ENFILE)
}

fn fail(number: c_int) -> c_int {
    // SAFETY: the location is this thread's own errno.
    unsafe { *errno() = number };
    -1
}

fn keep_spare() {
    if SPARE.load(Ordering::Relaxed) >= 0 {
        return;
    }
    // SAFETY: a path that ends with a NUL.
    let spare = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    let before = SPARE.swap(spare, Ordering::Relaxed);
    if before >= 0 {
        close(before);
    }
}

fn close(descriptor: c_int) {
    // SAFETY: it was opened here, and nobody else knows it.
    unsafe { libc::close(descriptor) };
}

#[cfg(target_os = "linux")]
use libc::__errno_location as errno;
#[cfg(not(target_os = "linux"))]
use libc::__error as errno;
