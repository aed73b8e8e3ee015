//! Files that are damaged: said by `dhub check`, and never a panic or a file made worse.

use std::fs;
use std::path::Path;

use dhub_proto::exit::Exit;
use e2e::{
    Hub, Output, Process, Space, eventually, open_file, outcome_done, outcome_failed, task, worker,
};

const PAGE: usize = 4096;
const DAMAGED: &str = "its definition is damaged";

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

pub fn commands(hub: &Hub, count: usize) {
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
    hub.query(&["retry", "--failed"]).exits(6).says(&[DAMAGED]);
    hub.query(&["steal", "-q", "-n", "9"]).exits(3);
    assert_eq!((hub.count("failed"), hub.count("skipped")), (3, 1));
}

/// Too early, never, or not at all: what a task needs is as much of it as its command.
#[test]
fn a_task_that_needs_what_it_never_needed_fails_and_others_go_on() {
    let mut hub = Hub::start();
    commands(&hub, 3);
    let mut tasks: Vec<_> =
        ["bad", "less", "other", "unknown"].map(|name| task(name, &["t1"])).into();
    tasks.extend([task("more", &[]), task("sound", &["t1", "t2"]), task("after", &["bad"])]);
    tasks[1].command = "echo less".into();
    hub.native().create(&tasks);
    hub.terminate().exits(0);
    let db = open_file(&hub.path("run.db"));
    db.execute_batch(
        "UPDATE tasks SET needs = needs || ',x' WHERE name = 'bad';
         UPDATE tasks SET needs = NULL WHERE name = 'less';
         UPDATE tasks SET needs = '3' WHERE name = 'other';
         UPDATE tasks SET needs = '4711' WHERE name = 'unknown';
         UPDATE tasks SET needs = '2' WHERE name = 'more'",
    )
    .expect("a change");
    drop(db);
    let check = hub.space.run("dhub", &["check", "run.db"]);
    check.exits(22).says(&["5 tasks whose definition is damaged"]);

    hub.restart();
    for name in ["bad", "less", "other", "unknown", "more"] {
        let shown = hub.native().show(name).task.expect("a task");
        assert_eq!(
            (hub.state(name).as_str(), shown.reason.as_str()),
            ("failed", DAMAGED),
            "{name}"
        );
    }
    assert_eq!([hub.state("after"), hub.state("sound")], ["skipped", "waiting"]);
    hub.query(&["retry", "--failed"]).exits(6).says(&[DAMAGED]);
    let stolen = hub.query(&["steal", "-q", "-n", "9"]);
    assert_eq!(stolen.ok().lines().collect::<Vec<_>>(), ["t1", "t2", "t3"]);
    hub.query(&["complete", "t1", "t2"]).exits(0);
    assert_eq!(hub.state("sound"), "ready");
    hub.terminate().exits(0).says(&["task 'bad' fails: its definition is damaged"]);
}

