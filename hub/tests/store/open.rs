//! Which files are opened, and which are refused and left as they are.

use std::fs;
use std::path::Path;

use dhub::engine::scheduler::Counts;
use dhub::store::{Access, LockError, OpenError, Store};
use rusqlite::Connection;

use crate::{added, dir, open};

fn refusal(file: &Path) -> OpenError {
    match Store::open(file, "today", false) {
        Ok(_) => panic!("{} was opened", file.display()),
        Err(error) => error,
    }
}

#[test]
fn a_commit_is_all_or_nothing() {
    let dir = dir();
    let file = dir.path().join("run.db");
    let mut store = open(&file);
    let twice = [added(1, "a", &[]), added(2, "a", &[])];
    store.commit(twice.to_vec(), &Counts::default()).expect("the redo log takes it");
    let error = store.settle().expect_err("a name given twice");
    assert!(error.to_string().starts_with("cannot commit: "), "{error}");
    drop(store);
    assert!(refusal(&file).to_string().contains("UNIQUE"));
    let access = Access { without_redo: true, ..Access::default() };
    let store = Store::open_with(&file, "today", access).expect("the file opens").store;
    assert!(store.task("a").expect("a look").is_none());
}

#[test]
fn a_new_file_is_told_from_an_old_one() {
    let dir = dir();
    let file = dir.path().join("run.db");
    // An empty file counts as new: mktemp makes those.
    fs::write(&file, "").expect("an empty file");
    let opened = Store::open(&file, "today", false).expect("the file opens");
    assert!(opened.new);
    assert_eq!(opened.store.file(), Some(&*file));
    opened.store.close().expect("a clean stop");
    // A clean stop leaves one file, apart from the lock.
    assert!(!dir.path().join("run.db-wal").exists());
    let opened = Store::open(&file, "today", false).expect("the file opens again");
    assert!(!opened.new);
}

#[test]
fn the_slow_way_for_network_files_works() {
    let dir = dir();
    let file = dir.path().join("run.db");
    let mut store = Store::open(&file, "today", true).expect("the file opens").store;
    store.commit(vec![added(1, "a", &[])], &Counts::default()).expect("a commit");
    store.settle().expect("it is folded");
    assert!(!dir.path().join("run.db-wal").exists());
    drop(store);
    assert!(open(&file).task("a").expect("a look").is_some());
}

#[test]
fn a_second_hub_is_told_who_has_the_file() {
    let dir = dir();
    let file = dir.path().join("run.db");
    let store = open(&file);
    let link = dir.path().join("link.db");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    for way in [&file, &link] {
        let OpenError::Lock(LockError::InUse { file: named, owner }) = refusal(way) else {
            panic!("{} was refused for another reason", way.display());
        };
        assert!(named.ends_with("run.db"), "{named}");
        let process = format!("process {}", std::process::id());
        assert!(owner.contains(&process) && owner.ends_with("since today"), "{owner}");
    }
    drop(store);
    open(&file);
}

#[test]
fn a_file_of_a_newer_version_is_refused_and_left() {
    let dir = dir();
    let file = dir.path().join("run.db");
    open(&file).close().expect("a clean stop");
    let db = dhub_checksum::open(&file, Default::default(), None).expect("a database");
    db.pragma_update(None, "user_version", 99).expect("a version");
    drop(db);
    let before = fs::read(&file).expect("the file");
    let error = refusal(&file);
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
    assert!(error.to_string().contains("version 99"), "{error}");
    assert_eq!(fs::read(&file).expect("the file"), before);
}

#[test]
fn what_is_not_ours_is_refused_and_left() {
    let dir = dir();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("notes.txt"), "what to do\n".repeat(500)).expect("a text");
    fs::write(path("short"), "x").expect("a short text");
    let db = Connection::open(path("theirs.db")).expect("a database");
    db.execute_batch("CREATE TABLE tasks (name TEXT); INSERT INTO tasks VALUES ('a')")
        .expect("a table");
    drop(db);
    for name in ["notes.txt", "short", "theirs.db"] {
        let before = fs::read(path(name)).expect("the file");
        let error = refusal(&path(name));
        let expected = matches!(error, OpenError::Foreign { .. } | OpenError::Unusable { .. });
        assert!(expected && error.to_string().contains("left as it is"), "{error}");
        assert_eq!(fs::read(path(name)).expect("the file"), before, "{name}");
    }
    assert!(!path("theirs.db-wal").exists());
}

/// The log of a program that died is that program's to work through.
#[test]
fn the_log_of_a_foreign_database_is_left_too() {
    let dir = dir();
    let path = |name: &str| dir.path().join(name);
    let db = Connection::open(path("live.db")).expect("a database");
    db.pragma_update(None, "journal_mode", "WAL").expect("a log");
    db.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").expect("a table");
    fs::copy(path("live.db"), path("theirs.db")).expect("a copy");
    fs::copy(path("live.db-wal"), path("theirs.db-wal")).expect("a copy");
    let files = ["theirs.db", "theirs.db-wal"];
    let before = files.map(|name| fs::read(path(name)).expect("a file"));
    let error = refusal(&path("theirs.db"));
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    assert_eq!(files.map(|name| fs::read(path(name)).unwrap_or_default()), before);
}

#[test]
fn where_nothing_can_be_written_the_reason_is_said() {
    let error = refusal(Path::new("/sys/run.db"));
    assert!(error.to_string().contains("/sys"), "{error}");
    let dir = dir();
    let error = refusal(&dir.path().join("nowhere/run.db"));
    assert!(matches!(error, OpenError::NoDirectory { .. }), "{error}");
    // A directory is no file.
    let error = refusal(dir.path());
    assert!(error.to_string().contains("is no regular file"), "{error}");
}

#[test]
fn memory_will_do() {
    let mut store = Store::open_in_memory().expect("a store");
    store.commit(vec![added(1, "a", &[])], &Counts::default()).expect("a commit");
    store.settle().expect("it is folded");
    assert!(store.task("a").expect("a look").is_some());
    assert_eq!((store.file(), store.file_bytes()), (None, 0));
    store.close().expect("a stop");
}
