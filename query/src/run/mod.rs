//! A run as a whole: its tasks, what they need, their attempts, and what follows from that.
//!
//! Reads no clock and asks nobody: what the hub exports goes in, figures and texts come out.

pub mod cause;
pub mod figures;
pub mod graph;
pub mod group;
pub mod histogram;
pub mod joblog;
pub mod path;
pub mod report;
pub mod successors;
mod texts;

use std::ops::Range;

use dhub_proto::wire::{AttemptInfo, ExportedTask, State};

use texts::Texts;

#[derive(Default)]
pub struct Run {
    /// In the order of their ids. Names that nobody added are among them.
    pub tasks: Vec<Task>,
    /// On the hub's clock: the latest of all times that it told.
    pub now_ms: u64,
    texts: Texts,
}

pub struct Task {
    pub id: u64,
    pub name: Box<str>,
    pub state: State,
    pub created_ms: u64,
    /// Where they are in `Run::tasks`.
    pub needs: Box<[u32]>,
    pub attempts: Box<[Attempt]>,
}

/// Times are milliseconds since 1970, on the hub's clock.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    pub number: u32,
    pub started_ms: u64,
    /// Of one that runs: now.
    pub ended_ms: u64,
    pub outcome: Outcome,
    pub exit_code: i32,
    worker: u32,
    host: u32,
    reason: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Failed,
    Reclaimed,
    Cancelled,
    Running,
}

impl Outcome {
    fn of(attempt: &AttemptInfo) -> Self {
        match attempt.outcome.as_str() {
            "done" => Self::Done,
            "failed" => Self::Failed,
            "reclaimed" => Self::Reclaimed,
            "running" => Self::Running,
            _ => Self::Cancelled,
        }
    }
}

impl Attempt {
    pub fn run_ms(&self) -> u64 {
        self.ended_ms.saturating_sub(self.started_ms)
    }
}

impl Task {
    /// What all of its attempts took.
    pub fn run_ms(&self) -> u64 {
        self.attempts.iter().map(Attempt::run_ms).sum()
    }

    /// When it had been done at some moment, for the last time.
    fn done_before(&self, moment_ms: u64) -> Option<u64> {
        let done = self.attempts.iter().rev().filter(|it| it.outcome == Outcome::Done);
        done.map(|it| it.ended_ms).find(|&ended| ended <= moment_ms)
    }
}

impl Run {
    pub fn worker(&self, attempt: &Attempt) -> &str {
        self.texts.get(attempt.worker)
    }

    pub fn host(&self, attempt: &Attempt) -> &str {
        self.texts.get(attempt.host)
    }

    pub fn reason(&self, attempt: &Attempt) -> &str {
        self.texts.get(attempt.reason)
    }

    /// Without the names that nobody added.
    pub fn tasks_added(&self) -> u64 {
        self.tasks.iter().filter(|task| task.state != State::Missing).count() as u64
    }

    /// Every attempt with its task.
    pub fn attempts(&self) -> impl Iterator<Item = (&Task, usize, &Attempt)> {
        self.tasks.iter().flat_map(|task| {
            task.attempts.iter().enumerate().map(move |(index, attempt)| (task, index, attempt))
        })
    }

    /// How long an attempt waited for a worker: it could start when the task was there, what it needs
    /// was done, and the attempt before had ended.
    pub fn wait_ms(&self, task: &Task, index: usize) -> u64 {
        let started = task.attempts[index].started_ms;
        let before = index.checked_sub(1).map(|before| task.attempts[before].ended_ms);
        let needs = task.needs.iter().filter_map(|&need| {
            // One that somebody had run again may have been done again later.
            self.tasks[need as usize].done_before(started)
        });
        let ready = needs.chain(before).fold(task.created_ms, u64::max);
        started.saturating_sub(ready)
    }

    /// From the first task that was added to the last that ended.
    pub fn span_ms(&self) -> Range<u64> {
        let added = self.tasks.iter().filter(|task| task.state != State::Missing);
        let begin = added
            .map(|task| task.created_ms)
            .chain(self.attempts().map(|(.., attempt)| attempt.started_ms))
            .min()
            .unwrap_or(0);
        let end = self.attempts().map(|(.., attempt)| attempt.ended_ms).max().unwrap_or(begin);
        begin..end.max(begin)
    }
}

/// Makes a run of what the hub exports.
#[derive(Default)]
pub struct Builder {
    run: Run,
    needs: Vec<Vec<u64>>,
}

impl Builder {
    pub fn add(&mut self, exported: ExportedTask) {
        let info = exported.task.unwrap_or_default();
        let run = &mut self.run;
        let mut attempts = Vec::with_capacity(exported.attempts.len());
        for told in &exported.attempts {
            let outcome = Outcome::of(told);
            let mut ended_ms = told.ended_unix_ms;
            if outcome == Outcome::Running {
                ended_ms = told.started_unix_ms + info.run_ms;
            }
            run.now_ms = run.now_ms.max(ended_ms);
            attempts.push(Attempt {
                number: told.attempt,
                started_ms: told.started_unix_ms,
                ended_ms,
                outcome,
                exit_code: told.exit_code,
                worker: run.texts.number(&told.worker),
                host: run.texts.number(host(told)),
                reason: run.texts.number(&told.reason),
            });
        }
        run.now_ms = run.now_ms.max(info.created_unix_ms);
        self.needs.push(exported.needs);
        run.tasks.push(Task {
            id: exported.id,
            state: info.state(),
            name: info.name.into(),
            created_ms: info.created_unix_ms,
            needs: Box::default(),
            attempts: attempts.into(),
        });
    }