/// Rows of before say nothing about what they needed; but what is not there cannot be waited for.
#[test]
fn a_dependency_that_is_not_there_costs_its_task_alone() {
    let mut hub = Hub::start();
    hub.native().create(&[task("a", &[]), task("b", &["a"]), task("c", &["a"])]);
    hub.terminate().exits(0);
    let db = open_file(&hub.path("run.db"));
    db.execute_batch("UPDATE tasks SET sum = NULL, needs = '4711' WHERE name = 'b'")
        .expect("a change");
    drop(db);
    hub.space.run("dhub", &["check", "run.db"]).exits(22).says(&["dependencies on unknown tasks"]);
    hub.restart();
    assert_eq!([hub.state("a"), hub.state("b"), hub.state("c")], ["ready", "skipped", "waiting"]);
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
    check.exits(22).says(&["is damaged (tasks: ids", "'t", "tasks are lost", "cannot be read"]);
    rescue_comes_first(&check);
    let copy = hub.space.run("dhub", &["backup", "run.db", "copy.db"]);
    copy.exits(22).says(&["dhub: run.db is damaged: ", "page ", "nothing was copied"]);
    rescue_comes_first(&copy);

    hub.restart();
    let lost = hub.count("failed");
    assert!((1..100).contains(&lost), "{lost}");
    assert_eq!(hub.count("ready") + hub.count("waiting") + hub.count("skipped") + lost, 402);
    let listed = hub.query(&["list", "--all"]);
    listed.exits(0).prints(&["t1 ", "t400", "t200"]);
    assert_eq!(listed.stdout.lines().filter(|line| line.contains("failed")).count() as u64, lost);
    for failed in [&["--failed"][..], &["--failed", "t*"], &["--failed", "t2*", "t1*", "t3*"]] {
        let listed = hub.query(&[&["list", "--all", "--json"], failed].concat());
        assert!(listed.ok().contains("\"t200\""), "{failed:?}: {listed:?}");
        let reasons = listed.stdout.matches(DAMAGED).count();
        assert_eq!(reasons as u64, lost, "{failed:?}");
    }
    let status = hub.query(&["status"]);
    status.exits(0).prints(&["damage", "tasks are lost", "dhub check", DAMAGED]);
    let status = hub.query(&["status", "--json"]).json();
    assert_eq!((&status["lost"], &status["counts"]["failed"]), (&lost.into(), &lost.into()));
    assert!(status["lost_names"][0].as_str().is_some_and(|name| name.starts_with('t')));
    hub.query(&["wait", "t200"]).exits(Exit::SomeFailed as i32);
    hub.query(&["retry", "--failed"]);
    assert_eq!(hub.count("failed"), lost);
    hub.query(&["show", "t200"]).exits(0).prints(&["its definition is damaged"]);
    hub.query(&["create", "t200", "--command", "echo number 200"]).exits(6);
    hub.query(&["export"]).exits(0).prints(&["t400", "its definition is damaged"]);
    let stolen = hub.query(&["steal", "-q", "-n", "1000"]);
    let given: Vec<&str> = stolen.ok().lines().collect();
    assert!((300..400).contains(&given.len()) && given.contains(&"t400"), "{}", given.len());
    hub.query(&["complete", "t1"]).exits(0);
    // Newer than all that are lost.
    hub.query(&["fail", "t400", "--reason", "so"]).exits(0);
    let failures = hub.query(&["status", "--json"]).json()["failures"].to_string();
    assert!(failures.contains(DAMAGED) && failures.contains("so"), "{failures}");
    // Again, as nothing can be stored of them.
    for _ in 0..2 {
        hub.kill9();
        hub.restart();
        assert_eq!(hub.count("failed"), lost + 1);
    }
    hub.query(&["cancel", "--yes", "*"]).exits(0);
    hub.query(&["wait"]).exits(Exit::SomeFailed as i32).prints(&["failed"]);
    hub.query(&["show", "after"]).exits(0).prints(&["t200"]);
    let ipc = hub.ipc();
    let copy = hub.query(&["-s", &ipc, "backup", "copy.db"]);
    copy.exits(22).says(&["run.db is damaged: ", "page ", "nothing was copied", "stop the hub"]);
    copy.says(&["dhub rescue ", "run.db.rescued"]);
    assert!(!hub.path("copy.db").exists());
    let end = hub.terminate();
    end.exits(0).says(&["tasks cannot be read and count as failed", "run.db is damaged"]);
}

/// What other tables and the indices say of them still counts.
#[test]
fn tasks_that_were_finished_before_their_page_was_lost_stay_as_they_were() {
    let mut hub = Hub::start();
    commands(&hub, 400);
    hub.native().create(&[task("after", &["t200"])]);
    hub.query(&["priority", "1", "t200", "t201", "t202"]).exits(0);
    let native = hub.native();
    let outcomes = (0..3).map(|_| native.steal_one(&worker(1))).map(|lease| {
        let is_bad = lease.name == "t200";
        if is_bad { outcome_failed(&lease) } else { outcome_done(&lease) }
    });
    assert_eq!(native.report(&worker(1), outcomes.collect()), []);
    hub.query(&["cancel", "t203"]).exits(0);
    hub.terminate().exits(0);
    change(&hub.path("run.db"), "echo number 200", "EcHo NuMbEr");
    hub.restart();
    let failed = hub.native().show("t200").task.expect("a task");
    assert_eq!((hub.state("t200").as_str(), failed.exit_code, failed.attempt), ("failed", 3, 1));
    assert_ne!(failed.reason, DAMAGED, "that is not why");
    assert_eq!([hub.state("t201"), hub.state("t202")], ["done"; 2]);
    assert_eq!([hub.state("t203"), hub.state("after")], ["cancelled", "skipped"]);
    assert_eq!((hub.count("done"), hub.count("cancelled"), hub.count("skipped")), (2, 1, 1));
    let lost = hub.query(&["status", "--json"]).json()["lost"].as_u64().expect("a count");
    assert_eq!(hub.count("failed"), lost + 1);
    hub.terminate().exits(0);
}

/// No row is on it: what it has is made again from the table.
#[test]
fn a_damaged_page_of_an_index_is_said_to_be_one() {
    let mut hub = Hub::start();
    commands(&hub, 400);
    hub.terminate().exits(0);
    let file = hub.path("run.db");
    let mut bytes = fs::read(&file).expect("the file");
    let has = |page: &[u8], text: &str| page.windows(text.len()).any(|it| it == text.as_bytes());
    let mut pages = bytes.chunks_mut(4096);
    let page = pages.find(|page| has(page, "t150") && !has(page, "echo number")).expect("a page");
    page.fill(0xA5);
    fs::write(&file, bytes).expect("written");
    let check = hub.space.run("dhub", &["check", "run.db"]);
    check.exits(22).says(&[
        "is damaged (the index sqlite_autoindex_tasks_1, which a rescue makes again)",
        "dhub rescue",
    ]);
    let saved = hub.space.run("dhub", &["rescue", "run.db", "saved.db"]);
    assert!(!saved.stdout.contains("lost task"), "{saved:?}");
    saved.prints(&["400 tasks"]);
    hub.space.run("dhub", &["check", "saved.db"]).exits(0).prints(&["sound"]);
}
