//! Export: a page of tasks with what they need and all of their attempts.

use std::collections::VecDeque;

use dhub_proto::limits::EXPORT_BYTES_MAX;

use super::Step;
use super::walk::{Found, Walk};
use crate::engine::archive::Archive;
use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;
use crate::engine::view;

/// Tasks looked up, and attempts read, in a slice.
const SLICE_TASKS: usize = 200;
const SLICE_ATTEMPTS: usize = 500;
/// What an attempt takes in a message, about, besides its texts; and what a need does.
const ATTEMPT_BYTES: usize = 48;
const NEED_BYTES: usize = 5;

pub struct ExportJob {
    walk: Walk,
    limit: usize,
    brief: bool,
    /// The page begins in the middle of this one.
    resumed: Option<Resumed>,
    /// Looked up, and not wholly told.
    chosen: VecDeque<Found>,
    /// There are no more than the chosen.
    all: bool,
    /// The first of the chosen is on the page already.
    begun: bool,
    /// Attempts of the first of the chosen that are told.
    told: u32,
    tasks: Vec<Exported>,
    /// Of all that is on the page.
    bytes: usize,
    unknown: Vec<Name>,
}

enum Resumed {
    Id(u64),
    Name(Name),
}

impl ExportJob {
    pub fn new(export: Export) -> Self {
        let list = export.list;
        let (told, after) = (export.after_attempt, list.after);
        let by_name = list.selection.is_by_name();
        let names = &list.selection.names;
        // Of names, `after` counts those that were on the pages before.
        let resumed = match (told, by_name) {
            (0, _) => None,
            (_, false) => Some(Resumed::Id(after)),
            (_, true) => usize::try_from(after)
                .ok()
                .and_then(|count| names.get(count.checked_sub(1)?))
                .map(|name| Resumed::Name(name.clone())),
        };
        Self {
            told: if resumed.is_some() { told } else { 0 },
            resumed,
            walk: Walk::new(list.selection, after, true),
            limit: list.limit,
            brief: export.brief,
            chosen: VecDeque::new(),
            all: false,
            begun: false,
            tasks: Vec::new(),
            bytes: 0,
            unknown: Vec::new(),
        }
    }

    pub fn step<A: Archive>(&mut self, scheduler: &Scheduler, store: &A) -> Result<Step, A::Error> {
        if let Some(resumed) = self.resumed.take() {
            let row = match resumed {
                Resumed::Id(id) => store.row_by_id(id)?,
                Resumed::Name(name) => store.row(&name)?,
            };
            let found = row.map(|row| Found { after: self.walk.after(), task: Ok(row) });
            self.chosen.extend(found);
        }
        if self.chosen.is_empty() && !self.all {
            let slice = self.walk.slice(scheduler, store, SLICE_TASKS)?;
            self.chosen.extend(slice.found);
            self.all = slice.all;
        }
        let mut attempts_left = SLICE_ATTEMPTS;
        while let Some(Found { after, task }) = self.chosen.pop_front() {
            let row = match task {
                Ok(row) => row,
                Err(name) => {
                    self.unknown.push(name);
                    continue;
                }
            };
            let is_whole = self.tell(scheduler, store, &row, &mut attempts_left)?;
            let is_full = self.tasks.len() >= self.limit || self.bytes >= EXPORT_BYTES_MAX;
            if !is_whole {
                if self.bytes >= EXPORT_BYTES_MAX && self.told > 0 {
                    return Ok(self.done(after, self.told));
                }
                self.chosen.push_front(Found { after, task: Ok(row) });
                return Ok(Step::Again);
            }
            (self.begun, self.told) = (false, 0);
            if is_full && !(self.all && self.chosen.is_empty()) {
                return Ok(self.done(after, 0));
            }
        }
        Ok(if self.all { self.done(0, 0) } else { Step::Again })
    }

