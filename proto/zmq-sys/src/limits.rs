//! Limits in bytes. libzmq counts messages, and each may have as many bytes as one message may.

use std::time::Duration;

/// What the user id that a ZAP handler gives ends with, if its connections are to have all of their
/// share always, as those over ipc.
pub const ZMQ_EXEMPT: &str = "*";

unsafe extern "C" {
    // limits.cpp
    safe fn dhub_zmq_limit_bytes(per_pipe: i64, total: i64);
    safe fn dhub_zmq_limit_frame(ms: libc::c_int);
    safe fn dhub_zmq_limit_handshakes(most: libc::c_int);
    safe fn dhub_zmq_make_way() -> libc::c_int;
    safe fn dhub_zmq_limit_connections(most: libc::c_int);
    safe fn dhub_zmq_connections_admitted() -> u32;
    safe fn dhub_zmq_connections_left() -> libc::c_int;
    safe fn dhub_zmq_held_bytes() -> i64;
}

/// Limits what connections that are accepted from now on may hold: each of them in one direction,
/// and all together. The connections of one user, by the id that a ZAP handler gave, hold at most as
/// much as they leave to the others; those without an id are one user. The nearer the sum comes to
/// that, the smaller is the share of each; a small message gets through always, one at a time, and
/// those over ipc and those that are exempt (`ZMQ_EXEMPT`) have all of their share always. A large
/// frame for which there is no room ends its connection. Without this call, or with 0, there is no
/// limit.
pub fn zmq_limit_bytes(per_pipe: u64, total: u64) {
    let of = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    dhub_zmq_limit_bytes(of(per_pipe), of(total));
}

/// How long a large frame may take to arrive, if there are limits; one minute if this is not called.
pub fn zmq_limit_frame(time: Duration) {
    dhub_zmq_limit_frame(libc::c_int::try_from(time.as_millis()).unwrap_or(libc::c_int::MAX));
}

/// How many connections over TCP may be accepted that are not known yet; above that, new ones are closed
/// at once, or the oldest if it has had half a second to say who it is. Without this call, or with 0,
/// there is no limit.
pub fn zmq_limit_handshakes(most: u32) {
    dhub_zmq_limit_handshakes(libc::c_int::try_from(most).unwrap_or(libc::c_int::MAX));
}

/// False: one more is to be closed at once.
pub(crate) fn makes_way() -> bool {
    dhub_zmq_make_way() != 0
}

/// With so many connections over TCP that are known, more of them find none of their own: who connects is
/// told so in the greeting. Whether it is let in is for the ZAP handler to say. Without this call, or with
/// 0, there is no limit.
pub fn zmq_limit_connections(most: u32) {
    dhub_zmq_limit_connections(libc::c_int::try_from(most).unwrap_or(libc::c_int::MAX));
}

/// How many more there may be; below 0: there are as many too many.
pub fn zmq_connections_left() -> i32 {
    dhub_zmq_connections_left()
}

/// How many were let in since the start, modulo 2^32. To be read before `zmq_connections_left`: then one that comes
/// in between is counted there at least.
pub fn zmq_connections_admitted() -> u32 {
    dhub_zmq_connections_admitted()
}

/// What is held now: queued, being received or being sent.
pub fn zmq_held_bytes() -> u64 {
    u64::try_from(dhub_zmq_held_bytes()).unwrap_or(0)
}
