//! FFI bindings to libzmq 4.3.5, built statically with CURVE by `build.rs`.
//!
//! Stands in for the registry's `zmq-sys` 0.12 under the `zmq` crate (see `[patch.crates-io]` in
//! the workspace's Cargo.toml). `ffi.rs` is generated from zmq.h; README.md here says how.

// Linked for the libsodium archive, not for its API.
extern crate libsodium_sys as _;

mod accept;
pub mod errno;
#[allow(non_camel_case_types, clippy::all)]
mod ffi;
mod limits;
mod monitor;
mod peer;

pub use accept::{
    ZMQ_FULL, zmq_connections_crowded_out, zmq_connections_refused, zmq_descriptors_for_tcp,
};
pub use ffi::*;
pub use limits::{
    ZMQ_EXEMPT, zmq_connections_admitted, zmq_connections_left, zmq_held_bytes, zmq_limit_bytes,
    zmq_limit_connections, zmq_limit_frame, zmq_limit_handshakes,
};
pub use monitor::zmq_publish_events;
pub use peer::{zmq_drop_user, zmq_has_peer, zmq_rest, zmq_wake};
pub use std::os::unix::io::RawFd;
