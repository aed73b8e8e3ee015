//! Copies of the file, and whether a file is sound.

use std::fs;
use std::os::unix::fs::symlink;

use e2e::{Hub, task};

#[test]
fn a_copy_of_a_running_hub_is_a_file_to_go_on_with() {
    let mut hub = Hub::start();
    hub.native().create(&[task("a", &[]), task("b", &["a"])]);
    hub.query(&["steal", "-q"]).ok();
    let ipc = hub.ipc();
    hub.query(&["-s", &ipc, "backup", "copy.db"]).exits(0);
    // What comes later is not in the copy.
    hub.query(&["complete", "a"]).ok();
    hub.space.run("dhub", &["check", "copy.db"]).exits(0).prints(&[
        "sound",
        "1 running",
        "1 waiting",
    ]);

    hub.query(&["-s", &ipc, "backup", "copy.db"]).exits(6).says(&["copy.db", "exists already"]);
    assert!(!hub.path("copy.db.part").exists());
}

#[test]
fn a_directory_that_is_not_there_is_named_with_what_makes_it() {
    let mut hub = Hub::start();
    let ipc = hub.ipc();
    let words = ["there is no directory", "no dir/below", "mkdir -p '"];
    let copy = |args: &[&'static str]| [args, &["no dir/below/copy.db"]].concat();
    hub.query(&[&["-s", &ipc], &copy(&["backup"])[..]].concat())
        .exits(6)
        .says(&words)
        .is_one_message();
    hub.terminate();
    hub.space.run("dhub", &copy(&["backup", "run.db"])).exits(9).says(&words);
    hub.space.run("dhub", &copy(&["rescue", "run.db"])).exits(9).says(&words);

    // In the place of a link or a file mkdir makes nothing.
    symlink(hub.path("nowhere"), hub.path("link")).expect("a link");
    for (to, words) in [
        ("link/copy.db", "link is a link that leads to nothing, "),
        ("link/below/copy.db", "link is a link that leads to nothing, "),
        ("run.db/copy.db", "run.db is a file"),
        ("/proc/copy.db", "/proc/copy.db: no such file or directory\n"),
    ] {
        for verb in ["backup", "rescue"] {
            let said = hub.space.run("dhub", &[verb, "run.db", to]);
            said.exits(9).says(&[to, words]).is_one_message();
            assert!(!said.stderr.contains("mkdir") && !said.stderr.contains(".part"), "{said:?}");
        }
    }
    let said = hub.space.run("dhub", &["rescue", "link", "copy.db"]);
    said.exits(22).says(&["link is a link, which is not followed, to "]).is_one_message();
}

#[test]
fn a_backup_is_not_for_those_who_come_over_tcp() {
    let hub = Hub::start();
    hub.query(&["backup", "copy.db"]).exits(6).says(&[
        "backup can be asked for over ipc only",
        "leave out -s, or use --access FILE alone",
    ]);
    assert!(!hub.path("copy.db").exists());
}

#[test]
fn a_stopped_hub_is_copied_and_checked() {
    let mut hub = Hub::start();
    hub.native().create(&[task("a", &[])]);
    hub.space.run("dhub", &["check", "run.db"]).exits(20).says(&["in use"]);
    // Also what only the log has.
    hub.kill9();
    hub.space.run("dhub", &["backup", "run.db", "copy.db"]).exits(0);
    hub.space.run("dhub", &["backup", "run.db", "copy.db"]).exits(9).says(&["exists already"]);
    for file in ["run.db", "copy.db"] {
        hub.space.run("dhub", &["check", file]).exits(0).prints(&["1 task (1 ready)"]);
    }
    hub.space.run("dhub", &["check", "nobody.db"]).exits(22).says(&["does not exist"]);
    assert!(!hub.path("nobody.db").exists());
}

#[test]
fn damage_is_found() {
    let mut hub = Hub::start();
    hub.native().create(&[task("a", &[])]);
    hub.query(&["steal", "-q"]).ok();
    hub.terminate();
    let db = e2e::open_file(&hub.path("run.db"));
    db.execute_batch("UPDATE leases SET task = 77; UPDATE totals SET count = 3 WHERE state = 5")
        .unwrap();
    drop(db);
    let found = ["not sound", "leases of tasks that are not open", "the totals say 3"];
    hub.space.run("dhub", &["check", "run.db"]).exits(22).says(&found);

    let mut bytes = fs::read(hub.path("run.db")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xA5);
    fs::write(hub.path("run.db"), bytes).unwrap();
    hub.space.run("dhub", &["check", "run.db"]).exits(22);
}

/// As docs/operations.md has it: a copy each night, and a start on it when the file is lost.
#[test]
fn a_backup_under_load_is_restored() {
    let mut hub = Hub::start();
    let native = hub.native();
    native.create(&[task("before", &[]), task("after", &["before"])]);
    let lease = native.steal_one(&e2e::worker(1));
    let ipc = hub.ipc();
    // Others go on meanwhile, and what they are told before the copy ends may be in it.
    let feed = hub.sh("for n in $(seq 40); do dquery create t$n >>fed.txt & done
        dquery -s $IPC backup copy.db; wait"
        .replace("$IPC", &ipc)
        .as_str());
    feed.exits(0);
    hub.space.run("dhub", &["check", "copy.db"]).exits(0).prints(&["sound", "1 running"]);
    assert_eq!(native.counts().ready, 40);
    hub.kill9();
    fs::remove_file(hub.path("run.db")).unwrap();

    let mut hub = Hub::on(&hub.path("copy.db"), &[]);
    let native = hub.native();
    // What ran goes on to run, and its worker may report.
    assert_eq!(native.report(&e2e::worker(1), vec![e2e::outcome_done(&lease)]), []);
    assert_eq!(native.steal_one(&e2e::worker(2)).name, "after");
    for n in 1..=40 {
        // Added again: new to the copy, or there already.
        native.create(&[task(&format!("t{n}"), &[])]);
    }
    assert_eq!(native.counts().ready, 40);
    // The stopped one is copied with its log, and goes on from there.
    hub.kill9();
    hub.space.run("dhub", &["backup", "run.db", "second.db"]).exits(0);
    let hub = Hub::on(&hub.path("second.db"), &[]);
    assert_eq!((hub.count("ready"), hub.count("running"), hub.count("done")), (40, 1, 1));
}
