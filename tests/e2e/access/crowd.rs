//! Many connections of each role at the same time, that ask for as much as they may and read nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dhub_proto::wire::request::Body;
use dhub_proto::wire::*;
use e2e::{CROWDS, Native, eventually, flood, task};

use super::Guarded;

/// Connections of each role. A thousand: `DHUB_CROWD=1000`, where `ulimit -n` allows it.
const CROWD: usize = 40;
const FLOOD: Duration = Duration::from_secs(6);
const SOON: Duration = Duration::from_secs(3);
const MIB: u64 = 1 << 20;
const MEMORY_MAX: u64 = 512 * MIB;

/// The name of a key; a hub has one for each role by itself.
fn hostile(role: &str) -> String {
    format!("hostile-{role}")
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
    for (role, _) in CROWDS {
        hub.new_key(&hostile(role), &[role]);
    }
    let id = hub.process().id();
    let before = memory(id, "VmRSS:");
    let over = AtomicBool::new(false);
    let slowest = std::thread::scope(|scope| {
        for (role, asks) in CROWDS {
            let (target, over) = (hub.target(&hostile(role)), &over);
            scope.spawn(move || flood(&target, asks, crowd, over));
        }
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
