//! The contract between the hub and its tools.
//!
//! `wire` (native) and `dwork` are generated from the two .proto files. The rest is what every
//! tool must agree on: limits, exit codes, where a hub is found, how one asks it something.

pub mod access;
pub mod cli;
pub mod client;
pub mod completion;
pub mod disk;
pub mod door;
pub mod endpoint;
pub mod exit;
pub mod find;
pub mod limits;
mod manual;
pub mod options;
pub mod output;
pub mod parts;
pub mod plain;
pub mod private;
pub mod role;
mod say;
pub mod secret;
pub mod shell;
pub mod signal;
pub mod span;
pub mod verb;
pub mod watch;

/// The native dialect, generated from hub.proto.
#[allow(clippy::all, reason = "generated code")]
pub mod wire {
    include!(concat!(env!("OUT_DIR"), "/dhub.v1.rs"));
}

/// The dwork dialect, generated from dwork.proto.
#[allow(clippy::all, reason = "generated code")]
pub mod dwork {
    include!(concat!(env!("OUT_DIR"), "/dwork.rs"));
}

pub use plain::steers_terminal;
pub use prost::Message;
pub use say::{Stderr, finish_saying, say, say_in_background};

/// Why a task failed whose row in the hub's file is not what was written: nobody can run it again.
pub const DAMAGED: &str = "its definition is damaged";

/// Version of the tools and of the hub; one number for all of them.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Name of this machine.
pub fn host_name() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

/// 16 random bytes: the identity of a process to the hub.
pub fn random_id() -> std::io::Result<Vec<u8>> {
    let mut id = vec![0; limits::CLIENT_ID_BYTES];
    getrandom::fill(&mut id).map_err(std::io::Error::other)?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    /// Encryption needs the libzmq that proto/zmq-sys builds, and no older one.
    #[test]
    fn libzmq_is_new_enough_and_has_curve() {
        assert!(zmq::version() >= (4, 3, 5), "libzmq {:?}", zmq::version());
        assert_eq!(zmq::has("curve"), Some(true));
    }
}
