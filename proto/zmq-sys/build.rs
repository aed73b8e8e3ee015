//! Builds libzmq 4.3.5 with CURVE, from the sources that `zeromq-src` carries, against the
//! libsodium that `libsodium-sys-stable` built. Nothing has to be installed.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let sodium = |key: &str| {
        env::var(key)
            .unwrap_or_else(|_| panic!("{key} is not set: libsodium-sys-stable exports it"))
    };
    let location =
        zeromq_src::LibLocation::new(sodium("DEP_SODIUM_LIB"), sodium("DEP_SODIUM_INCLUDE"));
    let mut flags = env::var("CXXFLAGS").unwrap_or_default();
    // Warnings about libzmq's own code are of no use to whoever builds this.
    flags += " -w";
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        // What libzmq's own configure finds on Linux: its descriptors must not leak into the tasks
        // that a worker starts, and TCP has keep-alive.
        for name in [
            "ZMQ_IOTHREAD_POLLER_USE_EPOLL_CLOEXEC",
            "ZMQ_HAVE_SOCK_CLOEXEC",
            "ZMQ_HAVE_O_CLOEXEC",
            "ZMQ_HAVE_EVENTFD",
            "ZMQ_HAVE_EVENTFD_CLOEXEC",
            "ZMQ_HAVE_SO_KEEPALIVE",
            "ZMQ_HAVE_TCP_KEEPCNT",
            "ZMQ_HAVE_TCP_KEEPIDLE",
            "ZMQ_HAVE_TCP_KEEPINTVL",
        ] {
            flags += &format!(" -D{name}=1");
        }
        // A failed accept must not abort the process: src/accept.rs.
        flags += " -Daccept=dhub_zmq_accept";
    }
    // SAFETY: a build script has one thread here, so nobody reads the environment meanwhile.
    unsafe { env::set_var("CXXFLAGS", flags) };
    println!("cargo:rerun-if-changed=src/monitor.cpp");
    cc::Build::new().cpp(true).file("src/monitor.cpp").compile("dhub_zmq_monitor");
    zeromq_src::Build::new().with_libsodium(Some(location)).build();
}
