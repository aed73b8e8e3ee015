//! Looks at the counts all the time, and at single tasks: what was acknowledged must be counted.

use std::sync::atomic::Ordering;
use std::time::Duration;

use dhub_proto::wire::reply::Body as Answer;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::{Counts, Status};

use crate::journal::Kind;
use crate::link::Link;
use crate::shared::Shared;

const NAP: Duration = Duration::from_millis(10);

pub fn run(shared: &Shared, seed: u64) {
    let mut link = Link::native(shared, seed);
    while !shared.stops() {
        let before = shared.journal().totals;
        let Some(heard) = link.ask(Body::Status(Status {})) else { break };
        let Answer::Status(status) = heard.body else {
            shared.journal().fault(Kind::Wrong, format!("no status: {:?}", heard.body));
            continue;
        };
        let counts = status.counts.unwrap_or_default();
        shared.unfinished.store(unfinished(&counts), Ordering::Relaxed);
        if total(&counts) < before.created || counts.done < before.tasks_done {
            let (created, done) = (before.created, before.tasks_done);
            let text = format!("{created} tasks were acknowledged, {done} done; now {counts:?}");
            shared.journal().fault(Kind::Lost, text);
        }
        std::thread::sleep(NAP);
    }
}

pub fn unfinished(counts: &Counts) -> u64 {
    counts.waiting + counts.ready + counts.running
}

pub fn total(counts: &Counts) -> u64 {
    unfinished(counts) + counts.done + counts.failed + counts.skipped + counts.cancelled
}