    /// Puts a task on the page, and attempts of it, as many as may be read; true if these were all.
    fn tell<A: Archive>(
        &mut self,
        scheduler: &Scheduler,
        store: &A,
        row: &TaskRow,
        attempts_left: &mut usize,
    ) -> Result<bool, A::Error> {
        if !self.begun {
            self.begun = true;
            let mut row = row.clone();
            if self.brief {
                row.command.clear();
                row.dir.clear();
                row.env.clear();
            }
            let needs = store.needs(row.id)?;
            self.bytes += row.bytes() + needs.len() * NEED_BYTES;
            let task = TaskView::new(scheduler, row);
            self.tasks.push(Exported { task, needs, attempts: Vec::new() });
        }
        let Some(page) = self.tasks.last_mut().map(|task| &mut task.attempts) else {
            return Ok(true);
        };
        if row.attempt > 0 {
            let attempts = store.attempts_after(row.id, self.told, *attempts_left)?;
            let are_all = attempts.len() < *attempts_left;
            *attempts_left -= attempts.len();
            for attempt in attempts {
                // The next page can only go on after an attempt.
                if self.bytes >= EXPORT_BYTES_MAX && self.told > 0 {
                    return Ok(false);
                }
                self.told = attempt.attempt;
                self.bytes += attempt_bytes(&attempt);
                page.push(attempt);
            }
            if !are_all {
                return Ok(false);
            }
        }
        if view::state(scheduler, row) == State::Running {
            let holder = scheduler.find(&row.name).and_then(|task| scheduler.worker(task.holder));
            let Who { host, key, .. } = holder.map(|it| it.who.clone()).unwrap_or_default();
            let (host, key) = (host.to_string(), key.to_string());
            page.push(AttemptRow { host, key, ..AttemptRow::running(row) });
        }
        Ok(true)
    }

    fn done(&mut self, next: u64, next_attempt: u32) -> Step {
        Step::Done(Box::new(Answer::Exported {
            tasks: std::mem::take(&mut self.tasks),
            next,
            next_attempt,
            unknown: std::mem::take(&mut self.unknown),
        }))
    }
}

