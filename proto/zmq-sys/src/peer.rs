//! Is a peer of a ROUTER there, and the rest and the end of a user's connections. libzmq by itself knows
//! none of these.

use libc::{c_int, c_void};

unsafe extern "C" {
    // peer.cpp
    fn dhub_zmq_has_peer(socket: *mut c_void, id: *const c_void, size: usize) -> c_int;
    fn dhub_zmq_drop_user(socket: *mut c_void, id: *const c_void, size: usize) -> c_int;
    fn dhub_zmq_wake(socket: *mut c_void);
    // limits.cpp
    fn dhub_zmq_rest(id: *const c_void, size: usize, rests: c_int);
}

/// Whether nothing is received from the connections of a user, by the id that a ZAP handler gave, by any
/// ROUTER or PULL of this process: what it sends stays in its pipes, and then with it. For sockets that
/// have been told of an end of it (`zmq_wake`). Where bytes are limited.
pub fn zmq_rest(id: &[u8], rests: bool) {
    // SAFETY: the id is read only during the call.
    unsafe { dhub_zmq_rest(id.as_ptr().cast(), id.len(), rests.into()) };
}

/// Tells a ROUTER or PULL that some users rest no more.
///
/// # Safety
/// `socket` is one of libzmq's, open, and no other thread uses it.
pub unsafe fn zmq_wake(socket: *mut c_void) {
    // SAFETY: the socket by the caller's promise.
    unsafe { dhub_zmq_wake(socket) };
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
