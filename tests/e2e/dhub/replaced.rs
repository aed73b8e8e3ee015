//! A file of another time in the place of the hub's: beside its logs, or beside what a hub saved when it was gone.

use std::fs;
use std::path::Path;

use dhub_proto::exit::Exit;
use e2e::{Hub, Output, Process, Space, task};
use rustix::process::Signal;

use crate::gone::saved;

const LOGS: [&str; 2] = ["run.db-wal", "run.db.redo"];

/// So many tasks, of which the tables have all.
fn add(hub: &Hub, what: &str, tasks: usize) {
    let tasks: Vec<_> = (0..tasks).map(|n| task(&format!("{what}-{n}"), &[])).collect();
    hub.native().create(&tasks);
    // It reads rows.
    hub.query(&["list", "--all"]).ok();
}

/// A file as it was when its hub was stopped with 300 tasks, and was copied with 400 tasks after that; then the hub
/// went on, and was killed.
fn killed_with_copies() -> Hub {
    let mut hub = Hub::start();
    add(&hub, "a", 300);
    hub.terminate().exits(0);
    fs::copy(hub.path("run.db"), hub.path("stopped.db")).expect("a copy");
    hub.restart();
    add(&hub, "b", 100);
    let ipc = hub.ipc();
    hub.query(&["-s", &ipc, "backup", "backup.db"]).exits(0);
    add(&hub, "c", 1);
    hub.terminate().exits(0);
    hub.restart();
    add(&hub, "d", 100);
    hub.kill9();
    hub
}

fn copy(from: &Hub, names: &[(&str, &str)]) -> Space {
    let space = Space::new();
    for (name, to) in names {
        fs::copy(from.path(name), space.path(to)).expect("a copy");
    }
    space
}

/// What starts, checks, and copies say of it, which leave it as it is.
#[track_caller]
fn is_refused(space: &Space, told: &[&str]) {
    let bytes = || LOGS.map(|name| fs::read(space.path(name)).ok().filter(|it| !it.is_empty()));
    let before = bytes();
    for args in
        [&["-f", "run.db", "--local"][..], &["check", "run.db"], &["backup", "run.db", "b.db"]]
    {
        let said = space.run("dhub", args);
        said.exits(Exit::FileUnusable as i32).says(told);
        assert!(!said.stderr.contains("panicked"), "{said:?}");
        assert!(bytes() == before, "{args:?}: the logs are as they were");
    }
    assert!(!space.path("b.db").exists());
}

#[test]
fn an_older_file_beside_the_logs_of_a_killed_hub_is_refused_and_the_way_back_is_told() {
    let hub = killed_with_copies();
    assert!(fs::metadata(hub.path(LOGS[0])).is_ok_and(|log| log.len() > 4096));
    for (old, tasks) in [("stopped.db", "300 tasks"), ("backup.db", "400 tasks")] {
        for logs in [&LOGS[..], &LOGS[..1], &LOGS[1..]] {
            let mut names: Vec<_> = logs.iter().map(|name| (*name, *name)).collect();
            names.push((old, "run.db"));
            let space = copy(&hub, &names);
            let before = fs::read(space.path("run.db")).expect("the file");
            is_refused(&space, &["run.db", "dhub rescue ", "away"]);
            if logs.contains(&LOGS[0]) {
                assert!(before == fs::read(space.path("run.db")).expect("the file"));
            }
            let rescued = space.run("dhub", &["rescue", "run.db", "saved.db"]);
            rescued.exits(Exit::Incomplete as i32).prints(&["read from "]);
            if logs.contains(&LOGS[0]) {
                is_refused(&space, &["run.db is not what ", "older state of it", LOGS[0]]);
                rescued.prints(&["run.db-wal is not of ", "nothing of it was used"]);
            }
            space.run("dhub", &["check", "saved.db"]).exits(0).prints(&["sound"]);
            // The older one is to be used: as it is told.
            for log in logs {
                fs::rename(space.path(log), space.path(&format!("away-{log}"))).expect("a log");
            }
            space.run("dhub", &["check", "run.db"]).exits(0).prints(&["sound", tasks]);
        }
    }
    // The right one is put back.
    let all = ["run.db", LOGS[0], LOGS[1]].map(|name| (name, name));
    copy(&hub, &all).run("dhub", &["check", "run.db"]).exits(0).prints(&["sound", "501 tasks"]);
}

