//! `dhub rescue`: what can be read of damaged files, with a list of what cannot.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use e2e::{Hub, Output, Space, open_file, outcome_done, outcome_failed, task, worker};
use rusqlite::Connection;

use crate::damage::commands;
use crate::redo::{FILES, Killed, PAGE, killed};
use crate::scrub::overwrite;

/// A hub with tables of many pages, killed when all is in them.
fn large() -> Killed {
    let mut hub = Hub::start();
    let native = hub.native();
    let mut tasks: Vec<_> = (1..=2000).map(|n| task(&format!("task-{n}"), &[])).collect();
    tasks.iter_mut().for_each(|task| task.command = format!("run {}", "x".repeat(200)));
    tasks.extend((1..=50).map(|n| task(&format!("after-{n}"), &[&format!("task-{}", 40 * n)])));
    tasks.chunks(500).for_each(|tasks| {
        native.create(tasks);
    });
    for _ in 0..30 {
        let lease = native.steal_one(&worker(1));
        assert_eq!(native.report(&worker(1), vec![outcome_done(&lease)]), []);
    }
    native.steal_one(&worker(2));
    // A read waits until all is in the tables.
    hub.query(&["list", "--all"]).ok();
    hub.kill9();
    Killed::take(&hub, 2050)
}

fn rescue(space: &Space) -> Output {
    let before: Vec<_> = FILES.map(|name| fs::read(space.path(name)).ok()).into();
    let output = space.run("dhub", &["rescue", "run.db", "saved.db"]);
    let after: Vec<_> = FILES.map(|name| fs::read(space.path(name)).ok()).into();
    assert!(before == after, "the originals are as they were");
    output
}

fn lost(output: &Output) -> BTreeSet<String> {
    let lines = output.stdout.lines();
    lines.filter_map(|line| line.trim().strip_prefix("lost task  ")).map(str::to_owned).collect()
}

fn names(file: &Path) -> BTreeSet<String> {
    let db = Connection::open(file).expect("a database");
    let mut select = db.prepare("SELECT name FROM tasks WHERE state <> 1").expect("a table");
    let names = select.query_map([], |row| row.get(0)).expect("names");
    names.collect::<rusqlite::Result<_>>().expect("names")
}

/// What was saved is a file like any other.
#[track_caller]
fn is_usable(space: &Space) {
    space.run("dhub", &["check", "saved.db"]).exits(0).prints(&["sound"]);
    let hub = Hub::on(&space.path("saved.db"), &[]);
    hub.native().create(&[task("another one", &[])]);
    assert_eq!(hub.state("another one"), "ready");
}

#[test]
fn of_a_hub_that_was_killed_all_is_saved() {
    let killed = killed(3);
    let space = killed.damaged("run.db", |_| {});
    rescue(&space).exits(0).prints(&[&killed.said()]);
    is_usable(&space);
    let again = space.run("dhub", &["rescue", "run.db", "saved.db"]);
    again.exits(9).is_one_message().says(&["saved.db exists already"]);
    let mode = fs::metadata(space.path("saved.db")).expect("the file").permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
}

#[test]
fn only_what_was_in_a_damaged_page_is_lost_and_is_named() {
    let killed = large();
    // All in one file first, as most of it is.
    let space = killed.damaged("run.db", |_| {});
    space.run("dhub", &["check", "run.db"]).exits(0);
    let sound = fs::read(space.path("run.db")).expect("the file");
    let all = names(&space.path("run.db"));
    let pages: Vec<_> = (1..sound.len() / PAGE).collect();
    assert!(pages.len() > 100);
    for page in pages.into_iter().step_by(7).chain([0]) {
        let mut bytes = sound.clone();
        bytes[page * PAGE..][..PAGE].fill(0xA5);
        space.write("run.db", &bytes);
        let _ = fs::remove_file(space.path("saved.db"));
        let _ = fs::remove_file(space.path("saved.db.lock"));
        let output = rescue(&space);
        assert!(matches!(output.code, Some(0 | 28)), "page {page}: {output:?}");
        let (lost, saved) = (lost(&output), names(&space.path("saved.db")));
        let gone: BTreeSet<_> = all.difference(&saved).cloned().collect();
        // An inner page of a table leads to many rows; of those each name is told.
        assert_eq!(lost, gone, "page {page}: {output:?}");
        // The first page of the file, and of the table of tasks: all else is found without them.
        assert!(page > 1 || lost.is_empty(), "page {page}: {output:?}");
        assert_eq!(output.code == Some(28), output.stdout.lines().count() > 1, "{output:?}");
        space.run("dhub", &["check", "saved.db"]).exits(0).prints(&["sound"]);
    }
    is_usable(&space);
}

