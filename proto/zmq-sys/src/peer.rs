//! Is a peer of a ROUTER there, and the end of a user's connections. libzmq by itself can do neither.

use libc::{c_int, c_void};

unsafe extern "C" {
    // peer.cpp
    fn dhub_zmq_has_peer(socket: *mut c_void, id: *const c_void, size: usize) -> c_int;
    fn dhub_zmq_drop_user(socket: *mut c_void, id: *const c_void, size: usize) -> c_int;
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

/// Closes the connections to this ROUTER or PULL of a user, by the id that a ZAP handler gave, and drops
/// what is queued from and to it; where bytes are limited, otherwise nobody's. Those without an id are
/// one user. False: to be called again, for only the first parts of a message were received so far.
///
/// # Safety
/// `socket` is one of libzmq's, open, and no other thread uses it.
pub unsafe fn zmq_drop_user(socket: *mut c_void, id: &[u8]) -> bool {
    // SAFETY: the socket by the caller's promise; the id is read only during the call.
    unsafe { dhub_zmq_drop_user(socket, id.as_ptr().cast(), id.len()) != 0 }
}