#[test]
fn the_file_of_another_hub_beside_the_logs_is_refused() {
    let hub = killed_with_copies();
    let mut other = Hub::start();
    add(&other, "other", 200);
    other.terminate().exits(0);
    for logs in [&LOGS[..], &LOGS[..1], &LOGS[1..]] {
        let names: Vec<_> = logs.iter().map(|name| (*name, *name)).collect();
        let space = copy(&hub, &names);
        fs::copy(other.path("run.db"), space.path("run.db")).expect("a copy");
        is_refused(&space, &["run.db", "dhub rescue "]);
    }
}

/// Whatever is killed: a hub under load whose logs are moved into the file all the time.
#[test]
fn no_kill_makes_a_file_seem_replaced() {
    let mut hub = Hub::start();
    for round in 0..10 {
        let native = hub.native();
        for part in 0..3 + round % 4 {
            let tasks: Vec<_> =
                (0..400).map(|n| crate::load::big_task(&format!("t{round}-{part}-{n}"))).collect();
            native.create(&tasks);
        }
        // It is refused, if anything seems wrong.
        hub.restart();
    }
    hub.kill9();
    hub.space.run("dhub", &["check", "run.db"]).exits(0).prints(&["sound"]);
}

/// A hub with so many turns, whose file was removed; what it saved, and a copy of the file that is older.
fn removed() -> (Hub, String) {
    let mut hub = Hub::start();
    add(&hub, "a", 3);
    hub.terminate().exits(0);
    fs::copy(hub.path("run.db"), hub.path("old.db")).expect("a copy");
    hub.restart();
    for n in 0..20 {
        add(&hub, &format!("b{n}"), 1);
    }
    fs::remove_file(hub.path("run.db")).expect("the file");
    let saved = saved(&hub.end());
    (hub, saved.file_name().expect("a name").to_string_lossy().into_owned())
}

fn remove_logs(hub: &Hub) {
    for log in LOGS {
        let _ = fs::remove_file(hub.path(log));
    }
}

#[test]
fn a_missing_file_beside_one_that_a_hub_saved_is_not_begun_anew() {
    let (hub, saved) = removed();
    for has_logs in [true, false] {
        if !has_logs {
            remove_logs(&hub);
        }
        is_refused(&hub.space, &["run.db is missing, but", &saved, "go on with that: dhub -f "]);
        if !has_logs {
            let said = hub.space.run("dhub", &["rescue", "run.db", "to.db"]);
            said.exits(Exit::FileUnusable as i32).is_one_message().says(&[&saved]);
        }
        assert!(!hub.path("run.db").exists() && !hub.path("to.db").exists());
    }
    let mut command = hub.space.command("dhub");
    command.args(["-f", &saved, "--local"]);
    let mut other = Process::start(command);
    other.hear("23 ready");
    other.signal(Signal::TERM);
    other.end().exits(0);
    // As it is told, for one without tasks.
    fs::rename(hub.path(&saved), hub.path("away.db")).expect("another name");
    let mut command = hub.space.command("dhub");
    command.args(["-f", "run.db", "--local"]);
    Process::start(command).hear("run.db: new");
}