#[test]
fn a_log_of_sqlites_that_is_missing_is_named_and_its_lack_too() {
    let killed = large();
    assert!(killed.files["run.db-wal"].len() > 100 * PAGE, "all is in the log");
    let space = killed.without("run.db-wal");
    for args in [&["check", "run.db"][..], &["-f", "run.db"]] {
        let said = space.run("dhub", args);
        said.exits(22).is_one_message().says(&[
            "run.db-wal is missing or empty",
            "dhub rescue ",
            "run.db.rescued",
        ]);
        assert!(!said.stderr.contains("without-redo"), "{said:?}");
    }
    // The redo log may have all of it still; then nothing is lost.
    let output = rescue(&space);
    let is_whole = names(&space.path("saved.db")).len() as u64 == killed.tasks;
    assert_eq!(output.code, Some(if is_whole { 0 } else { 28 }), "{output:?}");
    is_usable(&space);

    let mut killed = killed;
    killed.files.remove("run.db-wal");
    let space = killed.damaged("run.db.redo", |log| log[3 * PAGE..4 * PAGE].fill(0));
    rescue(&space).exits(28).prints(&["lost       turn"]);
    is_usable(&space);
}

#[test]
fn a_log_of_sqlites_that_is_damaged_is_named_and_the_rest_of_it_saved() {
    let killed = large();
    let size = killed.files["run.db-wal"].len();
    for at in [0, 17, 40, size / 3, size / 2] {
        let space = killed.damaged("run.db-wal", |wal| wal[at] ^= 16);
        let said = space.run("dhub", &["check", "run.db"]);
        said.exits(22).is_one_message().says(&[
            "run.db-wal is damaged",
            "dhub rescue ",
            "run.db.rescued",
        ]);
        assert!(!said.stderr.contains("without-redo"), "{said:?}");
        let output = rescue(&space);
        assert!(matches!(output.code, Some(0 | 28)), "{at}: {output:?}");
        // One page of several hundred.
        let saved = names(&space.path("saved.db"));
        assert!(saved.len() as u64 + 50 > killed.tasks, "{at}: {} in {output:?}", saved.len());
        is_usable(&space);
    }
}

#[test]
fn a_gap_in_the_redo_log_is_named_and_what_comes_behind_it_saved() {
    let killed = killed(4);
    let page = killed.records[1];
    let space = killed.damaged("run.db.redo", |log| log[page * PAGE + 70] ^= 1);
    let said = space.run("dhub", &["-f", "run.db"]);
    said.exits(22).is_one_message().says(&[
        "run.db.redo is damaged: turn",
        "dhub rescue ",
        "run.db.rescued",
    ]);
    assert!(!said.stderr.contains("without-redo"), "{said:?}");
    let output = rescue(&space);
    output.exits(28).prints(&["lost       turn", "of the redo log"]);
    assert_eq!(names(&space.path("saved.db")).len() as u64, killed.tasks - 1, "{output:?}");
    is_usable(&space);
}

#[test]
fn without_the_redo_log_the_tables_are_saved() {
    let killed = killed(3);
    let space = killed.without("run.db.redo");
    let said = space.run("dhub", &["-f", "run.db"]);
    said.exits(22).is_one_message().says(&[
        "run.db.redo is missing",
        "dhub rescue ",
        "run.db.rescued",
    ]);
    rescue(&space).exits(28).prints(&["run.db.redo is missing"]);
    is_usable(&space);
}

/// SQLite makes a log of its own in the place of one that is missing: the second start must miss it, too.
#[test]
fn of_two_logs_that_are_missing_both_are_named_each_time() {
    let killed = large();
    let space = killed.without("run.db.redo");
    fs::remove_file(space.path("run.db-wal")).expect("a log");
    for args in [&["-f", "run.db"][..], &["check", "run.db"], &["-f", "run.db"]] {
        let said = space.run("dhub", args);
        said.exits(22).is_one_message().says(&[
            "run.db-wal and ",
            "run.db.redo are missing, and have what was acknowledged last",
            "bring them back",
            "dhub rescue ",
        ]);
    }
}

