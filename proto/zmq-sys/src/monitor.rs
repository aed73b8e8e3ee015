//! Events of a socket with the address of the other side.
//!
//! libzmq has that among its drafts. The published way, zmq_socket_monitor, tells one address, which is
//! the own one of a socket that was bound; and it waits when nobody takes its events, which would stop
//! all connections.

use std::ffi::CStr;

use libc::{c_char, c_int, c_void};

use crate::ffi::ZMQ_PUB;

/// The one with both addresses.
const VERSION: c_int = 2;

unsafe extern "C" {
    // monitor.cpp
    fn dhub_zmq_monitor(
        socket: *mut c_void,
        endpoint: *const c_char,
        events: u64,
        version: c_int,
        kind: c_int,
    ) -> c_int;
}

/// Publishes `events` at `endpoint`, an inproc address, for a SUB to connect to. What it does not
/// take in time is dropped. Frames: event, number of values, the values (each of these in 8 bytes of
/// this machine's order), local address, remote address. 0, or -1 with libzmq's errno.
///
/// # Safety
/// `socket` is one of libzmq's, open, and no other thread uses it.
pub unsafe fn zmq_publish_events(socket: *mut c_void, endpoint: &CStr, events: u64) -> c_int {
    // SAFETY: the socket by the caller's promise; the text ends with a NUL and is copied.
    unsafe { dhub_zmq_monitor(socket, endpoint.as_ptr(), events, VERSION, ZMQ_PUB as c_int) }
}