    pub fn finish(self) -> Run {
        let mut run = self.run;
        // They come in the order of their ids.
        let place = |tasks: &[Task], id: &u64| {
            tasks.binary_search_by_key(id, |task| task.id).ok().map(|index| index as u32)
        };
        for (index, needs) in self.needs.iter().enumerate() {
            let places = needs.iter().filter_map(|id| place(&run.tasks, id)).collect();
            run.tasks[index].needs = places;
        }
        let now = run.now_ms;
        for task in &mut run.tasks {
            for attempt in &mut task.attempts {
                if attempt.outcome == Outcome::Running {
                    attempt.ended_ms = now;
                }
            }
        }
        run
    }
}

/// The machine, or what the name of the worker says of it: "node12:4711".
pub fn host(attempt: &AttemptInfo) -> &str {
    if !attempt.host.is_empty() {
        return &attempt.host;
    }
    match attempt.worker.rsplit_once(':') {
        Some((host, process)) if process.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => &attempt.worker,
    }
}

#[cfg(test)]
pub mod tests {
    use dhub_proto::wire::TaskInfo;

    use super::*;

    /// Name, state, needs by place, attempts: start and end in seconds, outcome.
    pub type Described<'a> = (&'a str, State, &'a [u64], &'a [(u64, u64, &'a str)]);

    /// A run of such tasks on "w:1".
    pub fn run(tasks: &[Described]) -> Run {
        let mut builder = Builder::default();
        for (index, &(name, state, needs, attempts)) in tasks.iter().enumerate() {
            let attempt =
                |(number, &(start, end, outcome)): (usize, &(u64, u64, &str))| AttemptInfo {
                    attempt: number as u32 + 1,
                    worker: "w:1".into(),
                    started_unix_ms: start * 1000,
                    ended_unix_ms: end * 1000,
                    outcome: outcome.into(),
                    exit_code: i32::from(outcome == "failed") * 3,
                    ..AttemptInfo::default()
                };
            builder.add(ExportedTask {
                id: index as u64 + 1,
                task: Some(TaskInfo {
                    name: name.into(),
                    state: state.into(),
                    created_unix_ms: 1000,
                    ..TaskInfo::default()
                }),
                needs: needs.iter().map(|place| place + 1).collect(),
                attempts: attempts.iter().enumerate().map(attempt).collect(),
            });
        }
        builder.finish()
    }

    #[test]
    fn an_attempt_waits_from_the_last_thing_that_it_needed() {
        let run = run(&[
            ("a", State::Done, &[], &[(2, 4, "done")]),
            ("b", State::Done, &[], &[(3, 9, "done")]),
            ("c", State::Done, &[0, 1], &[(12, 14, "failed"), (20, 21, "done")]),
            // b was run again after d had begun.
            ("d", State::Done, &[1], &[(10, 11, "done")]),
        ]);
        let wait = |place: usize, index| run.wait_ms(&run.tasks[place], index);
        assert_eq!(wait(0, 0), 1000, "since it was added");
        assert_eq!(wait(2, 0), 3000, "since b was done");
        assert_eq!(wait(2, 1), 6000, "since the attempt before");
        assert_eq!(wait(3, 0), 1000);
        assert_eq!(run.span_ms(), 1000..21_000);
    }

    #[test]
    fn a_need_that_was_done_again_counts_as_it_was_then() {
        let run = run(&[
            ("a", State::Done, &[], &[(2, 4, "done"), (50, 60, "done")]),
            ("b", State::Done, &[0], &[(7, 8, "done")]),
        ]);
        assert_eq!(run.wait_ms(&run.tasks[1], 0), 3000);
    }

    #[test]
    fn what_runs_has_run_until_now() {
        let mut builder = Builder::default();
        for (id, started, ran) in [(1, 5_000, 3_000), (2, 9_000, 500)] {
            builder.add(ExportedTask {
                id,
                task: Some(TaskInfo {
                    state: State::Running.into(),
                    run_ms: ran,
                    ..TaskInfo::default()
                }),
                attempts: vec![AttemptInfo {
                    started_unix_ms: started,
                    outcome: "running".into(),
                    ..AttemptInfo::default()
                }],
                ..ExportedTask::default()
            });
        }
        let run = builder.finish();
        assert_eq!(run.now_ms, 9_500);
        assert_eq!(run.tasks[0].run_ms(), 4_500);
    }

    #[test]
    fn the_host_is_in_the_name_of_a_pool() {
        let of = |worker: &str, at: &str| {
            let (worker, at) = (worker.into(), at.into());
            host(&AttemptInfo { worker, host: at, ..AttemptInfo::default() }).to_owned()
        };
        assert_eq!(of("node12:4711", ""), "node12");
        assert_eq!(of("node12", ""), "node12");
        assert_eq!(of("lab:a", ""), "lab:a");
        assert_eq!(of("pool", "node3"), "node3");
    }
}
