//! Files of older versions get checksums when a hub runs on them.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use e2e::{Process, Space, eventually};

/// Where a file says how many bytes of each page SQLite leaves alone.
const RESERVED_AT: usize = 20;
/// In a large one; in the one that is kept are `KEPT`.
const TASKS: u32 = 40_000;
const KEPT: u32 = 15;

fn old_file() -> Space {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/schema-5.db");
    let space = Space::new();
    space.write("run.db", fs::read(file).expect("the file"));
    space
}

/// One whose copy takes its time, and how many tasks it has.
pub fn large_old_file() -> (Space, u32) {
    let space = old_file();
    let db = rusqlite::Connection::open(space.path("run.db")).expect("a file");
    db.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 1000 + ?1 - 1)
         INSERT INTO tasks (id, name, state, created_ms, command)
         SELECT i, 'task ' || i, 2, 0, 'simulate --seed ' || i || hex(zeroblob(150)) FROM n",
        [TASKS],
    )
    .expect("tasks");
    drop(db);
    (space, TASKS + KEPT)
}

fn has_checksums(space: &Space) -> bool {
    let mut header = [0; RESERVED_AT + 1];
    let mut file = File::open(space.path("run.db")).expect("the file");
    file.read_exact(&mut header).expect("its header");
    header[RESERVED_AT] == 8
}

fn start(space: &Space) -> Process {
    let mut command = space.command("dhub");
    command.args(["-f", "run.db"]);
    Process::start(command)
}

fn runs(hub: &mut Process) {
    eventually("a start", || hub.stderr().contains("listening").then_some(()));
}

/// What a hub says that runs and is stopped.
fn stops(mut hub: Process) -> String {
    runs(&mut hub);
    hub.signal(rustix::process::Signal::TERM);
    hub.end().exits(0).stderr.clone()
}

#[test]
fn an_old_file_gets_them_from_a_hub_and_not_by_a_look() {
    let space = old_file();
    let without = "its pages have no checksums";
    let check = space.run("dhub", &["check", "run.db"]);
    check.exits(0).prints(&["sound", "15 tasks", without]);
    space.run("dhub", &["backup", "run.db", "copy.db"]).exits(0);
    space.run("dhub", &["check", "copy.db"]).exits(0).prints(&["sound", "15 tasks", without]);
    assert!(!has_checksums(&space));

    let mut hub = start(&space);
    runs(&mut hub);
    hub.hear("upgraded    run.db was of version 5 and is of ");
    space.run("dquery", &["create", "new"]).exits(0);
    assert!(has_checksums(&space));
    hub.kill9();
    let mut hub = start(&space);
    runs(&mut hub);
    // It answers when all is said.
    space.run("dquery", &["list"]).exits(0);
    assert!(!hub.stderr().contains("upgraded"), "{}", hub.stderr());
    hub.kill9();
    let check = space.run("dhub", &["check", "run.db"]);
    check.exits(0).prints(&["sound", "16 tasks"]);
    assert!(!check.stdout.contains(without), "{check:?}");
    space.run("dhub", &["backup", "run.db", "second.db"]).exits(0);
    let check = space.run("dhub", &["check", "second.db"]);
    assert!(!check.exits(0).stdout.contains(without), "{check:?}");
}

#[test]
fn a_hub_that_is_killed_meanwhile_loses_nothing() {
    let (space, tasks) = large_old_file();
    let tasks = format!("{tasks} tasks");
    let mut halfway = 0;
    for bytes in [1, 1 << 20, 4 << 20, u64::MAX] {
        let mut hub = start(&space);
        let part =
            || fs::metadata(space.path("run.db.checksums/part.db")).map_or(0, |part| part.len());
        let far = || part() >= bytes || has_checksums(&space);
        eventually("a copy that has come so far", || far().then_some(()));
        hub.kill9();
        halfway += u32::from(part() > 0);
        space.run("dhub", &["check", "run.db"]).exits(0).prints(&["sound", &tasks]);
    }
    assert!(halfway > 0, "none was killed while it copied");
    assert!(has_checksums(&space));
    stops(start(&space));
    assert!(!space.path("run.db.checksums").exists());
    // As a kill leaves it when the copy has just taken the place of a file that is not the hub's.
    fs::create_dir(space.path("run.db.checksums")).expect("a directory");
    space.write("run.db.checksums/part.db", "somebody's");
    let said = stops(start(&space));
    assert!(said.contains("run.db.checksums/part.db may be a file of yours"), "{said}");
    let left = fs::read_to_string(space.path("run.db.checksums/part.db"));
    assert_eq!(left.expect("the file"), "somebody's");
    space.run("dhub", &["check", "run.db"]).exits(0).prints(&["sound", &tasks]);
}

/// A disk that takes no larger file: the hub says what lacks, and runs as hubs before it did.
#[test]
fn a_hub_runs_without_them_where_there_is_no_room() {
    let space = old_file();
    let bytes = fs::metadata(space.path("run.db")).expect("the file").len();
    let mut command = space.command("sh");
    // In blocks of 512 bytes: the file itself may grow no more.
    let script = format!("ulimit -f {}; exec \"$DHUB\" -f run.db", bytes / 512 - 8);
    command.args(["-c", &script]).env("DHUB", space.command("dhub").get_program());
    let mut hub = Process::start(command);
    runs(&mut hub);
    space.run("dquery", &["list", "--all"]).exits(0).prints(&["first"]);
    let said = hub.stderr();
    assert!(said.contains("the pages of") && said.contains("have no checksums"), "{said}");
    assert!(!has_checksums(&space));
}

/// A checksum over what is wrong would call it right from then on.
#[test]
fn a_file_that_is_not_sound_stays_without_them_and_that_is_said() {
    let space = old_file();
    let db = rusqlite::Connection::open(space.path("run.db")).expect("a file");
    db.execute_batch("UPDATE totals SET count = 77 WHERE state = 5").expect("a wrong number");
    drop(db);
    let mut hub = start(&space);
    runs(&mut hub);
    let said = hub.stderr();
    assert!(said.contains("have no checksums: it is not sound: ") && said.contains("77"), "{said}");
    assert!(!has_checksums(&space) && !space.path("run.db.checksums").exists());
}