#[test]
fn what_a_hub_saved_is_named_until_the_file_has_come_as_far() {
    let (mut hub, saved) = removed();
    remove_logs(&hub);
    fs::copy(hub.path("old.db"), hub.path("run.db")).expect("the old one is put back");
    let newer = format!("{saved} is newer: a hub saved it when ");
    let looks = |space: &Space| {
        let run = |args: &[&str]| space.run("dhub", args).exits(0).stdout.clone();
        let _ = (fs::remove_file(space.path("b.db")), fs::remove_file(space.path("s.db")));
        [
            run(&["check", "run.db"]),
            run(&["backup", "run.db", "b.db"]),
            run(&["rescue", "run.db", "s.db"]),
        ]
    };
    for said in looks(&hub.space) {
        assert_eq!(said.matches(&newer).count(), 1, "{said}");
    }
    hub.restart();
    let said = starts(&mut hub);
    assert_eq!(said.matches(&newer).count(), 1, "{said}");
    for n in 0..30 {
        add(&hub, &format!("c{n}"), 1);
    }
    hub.terminate().exits(0);
    hub.restart();
    let said = starts(&mut hub);
    assert!(!said.contains(&saved), "{said}");
    hub.terminate().exits(0);
    for said in looks(&hub.space) {
        assert!(!said.contains(&saved), "{said}");
    }

    // One that is begun anew: it is another hub's as soon as it has a task.
    fs::remove_file(hub.path("run.db")).expect("the file");
    fs::rename(hub.path(&saved), hub.path("away.db")).expect("another name");
    hub.restart();
    add(&hub, "new", 1);
    fs::rename(hub.path("away.db"), hub.path(&saved)).expect("its name");
    hub.restart();
    assert!(!starts(&mut hub).contains(&saved));
}

#[test]
fn a_saved_one_that_ends_with_the_turn_of_the_file_is_named_until_the_file_goes_on() {
    let mut hub = Hub::start();
    add(&hub, "a", 3);
    // As it is, but by somebody else.
    let path = hub.path("run.db");
    let bytes = fs::read(&path).expect("the file");
    let file = fs::File::options().write(true).open(&path).expect("the file");
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).expect("its bytes");
    let saved = saved(&hub.end());
    let saved = saved.file_name().expect("a name").to_string_lossy().into_owned();
    let as_far = format!("{saved} ends with turn ");
    hub.restart();
    let said = starts(&mut hub);
    assert_eq!(said.matches(&as_far).count(), 1, "{said}");
    assert!(said.contains("somebody wrote to "), "{said}");
    add(&hub, "b", 1);
    hub.restart();
    assert!(!starts(&mut hub).contains(&saved));
}

/// All that it says until it serves.
fn starts(hub: &mut Hub) -> String {
    hub.query(&["status"]).ok();
    hub.stderr()
}

/// Nothing that was not there stays.
#[test]
fn a_rescue_of_nothing_leaves_nothing() {
    let space = Space::new();
    let before = names(&space.path(""));
    let said: Output = space.run("dhub", &["rescue", "nothere.db", "to.db"]);
    said.exits(Exit::FileUnusable as i32).is_one_message().says(&["neither nothere.db nor"]);
    assert_eq!(names(&space.path("")), before);
}

fn names(dir: &Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> =
        fs::read_dir(dir).expect("names").flatten().map(|it| it.file_name()).collect();
    names.sort();
    names
}

#[test]
fn an_older_redo_log_beside_the_file_of_a_killed_hub_is_refused() {
    let mut hub = Hub::start();
    add(&hub, "a", 3);
    fs::copy(hub.path("run.db.redo"), hub.path("old.redo")).expect("a copy");
    for n in 0..5 {
        add(&hub, &format!("b{n}"), 1);
    }
    hub.kill9();
    let files = [("run.db", "run.db"), (LOGS[0], LOGS[0]), ("old.redo", LOGS[1])];
    let space = copy(&hub, &files);
    is_refused(&space, &["run.db.redo is of an older state of ", "the newest", "dhub rescue "]);
    let rescued = space.run("dhub", &["rescue", "run.db", "saved.db"]);
    rescued
        .exits(Exit::Incomplete as i32)
        .prints(&["run.db.redo is of an older state of the file"]);
    // The newest is brought back.
    fs::copy(hub.path(LOGS[1]), space.path(LOGS[1])).expect("a copy");
    space.run("dhub", &["check", "run.db"]).exits(0).prints(&["sound", "8 tasks"]);
}
