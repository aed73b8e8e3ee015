//! Who talks to the hub, and over what: sockets, routes, handshakes, keys, and the files that have these.

pub mod access;
pub mod descriptors;
pub mod error;
pub mod gate;
pub mod grant;
pub mod home;
mod json;
pub mod keyfile;
pub(crate) mod leaving;
mod mark;
pub mod place;
pub(crate) mod promised;
pub(crate) mod route;
pub mod security;
pub mod socket;
