//! Builds libzmq 4.3.5 with CURVE, from the sources that `zeromq-src` carries, against the
//! libsodium that `libsodium-sys-stable` built. Nothing has to be installed.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let sodium = |key: &str| {
        env::var(key).unwrap_or_else(|_| panic!("{key} is not set: libsodium-sys-stable exports it"))
    };
    let location =
        zeromq_src::LibLocation::new(sodium("DEP_SODIUM_LIB"), sodium("DEP_SODIUM_INCLUDE"));
    // Warnings about libzmq's own code are of no use to whoever builds this.
    let flags = env::var("CXXFLAGS").unwrap_or_default() + " -w";
    // SAFETY: a build script has one thread here, so nobody reads the environment meanwhile.
    unsafe { env::set_var("CXXFLAGS", flags) };
    zeromq_src::Build::new().with_libsodium(Some(location)).build();
}
