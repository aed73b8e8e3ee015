//! Limits in bytes. libzmq counts messages, and each may have as many bytes as one message may.

unsafe extern "C" {
    // limits.cpp
    safe fn dhub_zmq_limit_bytes(per_pipe: i64, total: i64);
    safe fn dhub_zmq_held_bytes() -> i64;
}

/// Limits what connections that are accepted from now on may hold: each of them in one direction,
/// and all together. The nearer the sum comes to `total`, the smaller is the share of each; a small
/// message gets through always, one at a time, and those over ipc have all of their share always.
/// A large frame for which there is no room ends its connection. Without this call, or with 0,
/// there is no limit.
pub fn zmq_limit_bytes(per_pipe: u64, total: u64) {
    let of = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    dhub_zmq_limit_bytes(of(per_pipe), of(total));
}

/// What is held now: queued, being received or being sent.
pub fn zmq_held_bytes() -> u64 {
    u64::try_from(dhub_zmq_held_bytes()).unwrap_or(0)
}