fn attempt_bytes(attempt: &AttemptRow) -> usize {
    let AttemptRow { worker, key, reason, host, output_file, .. } = attempt;
    let texts = [worker, key, reason, host, output_file];
    ATTEMPT_BYTES + texts.map(String::len).iter().sum::<usize>()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use dhub_proto::Message;
    use dhub_proto::wire::{self, reply};

    use super::*;
    use crate::dialect::native;
    use crate::engine::archive::{Copying, Matching, Page};
    use crate::engine::scheduler::Config;

    /// Tasks that are done, each after so many attempts, with reasons of so many bytes.
    struct Past {
        counts: Vec<u32>,
        reason_bytes: usize,
    }

    impl Past {
        fn get(&self, id: TaskId) -> Option<TaskRow> {
            let attempt = *self.counts.get((id as usize).checked_sub(1)?)?;
            let (name, finished) = (id.to_string(), Some(State::Done));
            Some(TaskRow { id, name, attempt, finished, ..TaskRow::default() })
        }
    }

    impl Archive for Past {
        type Error = std::convert::Infallible;

        fn task(&self, _: &str) -> Result<Option<PastTask>, Self::Error> {
            unreachable!("nothing is done with the tasks")
        }

        fn worker(&self, _: &Who) -> Result<Option<(WorkerId, Name)>, Self::Error> {
            unreachable!("nothing is done with the tasks")
        }

        fn row(&self, name: &str) -> Result<Option<TaskRow>, Self::Error> {
            Ok(name.parse().ok().and_then(|id| self.get(id)))
        }

        fn row_by_id(&self, id: TaskId) -> Result<Option<TaskRow>, Self::Error> {
            Ok(self.get(id))
        }

        fn page(&self, _: Page, after: TaskId, most: usize) -> Result<Vec<TaskRow>, Self::Error> {
            Ok((after + 1..).map_while(|id| self.get(id)).take(most).collect())
        }

        fn page_before(&self, _: Page, _: TaskId, _: usize) -> Result<Vec<TaskRow>, Self::Error> {
            unreachable!("an export goes forward")
        }

        fn matching(
            &self,
            _: Page,
            _: &[Name],
            _: TaskId,
            _: bool,
            _: usize,
        ) -> Result<Matching, Self::Error> {
            unreachable!("nobody asks for patterns")
        }

        fn last_attempt(&self, _: TaskId, _: bool) -> Result<Option<AttemptRow>, Self::Error> {
            unreachable!("nobody waits for tasks")
        }

        fn skipped_for(
            &self,
            _: TaskId,
            _: TaskId,
            _: usize,
        ) -> Result<Vec<(TaskId, Vec<TaskId>)>, Self::Error> {
            unreachable!("nothing is done with the tasks")
        }

        fn needs(&self, _: TaskId) -> Result<Vec<TaskId>, Self::Error> {
            Ok(Vec::new())
        }

        fn attempts_after(
            &self,
            task: TaskId,
            attempt: u32,
            most: usize,
        ) -> Result<Vec<AttemptRow>, Self::Error> {
            assert!(most <= SLICE_ATTEMPTS);
            let last = self.get(task).map_or(0, |row| row.attempt);
            let row = |attempt| AttemptRow {
                attempt,
                reason: "r".repeat(self.reason_bytes),
                outcome: "failed",
                ..AttemptRow::default()
            };
            Ok((attempt + 1..=last).take(most).map(row).collect())
        }

        fn revived(&self, _: TaskId, _: bool) -> Result<Option<Revived>, Self::Error> {
            unreachable!("nothing is done with the tasks")
        }

        fn name(&self, _: TaskId) -> Result<String, Self::Error> {
            unreachable!("nothing is done with the tasks")
        }

        fn copy_to(&self, _: &Path) -> Result<Copying, Answer> {
            unreachable!("nobody asks for a copy")
        }
    }

    fn pages(past: &Past, selection: &Selection) -> Vec<wire::Exported> {
        let scheduler = Scheduler::new(Config::least());
        let (mut after, mut after_attempt, mut pages) = (0, 0, Vec::new());
        loop {
            let selection = selection.clone();
            let list = List { selection, limit: 10_000, after, before: 0 };
            let mut job = ExportJob::new(Export { list, after_attempt, brief: false });
            let page = loop {
                match job.step(&scheduler, past) {
                    Ok(Step::Again) => {}
                    Ok(Step::Done(answer)) => break *answer,
                    Ok(_) => panic!("nothing to wait for, and nothing to apply"),
                }
            };
            let Some(reply::Body::Exported(page)) = native::told(page) else {
                panic!("an export answers with a page")
            };
            (after, after_attempt) = (page.next, page.next_attempt);
            pages.push(page);
            if after == 0 {
                return pages;
            }
        }
    }

    /// Every attempt once, in order, however the pages cut; the number of pages.
    fn told_once(counts: Vec<u32>, reason_bytes: usize) -> usize {
        let past = Past { counts, reason_bytes };
        let ids = || 1..=past.counts.len() as u64;
        let all: Vec<(u64, u32)> = ids()
            .zip(&past.counts)
            .flat_map(|(id, &count)| (1..=count).map(move |it| (id, it)))
            .collect();
        let mut count = 0;
        let names = ids().map(|id| Name::from(id.to_string())).collect();
        let by_name = Selection { names, ..Selection::default() };
        // Then the order is that of the tasks.
        let (names, patterns) = (vec!["none of them".into()], vec!["*".into()]);
        let by_either = Selection { names, patterns, ..Selection::default() };
        for selection in [Selection::default(), by_either, by_name] {
            let pages = pages(&past, &selection);
            count = pages.len();
            let mut told: Vec<(u64, u32)> = Vec::new();
            for task in pages.iter().flat_map(|page| &page.tasks) {
                told.extend(task.attempts.iter().map(|attempt| (task.id, attempt.attempt)));
            }
            assert!(told == all, "{} attempts of {}", told.len(), all.len());
            assert!(pages.iter().all(|page| page.encoded_len() < EXPORT_BYTES_MAX + 4096));
            let mut seen: Vec<u64> =
                pages.iter().flat_map(|page| &page.tasks).map(|it| it.id).collect();
            seen.dedup();
            assert!(seen.into_iter().eq(ids()), "a task is missing");
        }
        count
    }

    #[test]
    fn a_task_with_very_many_attempts_goes_on_on_the_next_pages() {
        assert_eq!(told_once(vec![1, 10_000, 1], 1000), 10, "10.5 MB in pages of one");
    }

    #[test]
    fn wherever_a_page_ends_no_attempt_is_lost() {
        for (count, reason_bytes) in [(1, 0), (1, 99), (2, 0), (3, 30), (7, 1000)] {
            assert!(told_once(vec![count; 10_000], reason_bytes) > 1);
        }
        told_once(vec![0, 499, 1, 500, 0, 501, 2, 2_000, 0], 1000);
    }
}
