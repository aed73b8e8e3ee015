//! Looks at the counts and at single tasks all the time: what was acknowledged must be there.

use dhub_proto::wire::reply::Body as Answer;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::{Counts, ErrorCode, Show, Status};
use std::sync::atomic::Ordering;

use super::create::create;
use crate::journal::Kind;
use crate::link::Link;
use crate::shared::Shared;

/// Single tasks between two looks at the counts.
const SINGLE: u32 = 30;

pub fn run(shared: &Shared, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut link = Link::native(shared, random.u64(..));
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
        for _ in 0..SINGLE {
            if look(shared, &mut link, &mut random).is_none() {
                break;
            }
        }
    }
}

/// At one task, which is shown or added once more. None: the run is over.
fn look(shared: &Shared, link: &mut Link, random: &mut fastrand::Rng) -> Option<()> {
    let found = {
        let journal = shared.journal();
        let key = journal.any_recent(random).filter(|&key| journal.record(key).created);
        key.map(|key| (key, journal.record(key)))
    };
    let Some((key, known)) = found else {
        std::thread::yield_now();
        return (!shared.stops()).then_some(());
    };
    if random.u32(0..4) == 0 {
        return create(shared, link, &[key], 1);
    }
    let answer = link.ask(Body::Show(Show { name: key.name() }))?.body;
    let mut journal = shared.journal();
    match answer {
        Answer::Shown(shown) => {
            let task = shown.task.unwrap_or_default();
            journal.shown(key, known, Some((task.state(), task.attempt)));
        }
        Answer::Error(error) if error.code() == ErrorCode::ErrorNotFound => {
            journal.shown(key, known, None);
        }
        other => journal.fault(Kind::Wrong, format!("not shown: {other:?}")),
    }
    Some(())
}

pub fn unfinished(counts: &Counts) -> u64 {
    counts.waiting + counts.ready + counts.running
}

pub fn total(counts: &Counts) -> u64 {
    unfinished(counts) + counts.done + counts.failed + counts.skipped + counts.cancelled
}
