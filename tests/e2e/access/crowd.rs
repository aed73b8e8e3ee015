//! Many connections of each role at the same time, that ask for as much as they may and read nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dhub_proto::Message;
use dhub_proto::client;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::*;
use e2e::{Native, eventually, task};

use super::Guarded;

/// Connections of each role. A thousand: `DHUB_CROWD=1000`, where `ulimit -n` allows it.
const CROWD: usize = 40;
const FLOOD: Duration = Duration::from_secs(6);
const SOON: Duration = Duration::from_secs(3);
const MIB: u64 = 1 << 20;
const MEMORY_MAX: u64 = 512 * MIB;

fn selection(prefix: &str, n: usize) -> Option<Selection> {
    let patterns = (0..900).map(|i| format!("*{prefix}{n}-{i}?x")).collect();
    Some(Selection { patterns, ..Selection::default() })
}

fn observe(n: usize) -> Body {
    let list = |limit| Body::List(List { limit, ..List::default() });
    match n % 10 {
        // The same by all, again and again.
        6 | 7 => list(10_000),
        8 => Body::Count(Count { selection: selection("c", 0) }),
        9 => Body::Export(Export { limit: 10_000, ..Export::default() }),
        0 => Body::Count(Count { selection: selection("c", n) }),
        1 => Body::List(List { selection: selection("l", n), limit: 10_000, ..List::default() }),
        2 => Body::Show(Show { name: format!("task-{}", n % 1_000) }),
        3 => Body::Status(Status {}),
        4 => Body::Export(Export { selection: selection("e", n), ..Export::default() }),
        _ => {
            let names = (0..5_000).map(|i| format!("task-{}", n % 100 + i)).collect();
            Body::Wait(Wait { wait_ms: 60_000, names, output: true })
        }
    }
}

fn submit(n: usize) -> Body {
    match n % 4 {
        0 => Body::Cancel(Cancel { selection: selection("x", n) }),
        1 => Body::Retry(Retry { selection: selection("r", n), done: true }),
        2 => Body::Wait(Wait { wait_ms: 60_000, ..Wait::default() }),
        _ => observe(n / 4),
    }
}

/// Parked, for there is nothing to do.
fn work(n: usize) -> Body {
    let worker = Some(e2e::plain_worker(&format!("w{}", n % 100)));
    Body::Steal(Steal { worker, n: 0, wait_ms: 60_000, stay: true, ..Steal::default() })
}

/// Connections of one key that send as fast as they can, and never read.
fn flood(hub: &Guarded, name: &str, of: fn(usize) -> Body, crowd: usize, over: &AtomicBool) {
    let target = hub.target(name);
    // A context has a thousand sockets at most.
    let contexts: Vec<_> = (0..crowd.div_ceil(500)).map(|_| zmq::Context::new()).collect();
    let open = |n: usize| {
        let socket = client::open(&contexts[n / 500], &target, zmq::DEALER).expect("a socket");
        socket.set_rcvhwm(1).expect("an option");
        socket.set_sndhwm(10).expect("an option");
        socket.connect(&target.endpoint).expect("an endpoint");
        socket
    };
    let sockets: Vec<_> = (0..crowd).map(open).collect();
    for n in 0.. {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let frame = Request { id: n as u64, body: Some(of(n)) }.encode_to_vec();
        // What does not fit is not waited for.
        let _ = sockets[n % crowd].send_multipart([&b""[..], &frame], zmq::DONTWAIT);
        if n % crowd == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn memory(id: u32, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix(what)).expect("its memory");
    1024 * line.trim_end_matches("kB").trim().parse::<u64>().expect("a number of KiB")
}

#[test]
fn a_crowd_of_each_role_costs_bounded_memory_and_the_owner_gets_through() {
    let crowd = std::env::var("DHUB_CROWD").map_or(CROWD, |it| it.parse().expect("a number"));
    let mut hub = Guarded::start();
    let owner = hub.native("owner");
    let tasks: Vec<_> = (0..5_000).map(|n| task(&format!("task-{n}"), &[])).collect();
    owner.create(&tasks);
    for (name, role) in [("look", "observe"), ("ada", "submit"), ("node", "work")] {
        hub.new_key(name, &[role]);
    }
    let id = hub.process().id();
    let before = memory(id, "VmRSS:");
    let over = AtomicBool::new(false);
    let slowest = std::thread::scope(|scope| {
        scope.spawn(|| flood(&hub, "look", observe, crowd, &over));
        scope.spawn(|| flood(&hub, "ada", submit, crowd, &over));
        scope.spawn(|| flood(&hub, "node", work, crowd, &over));
        let slowest = ask(&owner);
        over.store(true, Ordering::Relaxed);
        slowest
    });
    let grown = memory(id, "VmHWM:").saturating_sub(before);
    eprintln!("{crowd} of each role: {} MiB more, {slowest:?} at most", grown / MIB);
    assert!(grown < MEMORY_MAX, "{} MiB more", grown / MIB);
    assert!(slowest < SOON, "{slowest:?}");
    // And nothing of it is left.
    eventually("nothing to be under way", || {
        let hub = owner.status().hub.expect("the hub");
        (hub.long_requests == 0 && hub.parked == 0).then_some(())
    });
}

/// The longest that the owner waits for status and list, as long as the flood lasts.
fn ask(owner: &Native) -> Duration {
    let (begin, mut slowest) = (Instant::now(), Duration::ZERO);
    while begin.elapsed() < FLOOD {
        for body in [Body::Status(Status {}), Body::List(List { limit: 100, ..List::default() })] {
            let begin = Instant::now();
            owner.ask(body);
            slowest = slowest.max(begin.elapsed());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    slowest
}
