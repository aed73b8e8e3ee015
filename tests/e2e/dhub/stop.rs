//! How a hub stops, and what a sudden end leaves behind.

use std::fs;

use e2e::{Hub, Process, Space, task};
use rusqlite::Connection;
use rustix::process::Signal;

#[track_caller]
fn stops_cleanly(signal: Signal) {
    let mut hub = Hub::start();
    let socket = hub.ipc().strip_prefix("ipc://").unwrap().to_owned();
    let report = format!("{socket}.report");
    assert!(fs::exists(&socket).unwrap() && fs::exists(&report).unwrap());
    hub.native().create(&[task("a", &[]), task("b", &["a"])]);
    hub.signal(signal);
    hub.end().exits(0);
    assert!(!fs::exists(&socket).unwrap() && !fs::exists(&report).unwrap(), "sockets remain");
    for file in ["run.db-wal", "run.db-shm", "run.db-journal"] {
        assert!(!hub.path(file).exists(), "{file} remains");
    }
    let db = Connection::open(hub.path("run.db")).unwrap();
    let names: Vec<String> = db
        .prepare("SELECT name FROM tasks ORDER BY id")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(names, ["a", "b"], "anyone can read the file of a stopped hub");
}

#[test]
fn sigterm_leaves_one_complete_file() {
    stops_cleanly(Signal::TERM);
}

#[test]
fn sigint_does_the_same() {
    stops_cleanly(Signal::INT);
}

#[test]
fn the_end_of_its_terminal_does_the_same() {
    stops_cleanly(Signal::HUP);
}

#[test]
fn nohup_is_meant() {
    let space = Space::new();
    let mut command = space.command("sh");
    command.args(["-c", "trap '' HUP; exec dhub -f run.db --local"]);
    let mut hub = Process::start(command);
    hub.hear("access ");
    hub.signal(Signal::HUP);
    space.run("dquery", &["create", "a"]).ok();
    hub.signal(Signal::TERM);
    hub.end().exits(0);
}

#[test]
fn a_killed_hub_starts_again_by_the_same_command() {
    let mut hub = Hub::start();
    for n in 0..5 {
        hub.native().create(&[task(&n.to_string(), &[])]);
        hub.restart();
    }
    assert_eq!(hub.native().counts().ready, 5);
    let db = hub.path("run.db");
    hub.terminate().exits(0);
    let db = Connection::open(db).unwrap();
    let check: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

/// As its help says: a new hub on the same file takes over.
#[test]
fn a_start_waits_for_the_hub_that_stops() {
    let mut hub = Hub::start();
    let start = "dquery shutdown && exec dhub -f run.db --local";
    for _ in 0..3 {
        let mut command = hub.command("sh");
        command.args(["-c", start]);
        let mut next = Process::start(command);
        next.hear("access ");
        hub.end().exits(0);
        // What the first one said of itself is gone, and not what the second one says.
        hub.space.run("dquery", &["status"]).exits(0);
        next.signal(Signal::TERM);
        next.end().exits(0);
        hub.restart();
    }
}

#[test]
fn a_stop_answers_parked_requests_or_lets_them_repeat() {
    use dhub_proto::wire::{Steal, request::Body};
    let mut hub = Hub::start();
    let native = hub.native();
    let worker = Some(e2e::worker(1));
    let steal = Steal { worker, number: 1, n: 1, wait_ms: 60_000, ..Steal::default() };
    native.send(Body::Steal(steal.clone()));
    assert_eq!(native.counts().ready, 0);
    hub.terminate().exits(0);
    hub.restart();
    let again = hub.native();
    again.create(&[task("a", &[])]);
    assert_eq!(again.steal(steal).leases[0].name, "a");
}

/// More than one turn takes in, and sent before the stop.
#[test]
fn a_stop_answers_all_that_arrived_before() {
    use dhub_proto::wire::{Create, request::Body};
    // Of each client fewer than the replies that may wait for it.
    const REQUESTS: usize = 800;
    let mut hub = Hub::start();
    let clients: Vec<_> = (0..6).map(|_| hub.native()).collect();
    clients.iter().for_each(|client| drop(client.status()));
    hub.signal(Signal::STOP);
    for (c, client) in clients.iter().enumerate() {
        for n in 0..REQUESTS {
            let tasks = vec![task(&format!("{c}.{n}"), &[])];
            client.send(Body::Create(Create { tasks }));
        }
    }
    hub.signal(Signal::TERM);
    hub.signal(Signal::CONT);
    for client in &clients {
        (0..REQUESTS).for_each(|_| drop(client.receive()));
    }
    hub.end().exits(0);
    let db = Connection::open(hub.path("run.db")).unwrap();
    let tasks: i64 = db.query_row("SELECT count(*) FROM tasks", [], |row| row.get(0)).unwrap();
    assert_eq!(tasks, 6 * REQUESTS as i64);
}
