//! Whatever the umask: what the programs write is their user's alone, and what others may have written or put
//! there is not used.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use e2e::{Hub, Output, Process, Space, free_ports};

/// Everything below a directory that is a file or a directory, with its mode.
fn walk(dir: &Path, found: &mut Vec<(PathBuf, u32)>) {
    for entry in fs::read_dir(dir).expect("a directory").flatten() {
        let meta = fs::symlink_metadata(entry.path()).expect("an entry");
        found.push((entry.path(), meta.mode() & 0o777));
        if meta.is_dir() {
            walk(&entry.path(), found);
        }
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a file");
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("a file").mode() & 0o777
}

fn sh(space: &Space, script: &str) -> Output {
    space.run("sh", &["-c", script])
}

/// Files of all programs, made with this umask; the hub is killed in the middle, so that all of its own are there.
fn use_all(umask: &str, mode: &str) -> Space {
    let space = Space::new();
    let port = free_ports();
    let option = if mode.is_empty() { String::new() } else { format!("--file-mode {mode}") };
    let mut command = space.command("sh");
    let start = format!("umask {umask}; exec dhub -f run.db -p {port} --host 127.0.0.1 {option}");
    command.args(["-c", &start]);
    let mut hub = Process::start(command);
    hub.hear("your tools find it");
    let script = format!(
        "umask {umask}; set -e
        dhub access new node --role work
        dhub access new ada --role submit --to ada.access
        dhub access revoke node
        dquery create a
        kworker --until-done -j 1 --output deep/out/{{name}}/{{attempt}}.log {option} --shell 'echo {{}}'
        dquery report run.html {option}
        dquery export --joblog run.log {option}
        dquery backup live.db {option}
        dquery list --all >/dev/null
        dquery create b"
    );
    sh(&space, &script).exits(0);
    hub.kill9();
    sh(&space, &format!("umask {umask}; dhub backup run.db stopped.db {option}")).exits(0);
    // It was folded then; the log of the next one is there while it runs.
    let mut command = space.command("sh");
    command.args(["-c", &start]);
    let mut hub = Process::start(command);
    hub.hear("your tools find it");
    sh(&space, "dquery create c").exits(0);
    hub.kill9();
    space
}

#[test]
fn nobody_else_reads_or_writes_what_the_programs_make() {
    for umask in ["000", "002", "022"] {
        let space = use_all(umask, "");
        let mut found = Vec::new();
        walk(&space.path(""), &mut found);
        let name = |path: &Path| path.strip_prefix(space.path("")).unwrap().display().to_string();
        let names: Vec<_> = found.iter().map(|(path, _)| name(path)).collect();
        for expected in [
            "run.db",
            "run.db-wal",
            "run.db.redo",
            "run.db.lock",
            "live.db",
            "stopped.db",
            "run.html",
            "run.log",
            "ada.access",
            "deep/out/a/1.log",
        ] {
            assert!(names.iter().any(|name| name == expected), "no {expected} in {names:?}");
        }
        for (path, mode) in found {
            let kind = fs::symlink_metadata(&path).expect("an entry").file_type();
            // A socket is closed by the directory that it is in.
            assert!(mode & 0o077 == 0 || kind.is_socket(), "{umask}: {path:?} is {mode:o}");
        }
    }
}

#[test]
fn who_shares_says_so_and_keys_stay_closed() {
    let space = use_all("077", "0640");
    for name in
        ["run.db", "run.db-wal", "run.db.redo", "live.db", "stopped.db", "run.html", "run.log"]
    {
        assert_eq!(mode(&space.path(name)), 0o640, "{name}");
    }
    assert_eq!(mode(&space.path("deep/out/a/1.log")), 0o640);
    for dir in ["deep", "deep/out", "deep/out/a"] {
        assert_eq!(mode(&space.path(dir)), 0o750, "{dir}");
    }
    assert_eq!(mode(&space.path("ada.access")), 0o600);
    assert_eq!(mode(&space.path(".dhub")), 0o700);
    for bad in ["0660", "0666", "rw"] {
        let args = ["-f", "new.db", "--local", "--file-mode", bad];
        space.run("dhub", &args).exits(2).says(&["0600, 0640 or 0644"]);
    }
}

#[test]
fn what_others_could_read_is_closed_and_what_they_could_write_is_refused() {
    let mut hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    hub.kill9();
    for end in ["", "-wal", ".redo", ".lock"] {
        set_mode(&hub.path(&format!("run.db{end}")), 0o644);
    }
    hub.restart();
    assert!(hub.stderr().contains("others could read run.db (mode 0644); it is 0600 now"));
    for end in ["", "-wal", ".redo", ".lock"] {
        assert_eq!(mode(&hub.path(&format!("run.db{end}"))), 0o600, "{end}");
    }
    hub.query(&["create", "b"]).ok();
    hub.kill9();
    for end in ["", "-wal", ".redo"] {
        let path = hub.path(&format!("run.db{end}"));
        for bad in [0o660, 0o602, 0o622] {
            set_mode(&path, bad);
            let mend = format!("chmod go-w {}", path.display());
            let args = ["-f", "run.db", "--local"];
            hub.space
                .run("dhub", &args)
                .exits(22)
                .says(&["can be written by others", &mend])
                .is_one_message();
            hub.space.run("dhub", &["check", "run.db"]).exits(22).says(&[&mend]);
            sh(&hub.space, &mend).exits(0);
        }
    }
    // All of umask 002: one command mends them, and what is in the lock is believed by nobody.
    let files = ["", "-wal", ".redo", ".lock"].map(|end| hub.path(&format!("run.db{end}")));
    files.iter().for_each(|path| set_mode(path, 0o664));
    let named: Vec<_> = files[..3].iter().map(|path| path.display().to_string()).collect();
    let mend = format!("chmod go-w {}", named.join(" "));
    let said = hub.space.run("dhub", &["-f", "run.db", "--local"]);
    said.exits(22).says(&[&mend]).is_one_message();
    assert_eq!(mode(&files[3]), 0o600);
    sh(&hub.space, &mend).exits(0);
    hub.restart();
    assert_eq!((hub.state("a"), hub.state("b")), ("ready".into(), "ready".into()));
}

/// What a member of the group may do with umask 002: put a record into the redo log that runs a command.
#[test]
fn a_forged_log_is_not_believed() {
    let mut hub = Hub::start();
    hub.query(&["create", "mine", "--command", "true"]).ok();
    hub.kill9();
    let log = hub.path("run.db.redo");
    // As long as it was, with a command of somebody else's.
    let mut forged = fs::read(&log).unwrap();
    forged.extend_from_slice(b"touch ran");
    fs::write(&log, forged).unwrap();
    set_mode(&log, 0o664);
    let said = hub.space.run("dhub", &["-f", "run.db", "--local"]);
    said.exits(22).says(&["run.db.redo can be written by others"]);
}

#[test]
fn links_in_place_of_the_hubs_files_are_not_followed() {
    let space = Space::new();
    space.write("victim", "untouched");
    set_mode(&space.path("victim"), 0o600);
    for end in [".lock", ".redo", "-wal", "-shm", "-journal", ""] {
        let link = space.path(&format!("run.db{end}"));
        symlink(if end.is_empty() { "nowhere" } else { "victim" }, &link).unwrap();
        let said = space.run("dhub", &["-f", "run.db", "--local"]);
        let why = if end.is_empty() { "leads to nothing" } else { "which is not followed" };
        said.exits(22).says(&["is a link", why]).is_one_message();
        assert_eq!(fs::read_to_string(space.path("victim")).unwrap(), "untouched", "{end}");
        fs::remove_file(link).unwrap();
        for other in ["run.db", "run.db.lock", "run.db.redo"] {
            let _ = fs::remove_file(space.path(other));
        }
    }
    // Another name of somebody's file is no better.
    fs::hard_link(space.path("victim"), space.path("run.db.lock")).unwrap();
    space.run("dhub", &["-f", "run.db", "--local"]).exits(22).says(&["another name (a hard link)"]);
    assert!(!space.path("nowhere").exists());
}

#[test]
fn a_link_to_the_file_is_resolved_once() {
    let space = Space::new();
    fs::create_dir(space.path("disk")).unwrap();
    sh(&space, "dhub -f disk/run.db --local & until dquery status >/dev/null 2>&1; do sleep 0.05; done; dquery shutdown; wait")
        .exits(0);
    symlink("disk/run.db", space.path("run.db")).unwrap();
    space.run("dhub", &["check", "run.db"]).exits(0);
    space.run("dhub", &["backup", "run.db", "copy.db"]).exits(0);
    assert!(!space.path("run.db.lock").exists() && space.path("disk/run.db.lock").exists());
}

#[test]
fn targets_that_are_links_or_streams() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    hub.write("victim", "untouched");
    symlink("victim", hub.path("link")).unwrap();
    for args in [&["report", "link"][..], &["export", "--joblog", "link"]] {
        hub.query(args).exits(9).says(&["link is a link"]).is_one_message();
    }
    let ipc = hub.sh("unset DHUB_HUB; dquery backup link");
    ipc.exits(6).says(&["exists already"]);
    assert_eq!(fs::read_to_string(hub.path("victim")).unwrap(), "untouched");
    assert!(hub.path("link").is_symlink());
    // What only passes through is written to, as ever.
    let page = hub.sh("dquery report /dev/stdout | cat");
    assert!(page.ok().contains("<html"), "{page:?}");
    hub.sh("dquery report /dev/null").exits(0);
    // An older report gives way, with its mode.
    hub.write("run.html", "old");
    set_mode(&hub.path("run.html"), 0o666);
    hub.query(&["report", "run.html"]).exits(0);
    assert_eq!(mode(&hub.path("run.html")), 0o600);
    // Of names that were guessed nothing is used, and none stays behind.
    for name in fs::read_dir(hub.path("")).unwrap().flatten() {
        assert!(!name.file_name().to_string_lossy().starts_with(".dhub-"), "{name:?}");
    }
}

