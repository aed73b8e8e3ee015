//! The programs under test, built once for each test binary and in its own profile.
//!
//! Cargo hands out the paths of binaries within their own package only. `DHUB_BIN_DIR` names a
//! directory with dhub, dquery and kworker to test instead of building them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path of `dhub`, `dquery` or `kworker`.
pub fn binary(name: &str) -> PathBuf {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(directory).join(name)
}

fn directory() -> PathBuf {
    if let Some(dir) = std::env::var_os("DHUB_BIN_DIR") {
        return dir.into();
    }
    // TARGET/PROFILE/deps/this-test, or TARGET/PROFILE/a-program
    let exe = std::env::current_exe().expect("the path of this test");
    let mut dirs = exe.ancestors().skip(1).filter(|dir| !dir.ends_with("deps"));
    let dir = dirs.next().expect("a target directory").to_owned();
    build(&dir);
    dir
}

fn build(dir: &Path) {
    let (profile, target) = (dir.file_name(), dir.parent());
    let profile = match profile.expect("a profile").to_str() {
        Some("debug") => "dev",
        Some(profile) => profile,
        None => panic!("{} is not UTF-8", dir.display()),
    };
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--profile", profile, "--target-dir"])
        .arg(target.expect("a target directory"))
        .args(["-p", "dhub", "-p", "dquery", "-p", "kworker"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let status = output.status;
    assert!(status.success(), "the programs under test cannot be built ({status}):\n{stderr}");
}
