//! Files that are damaged: said by `dhub check`, and never a panic or a file made worse.

use std::fs;
use std::path::Path;

use dhub_proto::exit::Exit;
use e2e::{Process, Space, eventually};

const PAGE: usize = 4096;

/// The file of every version's tests, damaged so.
fn damaged(damage: impl FnOnce(&mut Vec<u8>)) -> (Space, Vec<u8>) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/schema-1.db");
    let mut bytes = fs::read(file).expect("the file");
    damage(&mut bytes);
    let space = Space::new();
    space.write("run.db", &bytes);
    (space, bytes)
}

/// `dhub check` says so. A hub does not start, or stops when it meets the damage.
#[track_caller]
fn is_told(space: &Space, bytes: &[u8], what: &str) {
    let check = space.run("dhub", &["check", "run.db"]);
    check.exits(Exit::FileUnusable as i32).is_one_message();
    assert!(check.stderr.contains("run.db"), "{what}: {check:?}");

    let mut command = space.command("dhub");
    command.args(["-f", "run.db"]);
    let mut hub = Process::start(command);
    let listens = eventually("a start, or a refusal", || {
        let listens = hub.stderr().contains("listening");
        (listens || !hub.is_running()).then_some(listens)
    });
    if !listens {
        hub.end().exits(Exit::FileUnusable as i32).is_one_message();
        assert_eq!(fs::read(space.path("run.db")).expect("the file"), bytes, "{what}: changed");
        return;
    }
    for verb in [
        &["list", "--all"][..],
        &["show", "done by a pool"],
        &["create", "another one"],
        &["steal", "-q"],
        &["retry", "--failed"],
    ] {
        let args = [&["--timeout", "1s"], verb].concat();
        let output = space.run("dquery", &args);
        assert!(!output.stderr.contains("panicked"), "{what}: {output:?}");
        if !hub.is_running() {
            let end = hub.end();
            end.exits(Exit::Commit as i32).says(&["malformed"]);
            return;
        }
    }
    hub.signal(rustix::process::Signal::TERM);
    let end = hub.end();
    assert!(matches!(end.code, Some(0 | 24)), "{what}: {end:?}");
}

#[test]
fn every_page_in_turn_is_overwritten() {
    let (_, sound) = damaged(|_| {});
    assert_eq!(sound.len() % PAGE, 0);
    for page in 0..sound.len() / PAGE {
        let what = format!("page {page}");
        let (space, bytes) = damaged(|bytes| bytes[page * PAGE..][..PAGE].fill(0xA5));
        is_told(&space, &bytes, &what);
    }
}

#[test]
fn a_file_is_cut_off() {
    for size in [100, PAGE, 5 * PAGE, 10 * PAGE + 10] {
        let (space, bytes) = damaged(|bytes| bytes.truncate(size));
        is_told(&space, &bytes, &format!("{size} bytes"));
    }
}
