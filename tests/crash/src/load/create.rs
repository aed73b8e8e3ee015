//! Adds tasks in batches, some of them again.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dhub_proto::wire::reply::Body as Answer;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::{Create, Task};

use super::Creators;
use crate::journal::Kind;
use crate::link::Link;
use crate::plan::{BATCHED, Group, Key};
use crate::shared::Shared;

/// Tasks that a group may have more than another one: what a task needs of another group is then
/// missing for a while, but not for long.
const AHEAD_MAX: u32 = 128;
pub const BATCH_MAX: u32 = 40;
const NAP: Duration = Duration::from_millis(5);

/// Tasks of each group that were added.
#[derive(Default)]
pub struct Progress([AtomicU32; BATCHED.len()]);

impl Progress {
    fn of(&self, group: Group) -> &AtomicU32 {
        &self.0[group as usize]
    }

    fn least(&self) -> u32 {
        self.0.iter().map(|tasks| tasks.load(Ordering::Relaxed)).min().unwrap_or(0)
    }

    pub fn most(&self) -> u32 {
        self.0.iter().map(|tasks| tasks.load(Ordering::Relaxed)).max().unwrap_or(0)
    }
}

pub fn run(shared: &Shared, creators: &Creators, group: Group, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut link = Link::native(shared, random.u64(..));
    let tasks = creators.progress.of(group);
    while !shared.stops() {
        let had = tasks.load(Ordering::Relaxed);
        let mut size = random.u32(1..=BATCH_MAX);
        if shared.drains() {
            // All groups end alike: nothing that somebody needs is left missing.
            size = size.min(shared.last.load(Ordering::Relaxed).saturating_sub(had));
            if size == 0 {
                break;
            }
        } else if !shared.wants_more(had) || had + size > creators.progress.least() + AHEAD_MAX {
            std::thread::sleep(NAP);
            continue;
        }
        // Now and then with tasks that are there already.
        let again = if random.u32(0..5) == 0 { random.u32(0..=had.min(30)) } else { 0 };
        let mut keys: Vec<Key> =
            (had - again..had + size).map(|number| group.task(number)).collect();
        random.shuffle(&mut keys);
        if create(shared, &mut link, &keys, u64::from(again)).is_none() {
            break;
        }
        tasks.store(had + size, Ordering::Relaxed);
    }
    creators.left.fetch_sub(1, Ordering::Relaxed);
}

/// All or nothing, and `existing` of them are there. None: the run is over.
pub fn create(shared: &Shared, link: &mut Link, keys: &[Key], existing: u64) -> Option<()> {
    shared.journal().create_sent(keys);
    let tasks: Vec<Task> = keys.iter().map(|key| key.task()).collect();
    let heard = link.ask(Body::Create(Create { tasks }))?;
    let mut journal = shared.journal();
    match heard.body {
        Answer::Created(created) => {
            let all = created.added + created.existing == keys.len() as u64;
            let known = created.existing == existing || heard.repeated;
            if !all || !known {
                let from = keys.iter().map(|key| key.name()).collect::<Vec<_>>().join(" ");
                let text = format!("{created:?} where {existing} were there already: {from}");
                journal.fault(Kind::Lost, text);
            }
            journal.created(keys);
        }
        other => journal.fault(Kind::Wrong, format!("tasks were not added: {other:?}")),
    }
    Some(())
}
