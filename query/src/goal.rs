//! What a wait is for: some of the tasks, how far they are and what became of them.

use std::time::{Duration, Instant};

use dhub_proto::exit::Exit;
use dhub_proto::wire::{
    self, Count, Counted, Counts, FailureGroup, Selection, State, TaskInfo, reply, request,
};

use crate::failure::Failure;
use crate::hub::{Hub, ask};
use crate::patience::Patience;
use crate::render::progress::{not_done, total};
use crate::render::words::there_are_no;

/// Fewer than a request may have.
const NAMES_MAX: usize = 10_000;
/// Failed tasks that are looked at to group them.
const FAILURES_MAX: u32 = 1_000;
/// Names told of each group.
const GROUP_NAMES_MAX: usize = 3;
/// A count that took long is not asked for again before this many times as long.
const REST: u32 = 20;

pub struct Goal {
    /// Together they have each of the tasks once.
    selections: Vec<Selection>,
    counts: Counts,
    counted: Instant,
    took: Duration,
}

impl Goal {
    /// None: all tasks. Names and patterns mean what they do at any time, so later tasks count too; what changes
    /// while tasks run, like their state, is looked at now.
    pub fn new(selection: Selection, hub: &mut Hub) -> Result<Option<Self>, Failure> {
        if selection == Selection::default() {
            return Ok(None);
        }
        let Selection { names, patterns, .. } = selection.clone();
        let lasting = Selection { names, patterns, ..Selection::default() } == selection;
        let mut unknown = hub.unknown_names(&selection)?;
        let selections = match lasting && selection.names.len() <= NAMES_MAX {
            true => vec![selection],
            false => now(selection, hub)?,
        };
        let (counts, counted, took) = (Counts::default(), Instant::now(), Duration::ZERO);
        let mut goal = Self { selections, counts, counted, took };
        for selection in goal.selections.clone() {
            let Counted { counts, unknown: of_these, .. } =
                ask!(hub, Count(Count { selection: Some(selection) }) => Counted);
            add(&mut goal.counts, &counts.unwrap_or_default());
            unknown.extend(of_these);
        }
        goal.took = goal.counted.elapsed();
        if !unknown.is_empty() {
            return Err(Failure::new(Exit::Refused, there_are_no(&unknown)));
        }
        if total(&goal.counts) == 0 {
            let failure = Failure::new(Exit::Refused, "there is no such task to wait for");
            return Err(failure.hint("which there are: dquery list"));
        }
        Ok(Some(goal))
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many of them run now, and how many of those their workers only have.
    pub fn at_work(of: &[Selection], hub: &mut Hub) -> Result<(u64, u64), Failure> {
        let (mut running, mut begun) = (0, 0);
        for selection in of {
            let count = Count { selection: Some(selection.clone()) };
            let counted = ask!(hub, Count(count) => Counted);
            running += counted.counts.unwrap_or_default().running;
            begun += counted.begun;
        }
        // A hub of a version before does not say which have begun.
        let begun = if begun == 0 { running } else { begun };
        Ok((begun, running.saturating_sub(begun)))
    }

    /// Together they have each of the tasks once.
    pub fn selections(&self) -> &[Selection] {
        &self.selections
    }

    pub fn is_reached(&self) -> bool {
        let Counts { waiting, ready, running, .. } = self.counts;
        waiting + ready + running == 0
    }

    /// How far they are now, unless that would load the hub. `last`: in any case.
    pub fn look(
        &mut self,
        patience: &mut Patience,
        hub: &mut Hub,
        last: bool,
    ) -> Result<(), Failure> {
        if !last && self.counted.elapsed() < self.took * REST {
            return Ok(());
        }
        let begin = Instant::now();
        let mut counts = Counts::default();
        for selection in self.selections.clone() {
            let count = Count { selection: Some(selection) };
            match patience.ask(hub, |_| request::Body::Count(count))? {
                Some(reply::Body::Counted(counted)) => {
                    add(&mut counts, &counted.counts.unwrap_or_default());
                }
                Some(_) => return Err(hub.unexpected()),
                // Another time.
                None => return Ok(()),
            }
        }
        (self.counts, self.took, self.counted) = (counts, begin.elapsed(), Instant::now());
        Ok(())
    }

    /// Why those failed that did.
    pub fn failures(&self, hub: &mut Hub) -> Result<Vec<FailureGroup>, Failure> {
        let mut failed = Vec::new();
        if not_done(&self.counts) > 0 {
            for selection in &self.selections {
                let states = vec![State::Failed.into()];
                let selection = Some(Selection { states, ..selection.clone() });
                let list = wire::List { selection, limit: FAILURES_MAX, ..wire::List::default() };
                failed.extend(ask!(hub, List(list) => Listed).tasks);
                if failed.len() >= FAILURES_MAX as usize {
                    break;
                }
            }
        }
        Ok(group(&failed))
    }
}

/// Those that it has now, by name.
fn now(selection: Selection, hub: &mut Hub) -> Result<Vec<Selection>, Failure> {
    let mut names = Vec::new();
    hub.list(selection, |page| {
        names.extend(page.tasks.into_iter().map(|task| task.name));
        Ok(())
    })?;
    let named = |names: &[String]| Selection { names: names.to_vec(), ..Selection::default() };
    Ok(names.chunks(NAMES_MAX).map(named).collect())
}

fn add(sum: &mut Counts, counts: &Counts) {
    sum.waiting += counts.waiting;
    sum.ready += counts.ready;
    sum.running += counts.running;
    sum.done += counts.done;
    sum.failed += counts.failed;
    sum.skipped += counts.skipped;
    sum.cancelled += counts.cancelled;
    sum.missing += counts.missing;
    sum.held += counts.held;
}

/// The most frequent reason first.
fn group(failed: &[TaskInfo]) -> Vec<FailureGroup> {
    let mut groups: Vec<FailureGroup> = Vec::new();
    for task in failed {
        let reason = match task.reason.as_str() {
            "" => format!("exit {}", task.exit_code),
            reason => reason.to_owned(),
        };
        let at = groups.iter().position(|group| group.reason == reason).unwrap_or_else(|| {
            groups.push(FailureGroup { reason, ..FailureGroup::default() });
            groups.len() - 1
        });
        groups[at].count += 1;
        if groups[at].names.len() < GROUP_NAMES_MAX {
            groups[at].names.push(task.name.clone());
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_grouped_by_reason() {
        let task = |name: &str, exit_code, reason: &str| TaskInfo {
            name: name.into(),
            exit_code,
            reason: reason.into(),
            ..TaskInfo::default()
        };
        let late = "timed out after 10 m";
        let mut failed = vec![task("a", 143, late)];
        failed.extend(["b", "c", "d", "e"].map(|name| task(name, 3, "")));
        let groups = group(&failed);
        let told: Vec<_> =
            groups.iter().map(|it| (it.count, it.reason.as_str(), it.names.join(" "))).collect();
        assert_eq!(told, [(4, "exit 3", "b c d".to_owned()), (1, late, "a".to_owned())]);
    }
}
