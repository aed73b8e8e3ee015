//! Copies hub/src for src/lib.rs, with all of tests/sim/bugs planted in it.

mod bug;
mod plant;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

const BUGS: &str = "../bugs";
const HUB: &str = "../../../hub/src";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build");
    if env::var_os("CARGO_FEATURE_PLANTED").is_none() {
        return ExitCode::SUCCESS;
    }
    println!("cargo::rerun-if-changed={BUGS}");
    println!("cargo::rerun-if-changed={HUB}");
    let to = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where"));
    match make(&to) {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            for line in wrong.iter().flat_map(|what| what.lines()) {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn make(to: &Path) -> Result<(), Vec<String>> {
    let failed = |error: io::Error| vec![error.to_string()];
    let (bugs, wrong): (Vec<_>, Vec<_>) =
        bug::read_all(Path::new(BUGS)).map_err(failed)?.into_iter().partition(Result::is_ok);
    if !wrong.is_empty() {
        return Err(wrong.into_iter().filter_map(Result::err).collect());
    }
    let bugs: Vec<_> = bugs.into_iter().flatten().collect();
    let mut files = plant::plant(&bugs, |file| fs::read_to_string(Path::new(HUB).join(file)))?;
    let names: Vec<_> = bugs.iter().map(|bug| &bug.name).collect();
    let list = format!("pub const ALL: [&str; {}] = {names:?};\n", names.len());
    fs::write(to.join("bugs.rs"), list).map_err(failed)?;
    copy("", &to.join("hub"), &mut files).map_err(failed)
}

fn copy(directory: &str, to: &Path, planted: &mut BTreeMap<String, String>) -> io::Result<()> {
    fs::create_dir_all(to.join(directory))?;
    for entry in fs::read_dir(Path::new(HUB).join(directory))? {
        let entry = entry?;
        let path = format!("{directory}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            copy(&format!("{path}/"), to, planted)?;
            continue;
        }
        let mut text = match planted.remove(&path) {
            Some(text) => text,
            None => fs::read_to_string(entry.path())?,
        };
        if path == "lib.rs" {
            // What is included begins with no documentation of its own.
            text = text.replace("//!", "//");
        }
        fs::write(to.join(path), text)?;
    }
    Ok(())
}
