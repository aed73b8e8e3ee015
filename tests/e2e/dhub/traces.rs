//! A start that fails, or a look at a file, leaves nothing behind that was not there.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;

use dhub_proto::exit::Exit;
use e2e::{Hub, Process, Space, open_file, task};

use crate::redo::killed;

/// All but keys and sockets, which have directories of their own.
fn names(space: &Space) -> BTreeSet<String> {
    let names = fs::read_dir(space.path("")).expect("a directory").flatten();
    let names = names.map(|it| it.file_name().into_string().expect("UTF-8"));
    names.filter(|name| !matches!(name.as_str(), ".dhub" | "dhub")).collect()
}

#[track_caller]
fn leaves_nothing(space: &Space, args: &[&str], exit: Exit) -> String {
    let before = names(space);
    let output = space.run("dhub", args);
    output.exits(exit as i32);
    assert_eq!(names(space), before, "{output:#?}");
    output.stderr
}

#[test]
fn of_a_file_that_is_not_there_no_lock_is_left() {
    let space = Space::new();
    leaves_nothing(&space, &["check", "nothere.db"], Exit::FileUnusable);
    leaves_nothing(&space, &["backup", "nothere.db", "to.db"], Exit::FileUnusable);
    leaves_nothing(&space, &["rescue", "nothere.db", "to.db"], Exit::FileUnusable);
    let said = leaves_nothing(&space, &["-f", "nodir/below/run.db"], Exit::FileUnusable);
    assert!(said.contains("there is no directory nodir/below\n"), "{said}");
    assert!(said.contains("make it first: mkdir -p nodir/below"), "{said}");
    space.write("file", "");
    let said = leaves_nothing(&space, &["-f", "file/run.db"], Exit::FileUnusable);
    assert!(said.contains("there is no directory file: file is a file"), "{said}");
    // Where no file can be made, and for which a lock would be the first.
    for dir in ["/proc", "/proc/self"] {
        let said = leaves_nothing(&space, &["-f", &format!("{dir}/b.db")], Exit::FileUnusable);
        let dir = fs::canonicalize(dir).expect("a directory");
        let dir = dir.to_str().expect("UTF-8").replace(char::is_numeric, "");
        let said = said.replace(char::is_numeric, "");
        assert_eq!(said, format!("dhub: cannot make {dir}/b.db: no file can be made there\n"));
    }
}

#[test]
fn a_start_that_fails_leaves_no_new_file_and_no_lock() {
    let other = Hub::start();
    let space = Space::new();
    let port = other.port().to_string();
    let taken = ["-f", "run.db", "--insecure", "-p", &port];
    leaves_nothing(&space, &taken, Exit::Bind);
    space.write("notes.txt", "tasks\n".repeat(1000));
    leaves_nothing(&space, &["-f", "notes.txt"], Exit::FileUnusable);
    fs::create_dir(space.path("run.db.redo")).expect("a directory");
    leaves_nothing(&space, &["-f", "run.db"], Exit::FileUnusable);
    fs::remove_dir(space.path("run.db.redo")).expect("a directory");
    fs::create_dir(space.path("dhub")).expect("a directory");
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(space.path("dhub"), open).expect("a mode");
    leaves_nothing(&space, &["-f", "run.db", "--local"], Exit::Bind);
    fs::remove_dir(space.path("dhub")).expect("a directory");
    // A file that was there stays, and what a hub keeps in it.
    let mut hub = Hub::start();
    hub.native().create(&[task("a", &[])]);
    hub.terminate().exits(0);
    fs::remove_file(hub.path("run.db.lock")).expect("the lock");
    leaves_nothing(&hub.space, &taken, Exit::Bind);
    leaves_nothing(&hub.space, &["check", "run.db"], Exit::Ok);
    let db = open_file(&hub.path("run.db"));
    db.pragma_update(None, "user_version", 99).expect("a version");
    drop(db);
    leaves_nothing(&hub.space, &["-f", "run.db"], Exit::FileNewer);
}

#[test]
fn what_is_refused_for_damage_is_as_it_was() {
    let killed = killed(1);
    for name in ["run.db", "run.db-wal", "run.db.redo"] {
        let space = killed.without(name);
        // SQLite's log may have nothing that is not in one of the others.
        let check = space.run("dhub", &["check", "run.db"]);
        if name == "run.db-wal" && check.code == Some(0) {
            check.prints(&[&killed.said()]);
            continue;
        }
        leaves_nothing(&space, &["check", "run.db"], Exit::FileUnusable);
        leaves_nothing(&space, &["-f", "run.db", "--local"], Exit::FileUnusable);
    }
}

/// Nothing lies beside a file after a clean stop; that a hub has run on it its keys show.
#[test]
fn a_file_with_nothing_in_it_is_not_taken_for_a_new_one() {
    let mut hub = Hub::start();
    hub.native().create(&[task("a", &[])]);
    hub.terminate().exits(0);
    File::options()
        .write(true)
        .truncate(true)
        .open(hub.path("run.db"))
        .expect("a file without bytes");
    for args in [&["check", "run.db"][..], &["backup", "run.db", "b.db"], &["-f", "run.db"]] {
        let said = hub.space.run("dhub", args);
        said.exits(Exit::FileUnusable as i32).is_one_message();
        said.says(&["run.db is empty", "put the file back", "rm run.db"]);
    }
    // As it is told.
    fs::remove_file(hub.path("run.db")).expect("the file");
    let mut command = hub.space.command("dhub");
    command.args(["-f", "run.db", "--local"]);
    let mut new = Process::start(command);
    new.hear("run.db: new");
    drop(new);
    // Nobody has run here yet.
    let space = Space::new();
    space.write("run.db", "");
    fs::set_permissions(space.path("run.db"), fs::Permissions::from_mode(0o600)).expect("a mode");
    let mut command = space.command("dhub");
    command.args(["-f", "run.db", "--local"]);
    Process::start(command).hear("run.db: new");
}
