//! The scripts that start workers: the worker in shell, and pools by Slurm, PBS, ssh and systemd.

mod guarded;
mod left;
mod pbs;
mod places;
mod shell;
mod slurm;
mod ssh;
mod storm;
mod units;

use std::path::PathBuf;

/// One of the scripts that users have.
fn script(name: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("../scripts").join(name).display().to_string()
}

/// Whether a test that needs more than this machine has may be skipped. scripts/test.sh says by
/// the variable that it has installed what is needed.
fn skips(has: bool, what: &str, variable: &str) -> bool {
    assert!(has || std::env::var_os(variable).is_none(), "{variable} is set, but no {what} here");
    if !has {
        eprintln!("skipped: no {what} here (scripts/test.sh installs it where it can)");
    }
    !has
}

/// Can this program be run?
fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    dirs.map(|dir| dir.join(program)).any(|file| file.is_file())
}
