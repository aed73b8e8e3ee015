//! What a living hub shows.

use std::collections::HashMap;

use dhub_proto::limits::{BATCH_TASKS_MAX, PAGE_TASKS_MAX};
use dhub_proto::wire::reply::Body as Answer;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::{List, Listed, Selection, Status, TaskInfo};

use crate::journal::{Kind, Record};
use crate::link::Link;
use crate::load::poll::total;
use crate::plan::Key;
use crate::shared::Shared;

/// Looks at all that was acknowledged since the last time, and at what is unfinished since then.
/// None: the run is over.
pub fn check_recent(shared: &Shared, link: &mut Link) -> Option<()> {
    let recent = shared.journal().take_recent();
    for some in recent.chunks(BATCH_TASKS_MAX) {
        let names = some.iter().map(|(key, _)| key.name()).collect();
        let selection = Some(Selection { names, ..Default::default() });
        let mut page = List { selection, limit: PAGE_TASKS_MAX as u32, ..List::default() };
        let mut tasks: Vec<TaskInfo> = Vec::new();
        loop {
            let listed = list(shared, link, page.clone())?;
            tasks.extend(listed.tasks);
            page.after = listed.next;
            if page.after == 0 {
                break;
            }
        }
        let shown: HashMap<&str, &TaskInfo> =
            tasks.iter().map(|task| (task.name.as_str(), task)).collect();
        let mut journal = shared.journal();
        for &(key, known) in some {
            let task = shown.get(key.name().as_str());
            journal.shown(key, known, task.map(|task| (task.state(), task.attempt)));
        }
    }
    Some(())
}

/// All pages, when everything is finished: each task, and how many of them.
pub fn check_all(shared: &Shared, link: &mut Link) -> Option<()> {
    let mut known: HashMap<Key, Record> = {
        let mut journal = shared.journal();
        journal.read_log();
        journal.records().filter(|(_, it)| it.sent).map(|(key, it)| (key, *it)).collect()
    };
    let (created, mut after) = (known.len() as u64, 0);
    loop {
        let page = List { limit: PAGE_TASKS_MAX as u32, after, ..List::default() };
        let page = list(shared, link, page)?;
        let mut journal = shared.journal();
        for task in &page.tasks {
            match Key::parse(&task.name).and_then(|key| Some((key, known.remove(&key)?))) {
                Some((key, record)) => {
                    journal.shown(key, record, Some((task.state(), task.attempt)));
                }
                None => {
                    let text = format!("{} is listed twice, or nobody added it", task.name);
                    journal.fault(Kind::Wrong, text);
                }
            }
        }
        after = page.next;
        if after == 0 {
            break;
        }
    }
    let heard = link.ask(Body::Status(Status {}))?;
    let mut journal = shared.journal();
    known.into_iter().for_each(|(key, record)| journal.shown(key, record, None));
    let Answer::Status(status) = heard.body else {
        journal.fault(Kind::Wrong, format!("no status: {:?}", heard.body));
        return Some(());
    };
    let counts = status.counts.unwrap_or_default();
    let done = journal.totals.tasks_done;
    if total(&counts) != created || counts.done != done {
        let text = format!("{created} tasks were added and {done} are done; counted: {counts:?}");
        journal.fault(Kind::Wrong, text);
    }
    Some(())
}

fn list(shared: &Shared, link: &mut Link, list: List) -> Option<Listed> {
    match link.ask(Body::List(list))?.body {
        Answer::Listed(listed) => Some(listed),
        other => {
            shared.journal().fault(Kind::Wrong, format!("no list: {other:?}"));
            Some(Listed::default())
        }
    }
}
