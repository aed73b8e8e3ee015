//! Many who are not let in, while one works.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::{Native, eventually, outcome_done, plain_worker, task};

use super::Guarded;

/// What a client without encryption says first: signature, version 3.0, mechanism NULL.
fn greeting() -> [u8; 64] {
    let mut greeting = [0; 64];
    greeting[0] = 0xff;
    greeting[9] = 0x7f;
    greeting[10] = 3;
    greeting[12..16].copy_from_slice(b"NULL");
    greeting
}

#[test]
fn a_worker_works_on_through_a_thousand_failed_handshakes_a_second() {
    const TASKS: usize = 500;
    const STRANGERS: u64 = 3_000;
    let mut hub = Guarded::start();
    let native = hub.native("owner");
    let names: Vec<_> = (0..TASKS).map(|n| task(&n.to_string(), &[])).collect();
    native.create(&names);
    let before = memory_kib(hub.process().id());
    let over = AtomicBool::new(false);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // A thousand a second, as long as there is work, and three seconds at least.
            let mut tried = 0;
            while tried < STRANGERS || !over.load(Ordering::Relaxed) {
                while tried < begin.elapsed().as_millis() as u64 {
                    tried += 1;
                    if let Ok(mut stranger) = TcpStream::connect(("127.0.0.1", hub.port)) {
                        // The hub may have closed it already.
                        let _ = stranger.write_all(&greeting());
                    }
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let worker = plain_worker("w");
        for _ in 0..TASKS {
            let lease = native.steal_one(&worker);
            native.report(&worker, vec![outcome_done(&lease)]);
        }
        over.store(true, Ordering::Relaxed);
    });
    let hub_status = eventually("the strangers to be counted", || {
        let status = hub.status();
        let counted = status["hub"]["handshakes_failed"].as_u64().unwrap();
        (counted >= STRANGERS / 2).then_some(status)
    });
    assert_eq!(hub_status["counts"]["done"], TASKS);
    let log = hub.process().stderr();
    let told = log.matches("not let in").count() as u64;
    // One line in ten seconds, and one at the beginning.
    assert!(told >= 1 && told <= 2 + begin.elapsed().as_secs() / 10, "{told} lines: {log}");
    let grown = memory_kib(hub.process().id()).saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB more");
    assert_eq!(Native::to(&hub.target("owner")).counts(), native.counts(), "new ones are let in");
}

fn memory_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim_end_matches("kB").trim().parse().expect("a number of KiB")
}
