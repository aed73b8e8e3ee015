//! Files that are damaged: said by `dhub check`, and never a panic or a file made worse.

use std::fs;
use std::path::Path;

use dhub_proto::exit::Exit;
use e2e::{Hub, Output, Process, Space, eventually, open_file, task};

const PAGE: usize = 4096;

/// The file of every version's tests, damaged so.
fn damaged(version: u32, damage: impl FnOnce(&mut Vec<u8>)) -> (Space, Vec<u8>) {
    let file = format!("data/schema-{version}.db");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let mut bytes = fs::read(file).expect("the file");
    damage(&mut bytes);
    let space = Space::new();
    space.write("run.db", &bytes);
    (space, bytes)
}

/// `dhub check` says so. A hub does not start, or stops when it meets the damage.
#[track_caller]
fn is_told(space: &Space, bytes: &[u8], what: &str) {
    let check = space.run("dhub", &["check", "run.db"]);
    check.exits(Exit::FileUnusable as i32);
    assert!(check.stderr.contains("run.db"), "{what}: {check:?}");

    let mut command = space.command("dhub");
    command.args(["-f", "run.db"]);
    let mut hub = Process::start(command);
    let listens = eventually("a start, or a refusal", || {
        let listens = hub.stderr().contains("listening");
        (listens || !hub.is_running()).then_some(listens)
    });
    if !listens {
        let end = hub.end();
        end.exits(Exit::FileUnusable as i32).says(&["dhub: ", "run.db"]);
        assert!(!end.stderr.contains("panicked"), "{what}: {end:?}");
        assert_eq!(fs::read(space.path("run.db")).expect("the file"), bytes, "{what}: changed");
        return;
    }
    for verb in [
        &["list", "--all"][..],
        &["show", "done by a pool"],
        &["create", "another one"],
        &["steal", "-q"],
        &["retry", "--failed"],
    ] {
        let args = [&["--timeout", "1s"], verb].concat();
        let output = space.run("dquery", &args);
        assert!(!output.stderr.contains("panicked"), "{what}: {output:?}");
        if !hub.is_running() {
            let end = hub.end();
            end.exits(Exit::FileUnusable as i32).says(&["malformed", "dhub check", "dhub rescue"]);
            return;
        }
    }
    hub.signal(rustix::process::Signal::TERM);
    let end = hub.end();
    assert!(matches!(end.code, Some(0 | 22)), "{what}: {end:?}");
}

#[test]
fn every_page_in_turn_is_overwritten() {
    for version in [1, 6] {
        let (_, sound) = damaged(version, |_| {});
        assert_eq!(sound.len() % PAGE, 0);
        for page in 0..sound.len() / PAGE {
            let what = format!("version {version}, page {page}");
            let (space, bytes) = damaged(version, |bytes| bytes[page * PAGE..][..PAGE].fill(0xA5));
            is_told(&space, &bytes, &what);
        }
    }
}

#[test]
fn a_file_is_cut_off() {
    for version in [1, 6] {
        for size in [100, PAGE, 5 * PAGE, 10 * PAGE + 10] {
            let (space, bytes) = damaged(version, |bytes| bytes.truncate(size));
            is_told(&space, &bytes, &format!("version {version}, {size} bytes"));
        }
    }
}

/// What loses least comes first.
#[track_caller]
fn rescue_comes_first(output: &Output) {
    let rescue = output.stderr.find("dhub rescue ").expect("advice");
    let backup = output.stderr.find("from a backup");
    assert!(backup.is_some_and(|backup| rescue < backup), "{output:#?}");
}

fn commands(hub: &Hub, count: usize) {
    let lines =
        (1..=count).map(|n| format!("{{\"name\": \"t{n}\", \"command\": \"echo number {n}\"}}\n"));
    hub.space.write("lines.jsonl", lines.collect::<String>().as_bytes());
    hub.query(&["addfile", "lines.jsonl"]).exits(0);
}

/// Changes the bytes that begin with this text, where the table has them.
fn change(file: &Path, text: &str, into: &str) {
    let mut bytes = fs::read(file).expect("the file");
    let found = bytes.windows(text.len()).enumerate().filter(|(_, it)| *it == text.as_bytes());
    let places: Vec<usize> = found.map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "{text} is not in the file");
    for at in places {
        bytes[at..at + into.len()].copy_from_slice(into.as_bytes());
    }
    fs::write(file, bytes).expect("written");
}