#[test]
fn without_the_file_its_logs_are_saved() {
    let killed = killed(3);
    let space = killed.without("run.db");
    let output = rescue(&space);
    assert!(matches!(output.code, Some(0 | 28)), "{output:?}");
    assert!(names(&space.path("saved.db")).contains("t40"), "{output:?}");
    is_usable(&space);
}

#[test]
fn files_of_every_version_are_saved() {
    for version in 1..=6 {
        let file = format!("data/schema-{version}.db");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let space = Space::new();
        space.write("run.db", fs::read(file).expect("the file"));
        let all = names(&space.path("run.db"));
        rescue(&space).exits(0);
        assert_eq!(names(&space.path("saved.db")), all);
        is_usable(&space);
        // Row by row.
        let db = open_file(&space.path("run.db"));
        db.execute_batch("UPDATE totals SET count = 77").expect("a table");
        drop(db);
        let _ = fs::remove_file(space.path("saved.db"));
        rescue(&space).exits(0);
        assert_eq!(names(&space.path("saved.db")), all);
        is_usable(&space);
    }
}

/// With --network-file a commit that was under way is rolled back, in the copy.
#[test]
fn what_a_journal_has_is_rolled_back() {
    let killed = large();
    let space = killed.damaged("run.db", |_| {});
    space.run("dhub", &["check", "run.db"]).exits(0);
    let db = open_file(&space.path("run.db"));
    db.execute_batch(
        "PRAGMA journal_mode = DELETE; PRAGMA cache_size = 2; BEGIN;
         UPDATE tasks SET name = name || '-changed'",
    )
    .expect("a transaction");
    let other = Space::new();
    for name in ["run.db", "run.db-journal"] {
        let bytes = fs::read(space.path(name)).expect("a file");
        assert!(bytes.len() > 100 * PAGE, "{name}: not yet written");
        other.write(name, bytes);
    }
    rescue(&other).exits(0).prints(&[&killed.said()]);
    assert!(names(&other.path("saved.db")).iter().all(|name| !name.contains("changed")));
    let left = fs::read_dir(other.path("")).expect("a directory");
    let left = left.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
    assert!(left.into_iter().all(|name| !name.starts_with(".dhub-")), "nothing else is left");
    is_usable(&other);
}

#[test]
fn what_is_not_a_hubs_is_left_alone() {
    let space = Space::new();
    rescue(&space).exits(22).is_one_message().says(&["run.db"]);
    space.write("run.db", "what to do\n".repeat(500));
    rescue(&space).exits(22).is_one_message().says(&["run.db has no task that can be read"]);
    fs::remove_file(space.path("run.db")).expect("the file");
    let db = Connection::open(space.path("run.db")).expect("a database");
    db.execute_batch("CREATE TABLE tasks (name TEXT)").expect("a table");
    drop(db);
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(space.path("run.db"), private).expect("a mode");
    rescue(&space).exits(22).is_one_message().says(&["not a file of dhub"]);
    assert!(!space.path("saved.db").exists());
    let hub = Hub::start();
    hub.space.run("dhub", &["rescue", "run.db", "saved.db"]).exits(20).says(&["in use"]);
}

/// The shell of SQLite knows no checksums: closing a file that it only read moves the log into it.
#[test]
fn a_file_that_another_program_wrote_is_told_and_saved() {
    let killed = large();
    let scripts = [
        ("SELECT count(*) FROM tasks", 28),
        ("PRAGMA journal_mode = DELETE; VACUUM", 28),
        // Nothing is in doubt: pages of another length cannot have checksums.
        ("PRAGMA journal_mode = DELETE; PRAGMA page_size = 8192; VACUUM", 0),
    ];
    for (script, code) in scripts {
        let space = killed.damaged("run.db", |_| {});
        let db = Connection::open(space.path("run.db")).expect("a database");
        db.execute_batch(script).expect("a script");
        db.close().expect("an end");
        space.run("dhub", &["check", "run.db"]).exits(22).says(&["damaged"]);
        let output = rescue(&space);
        output.exits(code);
        assert_eq!(output.stdout.contains("another program"), code == 28, "{output:?}");
        assert_eq!(names(&space.path("saved.db")).len() as u64, killed.tasks);
        is_usable(&space);
    }
}

