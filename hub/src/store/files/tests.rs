use super::*;

/// What a look finds after this was done to the file of that end.
fn found(end: &str, act: impl FnOnce(&Path)) -> Option<How> {
    let dir = tempfile::tempdir().expect("a directory");
    let real = dir.path().join("below/run.db");
    fs::create_dir(parent(&real)).expect("a directory");
    for end in ENDS.iter().filter(|end| **end != "-journal") {
        fs::write(beside(&real, end), "some text").expect("a file");
    }
    let files = Files::note(&real).expect("files");
    assert_eq!(files.look(), Ok(()));
    let path = beside(&real, end);
    act(&path);
    let gone = files.look().err();
    // Whatever is there later.
    let _ = fs::write(&path, "some other text");
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
        assert_eq!(found(end, grow), None);
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
    let files = Files::note(&real).expect("files");
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
fn a_file_without_a_name_can_be_read_and_its_directory_is_found_under_another_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let real = dir.path().join("below/run.db");
    fs::create_dir(parent(&real)).expect("a directory");
    fs::write(&real, "some text").expect("a file");
    let files = Files::note(&real).expect("files");
    fs::remove_file(&real).expect("a file");
    let text = io::read_to_string(files.reopen().expect("the file")).expect("its text");
    assert_eq!(text, "some text");
    fs::rename(parent(&real), dir.path().join("other")).expect("another name");
    let real_dir = dir.path().canonicalize().expect("a directory");
    assert_eq!(files.dir(), Some(real_dir.join("other")));
    fs::remove_dir(dir.path().join("other")).expect("a directory");
    assert_eq!(files.dir(), None);
}
