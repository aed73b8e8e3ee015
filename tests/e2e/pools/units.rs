//! The scripts and units as files: do they say what is meant?

use e2e::Space;

use crate::{has, script, skips};

#[test]
fn systemd_understands_the_units() {
    if skips(has("systemd-analyze"), "systemd-analyze", "DHUB_SYSTEMD") {
        return;
    }
    let space = Space::new();
    // Of instances, as they are started.
    for unit in ["kworker@", "dhub@"] {
        let instance = space.path(&format!("{unit}main.service")).display().to_string();
        std::fs::copy(script(&format!("{unit}.service")), &instance).expect("a unit");
        let verified = space.run("systemd-analyze", &["--user", "verify", &instance]);
        assert_eq!(verified.exits(0).stderr, "", "{unit}");
    }
}

#[test]
fn shellcheck_finds_nothing_in_the_scripts() {
    if skips(has("shellcheck"), "shellcheck", "DHUB_SHELLCHECK") {
        return;
    }
    let space = Space::new();
    let mut scripts = Vec::new();
    for file in std::fs::read_dir(script("")).expect("the scripts") {
        let path = file.expect("a script").path().display().to_string();
        if path.ends_with(".sh") {
            scripts.push(path);
        }
    }
    assert!(scripts.len() > 5, "{scripts:?}");
    // `name= other=` empties both, and is meant to.
    scripts.extend(["--severity=warning".into(), "--exclude=SC1007".into()]);
    assert_eq!(space.run("shellcheck", &scripts).exits(0).stdout, "");
}
