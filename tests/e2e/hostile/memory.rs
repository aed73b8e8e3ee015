//! Very many peers, and peers that do not read: memory stays bounded, others are served.

use dhub_proto::Message;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::{Request, State, Status, Steal, reply};
use e2e::{Hub, Log, eventually, plain_worker, task};

pub const MIB: u64 = 1 << 20;

/// What a process has in memory, in bytes.
pub fn rss(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its size");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024
}

fn dealer(context: &zmq::Context, hub: &Hub) -> zmq::Socket {
    let socket = context.socket(zmq::DEALER).unwrap();
    socket.set_linger(0).unwrap();
    socket.set_rcvhwm(1).unwrap();
    socket.set_rcvbuf(4096).unwrap();
    socket.connect(&hub.tcp()).unwrap();
    socket
}

fn send(socket: &zmq::Socket, body: Body) {
    let frame = Request { id: 1, body: Some(body), ..Request::default() }.encode_to_vec();
    socket.send_multipart([&b""[..], &frame], 0).unwrap();
}

/// With the handshake of ZeroMQ done, unlike in `native/robust.rs`.
#[test]
fn a_thousand_idle_connections_hinder_nobody() {
    let mut hub = Hub::start();
    let id = hub.id();
    let before = rss(id);
    let context = zmq::Context::new();
    let idle: Vec<_> = (0..1_000)
        .map(|_| {
            let socket = dealer(&context, &hub);
            send(&socket, Body::Status(Status {}));
            socket
        })
        .collect();
    idle.iter().for_each(|socket| drop(socket.recv_multipart(0).unwrap()));
    let grown = rss(id).saturating_sub(before);
    eprintln!("1,000 idle connections: {} MiB more", grown / MIB);
    assert!(grown < 200 * MIB, "{grown} bytes");
    let names: String = (0..100).map(|n| format!("t{n}\n")).collect();
    hub.write("tasks.txt", names);
    hub.query(&["addfile", "tasks.txt"]).ok();
    hub.worker(&["-j", "4", "--until-done", "--shell", "echo {} >>log"]).end().exits(0);
    assert_eq!(Log::new(hub.path("log")).len(), 100);
}

#[test]
fn clients_that_never_read_cost_bounded_memory_and_hinder_nobody() {
    let mut hub = Hub::start();
    let id = hub.id();
    let native = hub.native();
    native.create(&[task("a", &[])]);
    let before = rss(id);
    let context = zmq::Context::new();
    let deaf: Vec<_> = (0..200).map(|_| dealer(&context, &hub)).collect();
    for _ in 0..100 {
        deaf.iter().for_each(|socket| send(socket, Body::Status(Status {})));
    }
    for _ in 0..20 {
        assert_eq!(native.counts().ready, 1);
    }
    let grown = rss(id).saturating_sub(before);
    eprintln!("200 clients that do not read 100 replies each: {} MiB more", grown / MIB);
    assert!(grown < 200 * MIB, "{grown} bytes");
}

/// Some of them are left, so it is in the middle of the heap: names of a thousand bytes.
#[test]
fn what_tasks_took_goes_back_when_they_have_ended() {
    let mut hub = Hub::start();
    let id = hub.id();
    let name = |n: usize| {
        format!("{}{n}.{}\n", if n.is_multiple_of(50) { "kept" } else { "t" }, "x".repeat(1000))
    };
    hub.write("tasks.txt", (0..40_000).map(name).collect::<String>());
    hub.query(&["addfile", "tasks.txt"]).ok();
    let full = rss(id);
    hub.query(&["cancel", "--yes", "t*"]).ok();
    let back = eventually("memory goes back", || {
        full.checked_sub(rss(id)).filter(|back| *back > 20 * MIB)
    });
    eprintln!("39,200 tasks: {} of {} MiB go back", back / MIB, full / MIB);
    assert_eq!(hub.count("ready"), 800);
}

/// All that one client parked is answered at once: what does not fit is taken back, not lost.
#[test]
fn a_client_that_parks_ten_thousand_steals_gets_or_leaves_each_task() {
    const ALL: usize = 10_000;
    let hub = Hub::start();
    let (client, native) = (hub.native(), hub.native());
    for n in 0..ALL {
        let worker = Some(plain_worker(&format!("w{n}")));
        client.send(Body::Steal(Steal { worker, n: 1, wait_ms: 60_000, ..Steal::default() }));
    }
    eventually("all to be parked", || (native.status().workers_total == ALL as u64).then_some(()));
    let tasks: Vec<_> = (0..ALL).map(|n| task(&format!("t{n}"), &[])).collect();
    native.create(&tasks);
    let mut got = std::collections::HashSet::new();
    eventually("each task to be held or ready", || {
        while client.has_reply(100) {
            let Some(reply::Body::Stolen(stolen)) = client.receive().body else {
                panic!("no lease")
            };
            got.extend(stolen.leases.into_iter().map(|lease| lease.name));
        }
        let counts = native.counts();
        let settled = counts.running as usize == got.len();
        (settled && counts.ready + counts.running == ALL as u64).then_some(())
    });
    eprintln!("{} of {ALL} parked steals were answered", got.len());
    assert!(!got.is_empty());
    assert!(got.iter().all(|name| native.state(name) == State::Running));
}

#[test]
fn deep_and_wide_graphs_of_one_client_are_taken_and_worked_off() {
    const ALL: usize = 20_000;
    let hub = Hub::start();
    let native = hub.native();
    let chain: Vec<_> =
        (1..ALL).rev().map(|n| task(&format!("c{n}"), &[format!("c{}", n - 1).as_str()])).collect();
    assert_eq!(native.create(&chain).added, ALL as u64 - 1);
    let fan: Vec<_> = (0..ALL).map(|n| task(&format!("f{n}"), &["root"])).collect();
    assert_eq!(native.create(&fan).added, ALL as u64);
    let names: Vec<String> = (0..ALL).map(|n| format!("f{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(native.create(&[task("sink", &names), task("root", &[])]).added, 2);
    let lease = native.steal_one(&plain_worker("w"));
    assert_eq!(lease.name, "root");
    native.report(&plain_worker("w"), vec![e2e::outcome_done(&lease)]);
    assert_eq!(native.counts().ready, ALL as u64);
    native.create(&[task("c0", &[])]);
    hub.query(&["cancel", "c0"]).ok();
    eventually("the whole chain to be skipped", || {
        (native.counts().skipped == ALL as u64 - 1).then_some(())
    });
    assert_eq!(native.state("sink"), State::Waiting);
}