#[test]
fn what_a_row_with_a_wrong_sum_was_to_run_is_lost_and_no_more() {
    let mut hub = Hub::start();
    hub.native().create(&[task("a", &[]), task("b", &["a"]), task("c", &[])]);
    hub.terminate().exits(0);
    let db = open_file(&hub.path("run.db"));
    db.execute_batch("UPDATE tasks SET command = 'rm -rf /' WHERE name = 'a'").expect("a change");
    drop(db);
    let output = hub.space.run("dhub", &["rescue", "run.db", "saved.db"]);
    output.exits(28).prints(&["what task a was to run"]);
    hub.space.run("dhub", &["check", "saved.db"]).exits(0).prints(&["sound"]);
    let hub = Hub::on(&hub.path("saved.db"), &[]);
    assert_eq!([hub.state("a"), hub.state("b"), hub.state("c")], ["failed", "skipped", "ready"]);
    // Nor does anybody run it who asks for another try.
    hub.query(&["retry", "--failed"]).exits(6).says(&["its definition is damaged"]);
    assert_eq!([hub.state("a"), hub.state("b")], ["failed", "skipped"]);
}

/// Tables begin elsewhere in a file that was copied to get checksums.
#[test]
fn a_file_that_was_upgraded_is_saved_without_its_first_page() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/schema-5.db");
    let space = Space::new();
    space.write("run.db", fs::read(file).expect("the file"));
    let all = names(&space.path("run.db"));
    let mut hub = Hub::on(&space.path("run.db"), &[]);
    hub.native().create(&[task("one more", &[])]);
    hub.terminate().exits(0);
    let mut bytes = fs::read(hub.path("run.db")).expect("the file");
    bytes[..PAGE].fill(0xA5);
    space.write("run.db", bytes);
    rescue(&space).exits(0);
    let saved = names(&space.path("saved.db"));
    assert!(saved.is_superset(&all) && saved.contains("one more"), "{saved:?}");
    is_usable(&space);
}

/// One frame that cannot be read costs what was on its page, and not all that SQLite's log has.
#[test]
fn an_older_file_is_not_taken_for_a_newer_log_with_a_bad_frame() {
    let mut hub = Hub::start();
    let native = hub.native();
    native.create(&[task("old", &[])]);
    hub.terminate().exits(0);
    // Sound by itself, and older than its log.
    hub.restart();
    let native = hub.native();
    let tasks: Vec<_> = (1..=500).map(|n| task(&format!("task-{n}"), &[])).collect();
    native.create(&tasks);
    hub.query(&["list", "--all"]).ok();
    hub.kill9();
    let killed = Killed::take(&hub, 501);
    let size = killed.files["run.db-wal"].len();
    assert!(size > 10 * PAGE, "the tasks are in the log");
    for at in [size / 3, size / 2] {
        // Without the redo log, which has all of it still.
        let space = killed.damaged("run.db-wal", |wal| wal[at] ^= 16);
        fs::remove_file(space.path("run.db.redo")).expect("a log");
        let output = rescue(&space);
        output.exits(28).prints(&["run.db.redo is missing"]);
        let saved = names(&space.path("saved.db"));
        assert!(saved.len() > 250, "{at}: {} in {output:?}", saved.len());
        is_usable(&space);
    }
}