#[test]
fn an_access_file_replaces_no_link_and_needs_no_file_for_standard_output() {
    let mut hub = super::Guarded::start();
    hub.space.write("victim", "untouched");
    symlink("victim", hub.space.path("link")).unwrap();
    sh(&hub.space, "mkfifo pipe").exits(0);
    for (name, to, why) in [
        ("a", "link", "is a link"),
        ("b", "pipe", "no regular file"),
        ("c", "/dev/stdout", "is a link"),
    ] {
        let said = hub.dhub(&["access", "new", name, "--role", "work", "--to", to]);
        said.exits(26).says(&[why]);
    }
    assert_eq!(fs::read_to_string(hub.space.path("victim")).unwrap(), "untouched");
    // Every name that it could be written under until now, taken by a link: none is followed.
    let pid = std::process::id();
    for guess in pid..pid + 300 {
        symlink("victim", hub.space.path(&format!("d.access.{guess}.new"))).unwrap();
    }
    hub.dhub(&["access", "new", "d", "--role", "work", "--to", "d.access"]).exits(0);
    assert_eq!(mode(&hub.space.path("d.access")), 0o600);
    assert_eq!(fs::read_to_string(hub.space.path("victim")).unwrap(), "untouched");
    // With a directory that takes no new file it still goes to standard output.
    let said = hub.dhub(&["access", "new", "e", "--role", "work", "--to", "-"]);
    assert!(said.exits(0).stdout.contains("secret_key"));
    assert!(!hub.access("e").exists());
    hub.terminate().exits(0);
}

