//! The hub's files removed or replaced while it starts: that is noticed before it says that it runs, and what it had
//! opened is in a new file.

use std::fs::{self, File};

use dhub_proto::exit::Exit;
use e2e::{Hub, Process, Space, eventually, task};

use crate::checksums::large_old_file;
use crate::gone::{ACTS, goes_on, saved};
use crate::overwritten::overwrite;

/// A hub that was killed with 300 tasks and starts again, until it waits for the lock of its keys. By then it has opened
/// its files, and has told nobody.
fn held_up(hub: &Hub) -> (Process, File) {
    let path = hub.owner_access().with_file_name("lock");
    let lock = File::options().write(true).open(&path).expect("the lock");
    lock.lock().expect("the lock");
    let mut command = hub.space.command("dhub");
    command.args(["-f", "run.db", "--local"]);
    let mut process = Process::start(command);
    let path = path.canonicalize().expect("its name");
    eventually("a start that waits for the lock", || {
        assert!(process.is_running(), "{}", process.stderr());
        let open = fs::read_dir(format!("/proc/{}/fd", process.id())).ok()?;
        let mut open = open.flatten().filter_map(|it| it.path().read_link().ok());
        open.any(|it| it == path).then_some(())
    });
    (process, lock)
}

fn killed() -> Hub {
    let mut hub = Hub::start();
    let tasks: Vec<_> = (0..300).map(|n| task(&format!("t{n}"), &[])).collect();
    hub.native().create(&tasks);
    hub.kill9();
    hub
}

#[test]
fn a_start_looks_at_its_files_before_it_says_that_it_runs() {
    for end in ["", "-wal", ".redo", ".lock"] {
        for (what, act) in ACTS.into_iter().filter(|(what, _)| !what.contains("cut")) {
            let hub = killed();
            let (process, lock) = held_up(&hub);
            act(&hub.path(&format!("run.db{end}")));
            drop(lock);
            let end_of_it = process.end();
            end_of_it.says(&[&format!("run.db{end} {what}")]);
            assert!(!end_of_it.stderr.contains("listening"), "{end_of_it:?}");
            assert_eq!(goes_on(&saved(&end_of_it)).count("ready"), 300);
        }
    }
}

#[test]
fn a_start_notices_that_another_file_was_written_over_its_own() {
    let hub = killed();
    let (process, lock) = held_up(&hub);
    overwrite(&hub.path("run.db"));
    drop(lock);
    let end = process.end();
    end.exits(Exit::FileGone as i32).says(&["run.db was written to by another program"]);
    assert!(!end.stderr.contains("listening"), "{end:?}");
}

#[test]
fn a_start_that_nobody_disturbs_finds_nothing() {
    let hub = killed();
    let (mut process, lock) = held_up(&hub);
    drop(lock);
    process.hear("300 ready");
    process.signal(rustix::process::Signal::TERM);
    process.end().exits(0);
}

/// A hub on an old file, whose copy with checksums is half made.
fn half_copied(space: &Space) -> Process {
    let mut command = space.command("dhub");
    command.args(["-f", "run.db", "--local"]);
    let mut hub = Process::start(command);
    eventually("a copy that is half made", || {
        assert!(hub.is_running(), "{}", hub.stderr());
        let part = fs::metadata(space.path("run.db.checksums/part.db"));
        part.is_ok_and(|part| part.len() >= 1 << 20).then_some(())
    });
    hub
}

#[test]
fn a_copy_with_checksums_takes_the_place_of_no_other_file_and_of_none_that_is_gone() {
    for (what, act) in ACTS.into_iter().filter(|(what, _)| !what.contains("cut")) {
        let (space, tasks) = large_old_file();
        let hub = half_copied(&space);
        act(&space.path("run.db"));
        let found = fs::read(space.path("run.db")).ok();
        let end = hub.end();
        end.says(&[&format!("run.db {what}")]);
        assert!(found == fs::read(space.path("run.db")).ok(), "{what}: what has its name stays");
        assert!(!space.path("run.db.checksums").exists(), "{what}");
        let saved = saved(&end);
        space
            .run("dhub", &["check", &saved.display().to_string()])
            .exits(0)
            .prints(&[&format!("{tasks} tasks")]);
    }
}
