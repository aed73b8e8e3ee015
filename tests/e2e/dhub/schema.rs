//! A file of each version of the schema is kept: every later hub goes on with it.
//! `tests/data/schema.sh` made them.

use std::path::{Path, PathBuf};

use dhub_proto::wire::{State, Task};
use e2e::{Hub, Space, outcome_done, plain_worker};

fn file(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("data/schema-{version}.db"))
}

fn is_sound(version: u32) {
    let tasks = match version {
        1..4 => {
            "14 tasks (2 done, 2 failed, 2 skipped, 1 cancelled, 2 running, 3 ready, 2 waiting)"
        }
        _ => "15 tasks (2 done, 2 failed, 2 skipped, 1 cancelled, 2 running, 3 ready, 3 waiting)",
    };
    let space = Space::new();
    std::fs::copy(file(version), space.path("copy.db")).expect("a copy");
    space.run("dhub", &["check", "copy.db"]).exits(0).prints(&[
        "sound",
        tasks,
        "there is work to do",
    ]);
}

fn has_all_that_was_put_into_it(version: u32) {
    let hub = Hub::on(&file(version), &[]);
    let native = hub.native();
    for (name, state) in [
        ("done by a pool", State::Done),
        ("failed in a pool", State::Failed),
        ("reclaimed", State::Done),
        ("fäils ☃", State::Failed),
        ("skipped-1", State::Skipped),
        ("skipped-2", State::Skipped),
        ("cancelled", State::Cancelled),
        ("runs for a month", State::Running),
        ("runs 'quoted'", State::Running),
        ("last", State::Ready),
        ("first", State::Ready),
        ("line\nbreak", State::Ready),
        ("waiting", State::Waiting),
        ("waits for a missing one", State::Waiting),
    ] {
        assert_eq!(native.state(name), state, "{name}");
    }

    let shown = hub.show("done by a pool");
    assert_eq!(shown["task"]["command"], "echo \"a line of output\"");
    let attempts = |name: &str| native.show(name).attempts;
    assert_eq!(attempts("done by a pool")[0].output, b"a line of output\n");
    let failed = attempts("failed in a pool");
    assert_eq!(
        failed.iter().map(|it| (it.attempt, it.exit_code)).collect::<Vec<_>>(),
        [(1, 3), (2, 3)]
    );
    assert_eq!(
        (failed[1].output.as_slice(), failed[1].worker.as_str()),
        (&b"no input\n"[..], "pool")
    );
    let reclaimed = attempts("reclaimed");
    assert_eq!(
        reclaimed.iter().map(|it| it.worker.as_str()).collect::<Vec<_>>(),
        ["silent node", "node 2"]
    );
    assert_eq!(reclaimed[0].reason, "its worker went silent");
    let told = &attempts("fäils ☃")[0];
    assert_eq!((told.exit_code, told.reason.as_str()), (42, "it is \"always\" so"));
    let task = native.show("runs for a month").task.expect("a task");
    assert_eq!((task.worker.as_str(), task.priority, task.attempt), ("node 2", 9, 1));
    hub.query(&["show", "waits for a missing one"]).prints(&["never added"]);
    hub.query(&["show", "skipped-2"]).prints(&["skipped-1"]);
    // The hash of a definition is the same in all versions.
    let again = [
        "create",
        "done by a pool",
        "--command",
        "echo \"a line of output\"",
        "--time-limit",
        "1min",
    ];
    hub.query(&again).exits(0).prints(&["was there already"]);
    hub.query(&["create", "skipped-1", "fäils ☃"]).exits(0).prints(&["was there already"]);
}

#[test]
fn work_goes_on_with_a_file_of_version_1() {
    let mut hub = Hub::on(&file(1), &[]);
    let native = hub.native();
    // Who ran a task may still say how it ended.
    hub.query(&["complete", "runs for a month", "--worker", "node 2"]).exits(0);
    hub.query(&["exit", "node 3"]).exits(0);
    hub.query(&["retry", "--failed"]).exits(0);
    hub.query(&["retry", "cancelled"]).exits(0);
    for name in ["never added", "nobody"] {
        hub.query(&["create", name]).exits(0);
    }
    let needs = native.show("waiting").needs;
    let worker = plain_worker("node 4");
    let mut order = Vec::new();
    while native.counts().ready > 0 {
        let lease = native.steal_one(&worker);
        assert_eq!(native.report(&worker, vec![outcome_done(&lease)]), []);
        order.push(lease.name);
    }
    assert_eq!(order[0], "runs 'quoted'", "by priority");
    let place = |name: &str| order.iter().position(|it| it == name);
    assert!(needs.len() > 1, "{needs:?}");
    for need in needs {
        assert!(place(&need.name) < place("waiting"), "{} too late in {order:?}", need.name);
    }
    let counts = native.counts();
    assert_eq!((counts.done, counts.failed, counts.skipped, counts.cancelled), (16, 0, 0, 0));
    hub.terminate().exits(0);
    let check = hub.space.run("dhub", &["check", "run.db"]);
    check.exits(0).prints(&["sound", "16 tasks (16 done)"]);
}