#[test]
fn links_that_are_planted_among_outputs_are_not_followed() {
    let hub = Hub::start();
    hub.write("victim", "untouched");
    fs::create_dir_all(hub.path("out/held")).unwrap();
    fs::create_dir(hub.path("elsewhere")).unwrap();
    symlink("../victim", hub.path("out/a.1.out")).unwrap();
    symlink("../elsewhere", hub.path("out/b")).unwrap();
    fs::hard_link(hub.path("victim"), hub.path("out/c.1.out")).unwrap();
    hub.sh("mkfifo out/d.1.out").exits(0);
    hub.write("out/e.1.out", "theirs\n");
    set_mode(&hub.path("out/e.1.out"), 0o666);
    for (name, template, why) in [
        ("a", "out", "a.1.out is a link"),
        ("b", "out/{name}/log", "out/b is a link"),
        ("c", "out", "another name (a hard link)"),
        ("d", "out", "no regular file"),
        ("e", "out", "can be written by others"),
    ] {
        // It stops nobody but the task of that name.
        for name in [name, &format!("after {name}")] {
            hub.query(&["create", name]).ok();
        }
        hub.worker(&["-j", "1", "--until-done", "--output", template, "--shell", "echo ran"]).end();
        let reason = hub.show(name)["attempts"][0]["reason"].to_string();
        assert!(hub.state(name) == "failed" && reason.contains(why), "{name}: {reason}");
        assert_eq!(hub.state(&format!("after {name}")), "done");
    }
    assert_eq!(fs::read_to_string(hub.path("victim")).unwrap(), "untouched");
    assert_eq!(fs::read_to_string(hub.path("out/e.1.out")).unwrap(), "theirs\n");
    assert_eq!(fs::read_dir(hub.path("elsewhere")).unwrap().count(), 0);
    // The directory that the user names may be a link.
    symlink("elsewhere", hub.path("mine")).unwrap();
    hub.query(&["create", "f"]).ok();
    hub.worker(&["--until-done", "--output", "mine", "--shell", "echo ran"]).end();
    assert_eq!(fs::read_to_string(hub.path("elsewhere/f.1.out")).unwrap(), "ran\n");
    hub.worker(&["--output", "out/{name}/../x", "--shell", "true"])
        .end()
        .exits(2)
        .says(&["--output: no '..'"]);
}
