//! Starts that cannot go well: one clear message, an exit code of its own, nothing harmed.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use dhub_proto::exit::Exit;
use e2e::{Hub, Output, Space, free_ports, task};
use rusqlite::Connection;

/// A start that is refused, without TCP.
fn refused(space: &Space, args: &[&str], exit: Exit) -> Output {
    let output = space.run("dhub", args);
    output.exits(exit as i32).is_one_message();
    output
}

#[test]
fn a_port_in_use() {
    let hub = Hub::start();
    let port = hub.port().to_string();
    let other = Space::new();
    let args = ["-f", "other.db", "--insecure", "-p", &port];
    refused(&other, &args, Exit::Bind).says(&[&port, "in use", "-p"]);
}

#[test]
fn a_port_whose_next_one_is_in_use() {
    let space = Space::new();
    let port = free_ports();
    let _next = TcpListener::bind(("127.0.0.1", port + 1)).unwrap();
    let args = ["--insecure", "-p", &port.to_string()];
    refused(&space, &args, Exit::Bind).says(&[&(port + 1).to_string(), "in use"]);
    refused(&space, &["--insecure", "-p", "65535"], Exit::Bind);
}

#[test]
fn a_file_that_another_hub_has() {
    let mut hub = Hub::start();
    let process = format!("process {}", hub.id());
    let output = refused(&hub.space, &["-f", "run.db"], Exit::FileInUse);
    output.says(&["run.db", "in use", &dhub_proto::host_name(), &process, "since"]);
    hub.native().create(&[task("a", &[])]);
}

#[test]
fn a_file_under_another_name_is_still_the_same_file() {
    let hub = Hub::start();
    std::os::unix::fs::symlink(hub.path("run.db"), hub.path("link.db")).unwrap();
    refused(&hub.space, &["-f", "link.db"], Exit::FileInUse).says(&["in use"]);
}

/// Nothing is wrong with it.
#[test]
fn a_file_that_another_program_has_open() {
    let mut hub = Hub::start();
    hub.native().create(&[task("a", &[])]);
    hub.terminate().exits(0);
    let db = e2e::open_file(&hub.path("run.db"));
    db.execute_batch("BEGIN EXCLUSIVE").expect("a transaction");
    let output = refused(&hub.space, &["-f", "run.db", "--local"], Exit::FileUnusable);
    output.says(&["locked", "another program has it open; end that"]);
    assert!(!output.stderr.contains("rescue"), "{output:?}");
    drop(db);
    hub.space.run("dhub", &["check", "run.db"]).exits(0).prints(&["1 task "]);
}

#[test]
fn a_file_of_a_newer_version() {
    let mut hub = Hub::start();
    hub.native().create(&[task("a", &[])]);
    hub.terminate().exits(0);
    let db = e2e::open_file(&hub.path("run.db"));
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let output = refused(&hub.space, &["-f", "run.db"], Exit::FileNewer);
    output.says(&["run.db", "99", "newer"]);
    let db = Connection::open(hub.path("run.db")).unwrap();
    let tasks: i64 = db.query_row("SELECT count(*) FROM tasks", [], |row| row.get(0)).unwrap();
    assert_eq!(tasks, 1, "left as it was");
}

#[test]
fn a_database_of_something_else() {
    let space = Space::new();
    let db = Connection::open(space.path("other.db")).unwrap();
    db.execute_batch("CREATE TABLE songs (title TEXT); INSERT INTO songs VALUES ('x')").unwrap();
    drop(db);
    let before = fs::read(space.path("other.db")).unwrap();
    refused(&space, &["-f", "other.db"], Exit::FileUnusable).says(&["other.db", "not"]);
    assert_eq!(fs::read(space.path("other.db")).unwrap(), before);
}

#[test]
fn a_file_that_is_no_database() {
    let space = Space::new();
    let text = "tasks\n".repeat(1000);
    space.write("notes.txt", &text);
    refused(&space, &["-f", "notes.txt"], Exit::FileUnusable).says(&["notes.txt"]);
    assert_eq!(fs::read_to_string(space.path("notes.txt")).unwrap(), text);
}

#[test]
fn a_directory_instead_of_a_file() {
    let space = Space::new();
    fs::create_dir(space.path("dir.db")).unwrap();
    refused(&space, &["-f", "dir.db"], Exit::FileUnusable).says(&["dir.db"]);
}

#[test]
fn a_directory_that_is_missing() {
    let space = Space::new();
    refused(&space, &["-f", "no/such/run.db"], Exit::FileUnusable).says(&["no/such"]);
}

/// Root may write anywhere but where nobody can: below a file of /proc.
#[test]
fn a_directory_that_cannot_be_written() {
    let space = Space::new();
    let dir = space.path("locked");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o555)).unwrap();
    let is_root = fs::write(dir.join("probe"), "").is_ok();
    let file = if is_root { "/proc/run.db" } else { "locked/run.db" };
    refused(&space, &["-f", file], Exit::FileUnusable).says(&["run.db"]);
}

#[test]
fn a_directory_for_sockets_that_others_can_enter() {
    let space = Space::new();
    let dir = space.path("dhub");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    refused(&space, &["-f", "run.db"], Exit::Bind).says(&["chmod 700"]);
}

#[test]
fn options_that_are_wrong() {
    let space = Space::new();
    for (args, part) in [
        (&["--local", "-p", "7000"][..], "--local"),
        (&["--curve", "tcp://127.0.0.1:7000"], "--insecure"),
        (&["-p", "70000", "--insecure"], "70000"),
        (&["--lease", "1ms"], "1s"),
        (&["--worker-timeout", "soon"], "no unit of time"),
        (&["--no-such-option"], "--no-such-option"),
        (&["extra"], "extra"),
    ] {
        let output = space.run("dhub", args);
        output.exits(Exit::Usage as i32).says(&[part]);
        assert!(!output.stderr.contains("panicked"), "{output:?}");
    }
}