#[test]
fn rows_that_no_hub_can_read_are_found_by_check_and_told_as_lost() {
    let changes = [
        ("UPDATE tasks SET priority = 'high' WHERE name = 'b'", "priority of 'b'"),
        ("UPDATE tasks SET retries = -1 WHERE name = 'b'", "retries of 'b'"),
        ("UPDATE tasks SET failures = 0.5 WHERE name = 'b'", "failures of 'b'"),
        ("UPDATE tasks SET stdin = 'text' WHERE name = 'b'", "'b'"),
        ("UPDATE tasks SET held = 'no' WHERE name = 'b'", "held of 'b'"),
        ("UPDATE tasks SET state = 3 WHERE name = 'b'", "state of 'b'"),
        ("UPDATE tasks SET created_ms = x'00' WHERE name = 'b'", "created_ms of 'b'"),
    ];
    for (change, told) in changes {
        let mut hub = Hub::start();
        hub.native().create(&[task("a", &[]), task("b", &[]), task("c", &["b"])]);
        hub.terminate().exits(0);
        let db = open_file(&hub.path("run.db"));
        db.execute_batch(change).expect("a change");
        drop(db);
        let space = &hub.space;
        space.run("dhub", &["check", "run.db"]).exits(22).says(&[told]);
        let output = rescue(space);
        output.exits(28);
        let saved = names(&space.path("saved.db"));
        assert_eq!(lost(&output), BTreeSet::from(["b".to_owned()]), "{change}: {output:?}");
        assert_eq!(saved, BTreeSet::from(["a".to_owned(), "c".to_owned()]), "{change}");
        space.run("dhub", &["check", "saved.db"]).exits(0).prints(&["sound"]);
    }
}

/// The schema needs more than the first page.
#[test]
fn no_page_of_the_schema_costs_more_than_itself() {
    let killed = large();
    let space = killed.damaged("run.db", |_| {});
    space.run("dhub", &["check", "run.db"]).exits(0);
    let sound = fs::read(space.path("run.db")).expect("the file");
    let all = names(&space.path("run.db"));
    let db = open_file(&space.path("run.db"));
    let mut select = db.prepare("SELECT pageno FROM dbstat WHERE name = 'sqlite_schema'");
    let pages = select.as_mut().expect("a walk").query_map([], |row| row.get::<_, u32>(0));
    let pages: Vec<_> = pages.expect("pages").collect::<Result<_, _>>().expect("pages");
    drop(select);
    drop(db);
    assert!(pages.len() > 2, "{pages:?}");
    for fill in [0, 0xA5] {
        let mut bytes = sound.clone();
        for page in &pages {
            bytes[(*page as usize - 1) * PAGE..][..PAGE].fill(fill);
            space.write("run.db", &bytes);
            let _ = fs::remove_file(space.path("saved.db"));
            let _ = fs::remove_file(space.path("saved.db.lock"));
            let output = rescue(&space);
            assert_eq!(names(&space.path("saved.db")), all, "page {page}: {output:?}");
            assert!(!output.stderr.contains(".part"), "{output:?}");
            // Each by itself, and then all of them.
            if Some(page) != pages.last() {
                bytes.copy_from_slice(&sound);
            }
        }
    }
    is_usable(&space);
}

/// One of the schema's pages is read as it is, wrong letter and all, when another one cannot be read.
#[test]
fn a_wrong_letter_in_the_schema_costs_nothing_beside_a_page_that_cannot_be_read() {
    let killed = large();
    let space = killed.damaged("run.db", |_| {});
    space.run("dhub", &["check", "run.db"]).exits(0);
    let all = names(&space.path("run.db"));
    let mut bytes = fs::read(space.path("run.db")).expect("the file");
    let find = |bytes: &[u8], text: &[u8]| {
        let at = bytes[PAGE..].windows(text.len()).position(|it| it == text);
        PAGE + at.expect("the schema")
    };
    let (column, view) =
        (find(&bytes, b"created_ms    INTEGER"), find(&bytes, b"THEN 'waiting' ELSE 'ready'"));
    assert_ne!(column / PAGE, view / PAGE);
    bytes[column + 5] ^= 8;
    // Where nothing is, and not to be mended.
    bytes[view / PAGE * PAGE + 600] ^= 1;
    bytes[view / PAGE * PAGE + 800] ^= 1;
    space.write("run.db", &bytes);
    rescue(&space);
    assert_eq!(names(&space.path("saved.db")), all);
    is_usable(&space);
}

/// In words of the user's own files, and no others.
#[test]
fn what_is_missing_is_named_and_nothing_else_is() {
    let killed = large();
    let space = killed.damaged("run.db.redo", |log| log.clear());
    rescue(&space).exits(28).prints(&["run.db.redo is empty"]);
    let space = killed.without("run.db.redo");
    fs::remove_file(space.path("run.db-wal")).expect("a log");
    let output = rescue(&space);
    // All was in the logs.
    assert!(matches!(output.code, Some(22 | 28)), "{output:?}");
    output.prints(&["run.db.redo is missing", "run.db-wal is missing"]);
    let space = killed.damaged("run.db-wal", |wal| wal[40] ^= 16);
    let output = rescue(&space);
    assert!(!output.stdout.contains(".part") && output.stderr.is_empty(), "{output:?}");
}

