//! Adds tasks of its own, cancels some while others run them, and brings some of these back.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dhub_proto::wire::reply::Body as Answer;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::{Cancel, ErrorCode, Refused, Retry, Selection};

use super::{Creators, create::create};
use crate::journal::Kind;
use crate::link::Link;
use crate::plan::{Group, Key};
use crate::shared::Shared;

const NAP: Duration = Duration::from_millis(30);
/// One of so many tasks of the other groups.
const SHARE: u32 = 8;

pub fn run(shared: &Shared, creators: &Creators, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut link = Link::native(shared, random.u64(..));
    let mut tasks = 0;
    // Cancelled, and not brought back.
    let mut cancelled: Vec<Key> = Vec::new();
    while !shared.stops() && !shared.drains() {
        std::thread::sleep(NAP);
        if shared.wants_more(tasks * SHARE) {
            let size = random.u32(1..=8);
            let keys: Vec<Key> =
                (tasks..tasks + size).map(|number| Group::Cancel.task(number)).collect();
            if create(shared, &mut link, &keys, 0).is_none() {
                break;
            }
            tasks += size;
        }
        if tasks > 0 && random.bool() {
            let mut keys: Vec<Key> = (0..random.u32(1..=4))
                .map(|_| Group::Cancel.task(random.u32(tasks.saturating_sub(40)..tasks)))
                .collect();
            keys.sort();
            keys.dedup();
            let Some(ended) = cancel(shared, &mut link, &keys) else { break };
            cancelled.extend(ended);
        }
        if !cancelled.is_empty() && random.u32(0..4) == 0 {
            let keys = cancelled.split_off(cancelled.len() - random.usize(1..=cancelled.len()));
            if retry(shared, &mut link, &keys).is_none() {
                break;
            }
        }
        // Old ones stay as they are.
        cancelled.drain(..cancelled.len().saturating_sub(20));
    }
    creators.left.fetch_sub(1, Ordering::Relaxed);
}

fn selection(keys: &[Key]) -> Option<Selection> {
    let names = keys.iter().map(|key| key.name()).collect();
    Some(Selection { names, ..Default::default() })
}

/// Those that are cancelled now. None: the run is over.
fn cancel(shared: &Shared, link: &mut Link, keys: &[Key]) -> Option<Vec<Key>> {
    let heard = link.ask(Body::Cancel(Cancel { selection: selection(keys) }))?;
    let mut journal = shared.journal();
    let Answer::Cancelled(answer) = heard.body else {
        journal.fault(Kind::Wrong, format!("not cancelled: {:?}", heard.body));
        return Some(Vec::new());
    };
    let refused: HashSet<&str> = answer.refused.iter().map(|it| it.name.as_str()).collect();
    let mut ended = Vec::new();
    for key in keys {
        if !refused.contains(key.name().as_str()) {
            journal.cancelled(*key, heard.repeated);
            ended.push(*key);
        }
    }
    known(&answer.refused).into_iter().for_each(|text| journal.fault(Kind::Lost, text));
    Some(ended)
}

fn retry(shared: &Shared, link: &mut Link, keys: &[Key]) -> Option<()> {
    keys.iter().for_each(|&key| shared.journal().retry_sent(key));
    let heard = link.ask(Body::Retry(Retry { selection: selection(keys), done: false }))?;
    let mut journal = shared.journal();
    keys.iter().for_each(|&key| journal.retry_answered(key, heard.repeated));
    match heard.body {
        Answer::Retried(answer) => {
            known(&answer.refused).into_iter().for_each(|text| journal.fault(Kind::Lost, text));
        }
        other => journal.fault(Kind::Wrong, format!("not retried: {other:?}")),
    }
    Some(())
}

/// Everything that was added must be known.
fn known(refused: &[Refused]) -> Vec<String> {
    let unknown = refused.iter().filter(|it| it.code() == ErrorCode::ErrorNotFound);
    unknown.map(|it| format!("{} was acknowledged: {}", it.name, it.message)).collect()
}
