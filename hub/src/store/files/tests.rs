use super::*;

/// As a hub that runs looks at them.
fn noted(real: &Path) -> Files {
    let files = Files::note(real, false).expect("files");
    files.renew().expect("files");
    files
}

/// What a look finds after this was done to the file of that end.
fn found(end: &str, act: impl FnOnce(&Path)) -> Option<How> {
    let dir = tempfile::tempdir().expect("a directory");
    let real = dir.path().join("below/run.db");
    fs::create_dir(parent(&real)).expect("a directory");
    for end in ENDS.iter().filter(|end| **end != "-journal") {
        fs::write(beside(&real, end), "some text").expect("a file");
    }
    let files = noted(&real);
    assert_eq!(files.look(), Ok(()));
    let path = beside(&real, end);
    act(&path);
    let gone = files.look().err();
    // Whatever is there later.
    if gone.is_some() {
        let _ = fs::write(&path, "some other text");
    }
    assert_eq!(files.look().err(), gone);
    assert_eq!(files.found().err(), gone);
    gone.map(|gone| {
        assert!(gone.path == path || gone.how == How::Moved, "{gone}");
        gone.how
    })
}

#[test]
fn whatever_is_done_to_one_of_them_is_found_and_stays_found() {
    for end in ["", "-wal", ".redo", ".lock"] {
        assert_eq!(found(end, |_| {}), None);
        let grow = |path: &Path| fs::write(path, "some more text").expect("a file");
        assert_eq!(found(end, grow), end.is_empty().then_some(How::Written));
        let remove = |path: &Path| fs::remove_file(path).expect("a file");
        assert_eq!(found(end, remove), Some(How::Removed));
        let away = |path: &Path| fs::rename(path, path.with_file_name("x")).expect("a file");
        assert_eq!(found(end, away), Some(How::Moved));
        let above = |path: &Path| {
            let dir = path.parent().expect("a directory");
            fs::rename(dir, dir.with_file_name("x")).expect("a directory");
        };
        assert_eq!(found(end, above), Some(How::Moved));
        let replace = |path: &Path| {
            let other = path.with_file_name("other");
            fs::write(&other, "some text").expect("a file");
            fs::rename(other, path).expect("a file");
        };
        assert_eq!(found(end, replace), Some(How::Replaced));
        let link = |path: &Path| {
            let other = path.with_file_name("other");
            fs::rename(path, &other).expect("a file");
            std::os::unix::fs::symlink(other, path).expect("a link");
        };
        assert_eq!(found(end, link), Some(How::Replaced));
        let cut = |path: &Path| fs::write(path, "some").expect("a file");
        assert_eq!(found(end, cut), Some(How::Cut { from: 9, to: 4 }));
    }
}

#[test]
fn what_the_hub_itself_does_is_not_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let real = dir.path().join("run.db");
    fs::write(&real, "some text").expect("a file");
    fs::write(beside(&real, "-wal"), "some text").expect("a file");
    let files = noted(&real);
    files.loosen();
    fs::write(beside(&real, "-wal"), "").expect("a file");
    fs::write(beside(&real, ".redo"), "some text").expect("a file");
    assert_eq!(files.look(), Ok(()));
    files.renew().expect("files");
    assert_eq!(files.look(), Ok(()));
    fs::remove_file(beside(&real, ".redo")).expect("a file");
    assert!(files.look().is_err(), "one that came later");
}

#[test]
fn a_file_made_anew_takes_the_place_of_the_one_that_was_noted_and_of_no_other() {
    let dir = tempfile::tempdir().expect("a directory");
    let real = dir.path().join("run.db");
    fs::write(&real, "old").expect("a file");
    let files = noted(&real);
    let part = || {
        let part = Part::named(&real, ".new").expect("a part");
        fs::write(&part, "made anew").expect("a file");
        part
    };
    files.replace(part()).expect("its place");
    assert_eq!(
        (fs::read_to_string(&real).expect("a text"), files.look()),
        ("made anew".into(), Ok(()))
    );
    fs::write(dir.path().join("other"), "another").expect("a file");
    fs::rename(dir.path().join("other"), &real).expect("its name");
    files.replace(part()).expect_err("another one is there");
    assert_eq!(fs::read_to_string(&real).expect("a text"), "another");
    fs::remove_file(&real).expect("a file");
    files.replace(part()).expect_err("none is there");
    assert!(!real.exists() && !dir.path().join("run.db.new").exists());
}

#[test]
fn a_file_without_a_name_can_be_read_and_its_directory_is_found_under_another_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let real = dir.path().join("below/run.db");
    fs::create_dir(parent(&real)).expect("a directory");
    fs::write(&real, "some text").expect("a file");
    let files = noted(&real);
    fs::remove_file(&real).expect("a file");
    let text = io::read_to_string(files.reopen().expect("the file")).expect("its text");
    assert_eq!(text, "some text");
    fs::rename(parent(&real), dir.path().join("other")).expect("another name");
    let real_dir = dir.path().canonicalize().expect("a directory");
    assert_eq!(files.dir(), Some(real_dir.join("other")));
    fs::remove_dir(dir.path().join("other")).expect("a directory");
    assert_eq!(files.dir(), None);
}

/// A database as a hub has it open, and one that another program has made.
fn database(dir: &Path) -> (PathBuf, Files, rusqlite::Connection) {
    let real = dir.canonicalize().expect("its name").join("run.db");
    for (name, rows) in [("run.db", 1), ("other.db", 2)] {
        let db = dhub_checksum::open(&real.with_file_name(name), Default::default(), None);
        let db = db.expect("a database");
        dhub_checksum::reserve(&db).expect("room");
        db.execute_batch(&format!("CREATE TABLE t (x); INSERT INTO t VALUES ({rows})"))
            .expect("a row");
    }
    let files = noted(&real);
    let db = dhub_checksum::open(&real, Default::default(), None).expect("a database");
    (real, files, db)
}

fn set_time(path: &Path, seconds: i64) {
    use rustix::fs::{Timespec, Timestamps, utimensat};
    let at = Timespec { tv_sec: seconds, tv_nsec: 0 };
    let times = Timestamps { last_access: at, last_modification: at };
    utimensat(CWD, path, &times, rustix::fs::AtFlags::empty()).expect("a time");
}

#[test]
fn what_another_program_writes_is_told_from_what_this_one_does() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a directory");
    let (real, files, db) = database(dir.path());
    for n in 0..100 {
        db.execute("INSERT INTO t VALUES (?1)", [n]).expect("a row");
        assert_eq!(files.look(), Ok(()));
    }
    // Nothing of it is written by these.
    set_time(&real, 1_000_000_000);
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).expect("a mode");
    fs::copy(&real, dir.path().join("copy.db")).expect("a copy");
    assert_eq!(files.look(), Ok(()));
    db.execute("INSERT INTO t VALUES (100)", []).expect("a row");
    files.renew().expect("files");
    // One byte, so that it is as long as before, and at its old time again.
    let file = File::options().write(true).open(&real).expect("the file");
    std::os::unix::fs::FileExt::write_at(&file, b"x", 5000).expect("a byte");
    set_time(&real, 1_000_000_000);
    assert_eq!(files.look().map_err(|gone| gone.how), Err(How::Written));
}

#[test]
fn a_file_that_is_copied_over_another_one_is_found_and_the_inode_is_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let (real, files, db) = database(dir.path());
    db.execute("INSERT INTO t VALUES (3)", []).expect("a row");
    files.renew().expect("files");
    fs::copy(dir.path().join("other.db"), &real).expect("a copy");
    assert_eq!(files.look().map_err(|gone| gone.how), Err(How::Written));
}
