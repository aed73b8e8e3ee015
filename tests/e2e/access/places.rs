//! Descriptors are few: no key takes all places for workers, and strangers take nobody's.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dhub_proto::wire::request::Body;
use dhub_proto::wire::*;
use e2e::{AtEnd, Native, eventually, task, worker};

use super::Guarded;

/// Room for a dozen workers or so.
const FILES: u64 = 96;
const TASKS: usize = 40;

fn parked(byte: u8) -> Body {
    let worker = Some(worker(byte));
    Body::Steal(Steal { worker, n: 1, wait_ms: 600_000, stay: true, ..Steal::default() })
}

fn steals(native: &Native, byte: u8) -> bool {
    let steal = Steal { worker: Some(worker(byte)), n: 1, ..Steal::default() };
    !native.steal(steal).leases.is_empty()
}

fn about(native: &Native) -> HubInfo {
    native.status().hub.expect("the hub")
}

#[test]
fn a_key_with_many_ids_leaves_places_and_ready_tasks_that_wait_are_told() {
    let mut hub = Guarded::with_few_files(FILES);
    for name in ["evil", "good"] {
        hub.new_key(name, &["work"]);
    }
    let owner = hub.native("owner");
    let tasks: Vec<Task> = (0..TASKS).map(|n| task(&format!("t{n}"), &[])).collect();
    owner.create(&tasks);
    let places = about(&owner).workers_max as usize;
    assert!(places > 3, "{places}");
    // All over one connection.
    let evil = hub.native("evil");
    let taken = (0..TASKS as u8).filter(|&byte| steals(&evil, byte)).count();
    assert_eq!(taken, places / 2);
    assert!(steals(&hub.native("good"), 1) && steals(&owner, 1));
    assert_eq!(about(&owner).workers_kept, 0);
    evil.send(parked(100));
    eventually("a worker that is kept", || (about(&owner).workers_kept == 1).then_some(()));
    hub.space.run("dquery", &["status"]).exits(0).prints(&["1 idle worker kept from ready tasks"]);
    evil.send(parked(101));
    eventually("another one", || (about(&owner).workers_kept == 2).then_some(()));
    let said = hub.terminate().stderr;
    assert_eq!(said.matches("idle workers get none of the tasks").count(), 1, "{said}");
}

/// Connections that come and never say who they are.
fn strangers(port: u16, over: &AtomicBool) {
    let mut open = VecDeque::new();
    while !over.load(Ordering::Relaxed) {
        open.extend(TcpStream::connect(("127.0.0.1", port)));
        if open.len() > 100 {
            open.pop_front();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn strangers_drive_no_idle_pool_out() {
    let mut hub = Guarded::with_few_files(FILES);
    hub.new_key("good", &["work"]);
    let owner = hub.native("owner");
    let idle: Vec<Native> = (0..3).map(|_| hub.native("good")).collect();
    for (byte, native) in (1..).zip(&idle) {
        native.send(parked(byte));
    }
    eventually("parked steals", || (about(&owner).parked == 3).then_some(()));
    let (port, over) = (hub.port, AtomicBool::new(false));
    std::thread::scope(|scope| {
        let _end = AtEnd(&over);
        scope.spawn(|| strangers(port, &over));
        hub.process().hear("have not said who they are");
        // In a turn that knows of those.
        assert_eq!(about(&owner).connections_refused, 0);
        for native in &idle {
            assert!(!native.has_reply(0), "it was sent away");
        }
    });
    // Those that are silent make way for one that is let in.
    let silent: Vec<TcpStream> =
        (0..FILES).map_while(|_| TcpStream::connect(("127.0.0.1", hub.port)).ok()).collect();
    assert_eq!(silent.len() as u64, FILES);
    owner.create(&[task("late", &[])]);
    let told = eventually("a reply", || idle.iter().find(|native| native.has_reply(0)));
    let told = told.receive().body;
    let leases = |body: &Option<reply::Body>| match body {
        Some(reply::Body::Stolen(stolen)) => stolen.leases.len(),
        _ => 0,
    };
    assert_eq!(leases(&told), 1, "{told:?}");
    assert!(!steals(&hub.native("good"), 9), "somebody has it");
}

#[test]
fn pools_that_are_let_in_make_idle_ones_leave() {
    let hub = Guarded::with_few_files(FILES);
    hub.new_key("good", &["work"]);
    let owner = hub.native("owner");
    let most = 2 * about(&owner).workers_max as usize;
    let pools: Vec<Native> = (0..=most).map(|_| hub.native("good")).collect();
    for (byte, native) in (1..).zip(&pools) {
        native.send(parked(byte));
    }
    let sent_away = |native: &&Native| native.has_reply(0);
    let first = eventually("a pool that is sent away", || pools.iter().find(sent_away));
    let away_ms = match first.receive().body {
        Some(reply::Body::Stolen(stolen)) => stolen.away_ms,
        other => panic!("{other:?}"),
    };
    assert!(away_ms > 0);
    assert!(about(&owner).connections_refused > 0);
}

/// Of those that come at the same moment many are asked about before any of them is counted.
#[test]
fn a_crowd_of_guests_leaves_the_owner_its_own() {
    let hub = Guarded::with_few_files(FILES);
    hub.new_key("good", &["work"]);
    let most = 2 * about(&hub.native("owner")).workers_max as usize;
    let crowd: Vec<Native> = (0..most + 40).map(|_| hub.native("good")).collect();
    for (byte, native) in crowd.iter().enumerate() {
        native.send(parked(byte as u8));
    }
    // Over ipc.
    eventually("some that are kept out", || {
        let status = hub.space.run("dquery", &["status", "--json"]).json();
        (status["hub"]["connections_refused"].as_u64()? > 0).then_some(())
    });
    for _ in 0..3 {
        let owner = hub.native("owner");
        owner.send(Body::Status(Status {}));
        assert!(owner.has_reply(30_000), "the owner is kept out");
    }
    drop(crowd);
}