#[test]
fn a_file_of_version_1_is_sound() {
    is_sound(1);
}

#[test]
fn a_file_of_version_1_has_all_that_was_put_into_it() {
    has_all_that_was_put_into_it(1);
}

#[test]
fn a_file_of_version_2_is_sound() {
    is_sound(2);
}

#[test]
fn a_file_is_brought_to_this_version_when_a_hub_runs_on_it_and_not_by_a_look() {
    for old in 1..=6 {
        let mut hub = Hub::on(&file(old), &[]);
        let added = Task { stdin: b"in".to_vec(), ..e2e::task("new", &[]) };
        hub.native().create(&[added]);
        assert_eq!(hub.native().show("new").task.expect("a task").stdin_bytes, 2);
        hub.terminate().exits(0);
        hub.space
            .run("dhub", &["check", "run.db"])
            .exits(0)
            .prints(&["sound", if old < 4 { "15 tasks" } else { "16 tasks" }]);
        std::fs::copy(file(old), hub.path("copy.db")).expect("a copy");
        hub.space.run("dhub", &["check", "copy.db"]).exits(0);
        let version = |name: &str| -> i64 {
            let db = rusqlite::Connection::open(hub.path(name)).expect("a database");
            db.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a version")
        };
        assert_eq!((version("run.db"), version("copy.db")), (7, old.into()));
        // Bytes of each page that are left to its checksum.
        let left = |name: &str| std::fs::read(hub.path(name)).expect("the file")[20];
        assert_eq!((left("run.db"), left("copy.db")), (8, if old < 6 { 0 } else { 8 }));
    }
}

#[test]
fn a_file_of_version_3_is_sound() {
    is_sound(3);
}

#[test]
fn a_file_of_version_3_has_all_that_was_put_into_it() {
    has_all_that_was_put_into_it(3);
    let hub = Hub::on(&file(3), &[]);
    let native = hub.native();
    let task = native.show("line\nbreak").task.expect("a task");
    assert_eq!((task.dir.as_str(), task.stdin_bytes), ("/tmp", 3));
    assert_eq!(task.env, ["A=1", "B=two words"]);
    assert!(!native.show("done by a pool").attempts[0].host.is_empty());
}

#[test]
fn a_file_of_version_2_has_all_that_was_put_into_it() {
    has_all_that_was_put_into_it(2);
}

#[test]
fn a_file_of_version_5_is_sound() {
    is_sound(5);
}

#[test]
fn a_file_of_version_5_has_all_that_was_put_into_it() {
    has_all_that_was_put_into_it(5);
}

#[test]
fn a_file_of_version_6_is_sound() {
    is_sound(6);
}

#[test]
fn a_file_of_version_6_has_all_that_was_put_into_it() {
    has_all_that_was_put_into_it(6);
}

#[test]
fn a_file_of_version_7_is_sound() {
    is_sound(7);
}

#[test]
fn a_file_of_version_7_has_all_that_was_put_into_it() {
    has_all_that_was_put_into_it(7);
}

#[test]
fn a_file_of_version_4_is_sound() {
    is_sound(4);
}

#[test]
fn a_file_of_version_4_has_what_is_held() {
    let hub = Hub::on(&file(4), &[]);
    hub.query(&["list", "--held"]).exits(0).prints(&["held"]);
    let stolen = hub.query(&["steal", "-q", "-n", "9"]);
    assert!(stolen.ok().contains("first") && !stolen.stdout.contains("held"), "{stolen:#?}");
    hub.query(&["unhold", "--held"]).exits(0).prints(&["1 task held no more"]);
    hub.query(&["steal", "-q"]).exits(0).prints(&["held"]);
    has_all_that_was_put_into_it(4);
}