/// The indices know their names and what became of them, so nobody has to add them again and what needs them goes on.
#[test]
fn finished_tasks_are_saved_with_what_the_indices_have() {
    let mut hub = Hub::start();
    commands(&hub, 400);
    let native = hub.native();
    native.create(&[task("after", &["t207"]), task("never", &["t208"]), task("waits", &["t220"])]);
    hub.query(&["priority", "1", "t207", "t208"]).exits(0);
    for _ in 0..2 {
        let lease = native.steal_one(&worker(1));
        let is_bad = lease.name == "t208";
        let outcome = if is_bad { outcome_failed(&lease) } else { outcome_done(&lease) };
        assert_eq!(native.report(&worker(1), vec![outcome]), []);
    }
    hub.query(&["cancel", "t212"]).exits(0);
    hub.terminate().exits(0);
    overwrite(&hub.path("run.db"), &[207, 208, 212, 220]);
    let output = hub.space.run("dhub", &["rescue", "run.db", "saved.db"]);
    output.exits(28).prints(&["what 3 finished tasks had run; saved with name and state: t207, "]);
    let lost = lost(&output);
    let finished = BTreeSet::from(["t207", "t208", "t212"].map(str::to_owned));
    assert!(lost.contains("t220") && lost.is_disjoint(&finished), "{lost:?}");
    hub.space.run("dhub", &["check", "saved.db"]).exits(0).prints(&["sound"]);
    let hub = Hub::on(&hub.path("saved.db"), &[]);
    let states = ["t207", "t208", "t212", "after", "never", "t220", "waits"];
    let expected = ["done", "failed", "cancelled", "ready", "skipped", "missing", "waiting"];
    assert_eq!(states.map(|name| hub.state(name)), expected);
    // By its name alone nobody runs it.
    let again = hub.query(&["retry", "--done", "t207", "t208"]);
    again.exits(6).says(&["t207", "t208", "its definition is damaged"]);
    assert_eq!([hub.state("t207"), hub.state("t208")], ["done", "failed"]);
}

/// Hundreds of tasks run after the tables were written last, and the page that had them is lost.
#[test]
fn what_became_of_tasks_later_is_no_list_of_doubts() {
    let mut hub = Hub::start();
    commands(&hub, 300);
    hub.terminate().exits(0);
    hub.restart();
    let native = hub.native();
    native.create(&[task("one more", &[])]);
    hub.query(&["list", "--all"]).ok();
    // The tables as they are now, and the log as it is later.
    let tables = ["run.db", "run.db-wal"].map(|name| fs::read(hub.path(name)).expect("a file"));
    for _ in 0..200 {
        let lease = native.steal_one(&worker(1));
        assert_eq!(native.report(&worker(1), vec![outcome_done(&lease)]), []);
    }
    hub.kill9();
    for (name, bytes) in ["run.db", "run.db-wal"].iter().zip(tables) {
        fs::write(hub.path(name), bytes).expect("written");
    }
    overwrite(&hub.path("run.db"), &[100]);
    let output = rescue(&hub.space);
    output.exits(28);
    let doubts = output.stdout.lines().filter(|line| line.starts_with("  in doubt")).count();
    assert!(doubts <= 2, "{output:?}");
    let (lost, saved) = (lost(&output), names(&hub.path("saved.db")));
    assert_eq!(saved.len() + lost.len(), 301, "{output:?}");
    assert!(saved.is_disjoint(&lost), "{output:?}");
    hub.space.run("dhub", &["check", "saved.db"]).exits(0).prints(&["sound"]);
    // Turns that the tables had are written over when there is nothing else in the log.
    if output.stdout.contains("of the redo log") {
        return;
    }
    output.prints(&["finished tasks had run; saved with name and state: "]);
    assert!(lost.is_empty(), "{output:?}");
    let hub = Hub::on(&hub.path("saved.db"), &[]);
    assert_eq!((hub.state("t100").as_str(), hub.count("done")), ("done", 200));
}
