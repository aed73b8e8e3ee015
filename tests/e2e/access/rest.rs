//! Guests at rest: a key that asks for what is refused, as fast as it can, keeps other keys waiting for
//! moments, whatever way it comes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use dhub_proto::find::Target;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::*;
use e2e::{AtEnd, PATIENCE, flood, outcome_done, task, worker};

use super::{Guarded, read, target};

/// Large, and refused after it was read: the key may look only.
fn refused(n: usize) -> Body {
    let tasks =
        (0..2_000).map(|i| Task { command: "true ".repeat(40), ..task(&format!("{n}-{i}"), &[]) });
    Body::Create(Create { tasks: tasks.collect() })
}

/// Guests rest only while there is work.
fn work(hub: &Guarded, over: &AtomicBool) {
    let owner = hub.native("owner");
    for n in 0.. {
        if over.load(Ordering::Relaxed) {
            return;
        }
        owner.create(&[task(&format!("work-{n}"), &[])]);
        let lease = owner.steal_one(&worker(1));
        assert_eq!(owner.report(&worker(1), vec![outcome_done(&lease)]), []);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn others_are_heard(way: fn(&Guarded) -> Target) {
    let hub = Guarded::start();
    for name in ["evil", "good"] {
        hub.new_key(name, &["observe"]);
    }
    let (evil, over) = (way(&hub), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let _end = AtEnd(&over);
        scope.spawn(|| work(&hub, &over));
        scope.spawn(|| flood(&evil, refused, 4, &over));
        let owner = hub.native("owner");
        e2e::eventually("the flood", || {
            (owner.status().hub.expect("the hub").requests_denied > 20).then_some(())
        });
        let (good, begin) = (hub.native("good"), Instant::now());
        for n in 0..10 {
            good.status();
            assert!(begin.elapsed() < PATIENCE, "{n} answers in {:?}", begin.elapsed());
        }
    });
}

#[test]
fn a_flood_over_tcp_keeps_no_other_key_waiting() {
    others_are_heard(|hub| hub.target("evil"));
}

#[test]
fn a_flood_over_ipc_keeps_no_other_key_waiting() {
    others_are_heard(|hub| {
        let access = read(&hub.access("evil"));
        Target { endpoint: access.ipc.clone(), ..target(&access) }
    });
}
