//! Peers of a ROUTER: is one there, and its end. libzmq by itself can do neither.

use libc::{c_int, c_void};

unsafe extern "C" {
    // peer.cpp
    fn dhub_zmq_has_peer(socket: *mut c_void, id: *const c_void, size: usize) -> c_int;
    fn dhub_zmq_drop_peer(socket: *mut c_void, id: *const c_void, size: usize) -> c_int;
}

/// Is a peer with this routing id connected? As far as libzmq has told the socket: it does at each
/// look at its events.
///
/// # Safety
/// `socket` is one of libzmq's, open, and no other thread uses it.
pub unsafe fn zmq_has_peer(socket: *mut c_void, id: &[u8]) -> bool {
    // SAFETY: the socket by the caller's promise; the id is read only during the call.
    unsafe { dhub_zmq_has_peer(socket, id.as_ptr().cast(), id.len()) != 0 }
}

/// Closes the connection of the peer with this routing id, and drops what is queued from and to it.
/// False if there is none, or if only the first parts of a message of its were received so far.
///
/// # Safety
/// `socket` is one of libzmq's, open, and no other thread uses it.
pub unsafe fn zmq_drop_peer(socket: *mut c_void, id: &[u8]) -> bool {
    // SAFETY: the socket by the caller's promise; the id is read only during the call.
    unsafe { dhub_zmq_drop_peer(socket, id.as_ptr().cast(), id.len()) != 0 }
}