#[test]
fn one_wrong_byte_is_told_and_mended() {
    let mut hub = Hub::start();
    commands(&hub, 100);
    hub.terminate().exits(0);
    let file = hub.path("run.db");
    let sound = fs::read(&file).expect("the file");
    change(&file, "echo number 42", "Echo");
    let check = hub.space.run("dhub", &["check", "run.db"]);
    check.exits(22).says(&["run.db is not sound", "is wrong, which a hub mends", "tasks"]);
    check.says(&["a start mends it", "dhub -f run.db"]);
    assert!(!check.stderr.contains("backup") && !check.stderr.contains("rescue"), "{check:?}");

    hub.restart();
    let shown = hub.native().show("t42").task.expect("a task");
    assert_eq!(shown.command, "echo number 42");
    let end = hub.terminate();
    end.exits(0).says(&["byte", "was wrong, and is mended"]);
    hub.space.run("dhub", &["check", "run.db"]).exits(0);
    assert_eq!(fs::read(&file).expect("the file").len(), sound.len());
}

#[test]
fn a_task_whose_row_is_not_what_was_written_fails_and_others_go_on() {
    let mut hub = Hub::start();
    commands(&hub, 20);
    hub.native().create(&[task("after", &["t7"]), task("plain", &[]), task("other", &[])]);
    hub.terminate().exits(0);
    // A wrong write, with a checksum that fits.
    let db = open_file(&hub.path("run.db"));
    db.execute_batch(
        "UPDATE tasks SET command = 'rm -rf /' WHERE name = 't7';
         UPDATE tasks SET command = CAST(x'ff' AS TEXT) WHERE name = 't8';
         UPDATE tasks SET name = 'plane' WHERE name = 'plain'",
    )
    .expect("a change");
    drop(db);
    hub.space
        .run("dhub", &["check", "run.db"])
        .exits(22)
        .says(&["3 tasks", "definition is damaged"]);

    hub.restart();
    let mut given = Vec::new();
    loop {
        let stolen = hub.query(&["steal", "-q", "-n", "4"]);
        if stolen.code != Some(0) {
            break;
        }
        given.extend(stolen.stdout.lines().map(str::to_owned));
        assert!(!stolen.stdout.contains("rm -rf"), "{stolen:?}");
    }
    assert_eq!(given.len(), 19, "{given:?}");
    for name in ["t7", "t8", "plane"] {
        let shown = hub.native().show(name);
        let found = shown.task.expect("a task");
        assert_eq!(hub.state(name), "failed");
        assert_eq!(found.reason, "its definition is damaged", "{name}");
    }
    assert_eq!(hub.count("skipped"), 1);
    // Nor is it given out because somebody wants it to be tried again.
    hub.query(&["retry", "--failed"]).exits(0);
    hub.query(&["steal", "-q", "-n", "9"]).exits(3);
    assert_eq!((hub.count("failed"), hub.count("skipped")), (3, 1));
}

/// More than a byte: nobody knows what was there.
#[test]
fn a_page_that_cannot_be_mended_costs_its_tasks_and_no_others() {
    let mut hub = Hub::start();
    commands(&hub, 400);
    hub.native().create(&[task("after", &["t200"]), task("other", &["t1"])]);
    hub.terminate().exits(0);
    change(&hub.path("run.db"), "echo number 200", "EcHo NuMbEr");
    let check = hub.space.run("dhub", &["check", "run.db"]);
    check.exits(22).says(&["is damaged (tasks: ids", "'t"]);
    rescue_comes_first(&check);
    let copy = hub.space.run("dhub", &["backup", "run.db", "copy.db"]);
    copy.exits(22).says(&["dhub: run.db is damaged: ", "page ", "nothing was copied"]);
    rescue_comes_first(&copy);

    hub.restart();
    let listed = hub.query(&["list", "--all"]);
    listed.exits(0).prints(&["t1 ", "t400", "which cannot be read"]);
    hub.query(&["show", "t200"]).exits(0).prints(&["its definition is damaged"]);
    hub.query(&["create", "t200", "--command", "echo number 200"]).exits(6);
    hub.query(&["export"]).exits(0).prints(&["t400", "its definition is damaged"]);
    let stolen = hub.query(&["steal", "-q", "-n", "1000"]);
    let given: Vec<&str> = stolen.ok().lines().collect();
    assert!((300..400).contains(&given.len()) && given.contains(&"t400"), "{}", given.len());
    hub.query(&["complete", "t1", "t400"]).exits(0);
    hub.query(&["cancel", "--yes", "*"]).exits(0);
    let ipc = hub.ipc();
    let copy = hub.query(&["-s", &ipc, "backup", "copy.db"]);
    copy.exits(22).says(&["run.db is damaged: ", "page ", "nothing was copied", "stop the hub"]);
    assert!(copy.stderr.contains("dhub rescue FILE TO"), "{copy:?}");
    assert!(!hub.path("copy.db").exists());
    let end = hub.terminate();
    end.exits(0).says(&["cannot be read and are left out", "run.db is damaged"]);
}
