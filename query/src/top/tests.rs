//! The screen as people see it, and what keys make of it.

mod ask;
mod keys;
mod look;

use std::time::{Duration, Instant};

use dhub_proto::exit::Exit;
use dhub_proto::wire::{
    AttemptInfo, Counts, FailureGroup, HubInfo, Listed, Phase, Sample, Shown, State as Of,
    StatusReport, TaskInfo, WorkerInfo,
};
use jiff::Zoned;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::asker::{Answer, Ask, Heard};
use super::deed::Deed;
use super::palette::Palette;
use super::screen;
use super::state::{Mode, State};
use crate::failure::Failure;

/// A hub that answers at once, a clock that is set by hand, and a screen that can be read.
struct Fixture {
    state: State,
    begin: Instant,
    tasks: Vec<TaskInfo>,
    report: StatusReport,
    /// All that the hub was asked.
    asked: Vec<Ask>,
    is_silent: bool,
}

impl Fixture {
    fn new() -> Self {
        let begin = Instant::now();
        let wall: Zoned = "2026-05-04T14:00:00+00:00[UTC]".parse().expect("a time");
        let state = State::new(Palette { colours: false }, 30_000, begin, wall);
        let (tasks, report) = (tasks(), report());
        Self { state, begin, tasks, report, asked: Vec::new(), is_silent: false }
    }

    fn at(&mut self, ms: u64) -> &mut Self {
        let wall = self.state.wall.clone();
        self.state.at(self.begin + Duration::from_millis(ms), wall);
        self
    }

    /// Until nothing more is wanted now.
    fn settle(&mut self) -> &mut Self {
        for _ in 0..100 {
            let wanted = self.state.wanted();
            if wanted.is_empty() || self.is_silent {
                self.asked.extend(wanted);
                return self;
            }
            for ask in wanted {
                let answer = self.answer(&ask);
                self.asked.push(ask.clone());
                self.state.heard(Heard { ask, took: Duration::from_millis(5), answer });
            }
        }
        panic!("there is no end to what is wanted: {:?}", self.asked.last());
    }

    fn answer(&self, ask: &Ask) -> Result<Answer, Failure> {
        Ok(match ask {
            Ask::Status => Answer::Status(Box::new(self.report.clone())),
            Ask::Tasks(query) => {
                let list = query.list();
                let selection = list.selection.unwrap_or_default();
                let is_on = |task: &&TaskInfo| {
                    (selection.states.is_empty() || selection.states.contains(&task.state))
                        && (selection.patterns.is_empty()
                            || selection
                                .patterns
                                .iter()
                                .any(|it| task.name.contains(it.trim_matches('*'))))
                };
                Answer::Tasks(page(
                    self.tasks.iter().filter(is_on),
                    list.after,
                    list.before,
                    list.limit,
                ))
            }
            Ask::Workers => Answer::Workers(self.report.workers.clone()),
            Ask::Show(name) => {
                let task = self.tasks.iter().find(|task| task.name == *name).cloned();
                Answer::Shown(Box::new(shown(task)))
            }
            Ask::Do(deed) if deed.name() == "prep" => {
                return Err(Failure::new(Exit::Refused, "'prep' is done\nmore"));
            }
            Ask::Do(deed) => Answer::Done(format!("'{}': done", deed.name())),
        })
    }

    fn keys(&mut self, keys: &str) -> &mut Self {
        keys.chars().for_each(|c| self.state.key(KeyEvent::from(KeyCode::Char(c))));
        self.settle()
    }

    fn key(&mut self, key: KeyCode) -> &mut Self {
        self.state.key(KeyEvent::from(key));
        self.settle()
    }

    fn screen(&mut self, width: u16, height: u16) -> String {
        let mut terminal =
            Terminal::new(TestBackend::new(width, height)).expect("a terminal in memory");
        terminal.draw(|frame| screen::draw(&mut self.state, frame)).expect("a screen");
        let buffer = terminal.backend().buffer();
        let mut text = String::new();
        for y in 0..height {
            let mut skip = 0;
            let mut line = String::new();
            for x in 0..width {
                // A wide character covers the cell after it.
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                let symbol = buffer[(x, y)].symbol();
                skip = unicode_width::UnicodeWidthStr::width(symbol).saturating_sub(1);
                line.push_str(symbol);
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }

    #[track_caller]
    fn shows(&mut self, width: u16, height: u16, expected: &str) {
        let screen = self.screen(width, height);
        assert!(screen == expected, "the screen is\n{screen}and should be\n{expected}");
    }

    fn deeds<'a>(&'a self) -> Vec<&'a Deed> {
        let deed = |ask: &'a Ask| match ask {
            Ask::Do(deed) => Some(deed),
            _ => None,
        };
        self.asked.iter().filter_map(deed).collect()
    }
}

fn page<'a>(
    tasks: impl DoubleEndedIterator<Item = &'a TaskInfo>,
    after: u64,
    before: u64,
    limit: u32,
) -> Listed {
    let limit = limit as usize;
    let mut page: Vec<TaskInfo>;
    let more;
    if before > 0 {
        page = tasks.rev().filter(|it| it.id < before).take(limit + 1).cloned().collect();
        more = page.len() > limit;
        page.truncate(limit);
        page.reverse();
        return Listed {
            next: if more { page[0].id } else { 0 },
            tasks: page,
            ..Listed::default()
        };
    }
    page = tasks.filter(|it| it.id > after).take(limit + 1).cloned().collect();
    more = page.len() > limit;
    page.truncate(limit);
    Listed { next: if more { page[limit - 1].id } else { 0 }, tasks: page, ..Listed::default() }
}

fn task(id: u64, name: &str, state: Of) -> TaskInfo {
    TaskInfo { id, name: name.into(), state: state.into(), ..TaskInfo::default() }
}

fn tasks() -> Vec<TaskInfo> {
    let ran = |id, name: &str, state, worker: &str, run_ms| TaskInfo {
        attempt: 1,
        worker: worker.into(),
        run_ms,
        ..task(id, name, state)
    };
    let mut tasks = vec![
        ran(1, "prep", Of::Done, "node1:7", 90_000),
        TaskInfo {
            attempt: 3,
            failures: 3,
            exit_code: 137,
            reason: "killed".into(),
            ..ran(2, "sim-0001", Of::Failed, "node2:8", 5_000)
        },
        ran(3, "sim-0002", Of::Running, "node1:7", 60_000),
        TaskInfo {
            attempt: 1,
            exit_code: 75,
            retry_in_ms: 4_000,
            ..ran(
                4,
                "数据-größe \x1b[2J and so on until it is very long",
                Of::Waiting,
                "node1:7",
                1_500,
            )
        },
    ];
    tasks.extend((5..=400).map(|id| task(id, &format!("sim-{id:04}"), Of::Ready)));
    tasks.push(task(401, "merge", Of::Waiting));
    tasks
}

fn report() -> StatusReport {
    let sample = Sample {
        slots: 8,
        running: 1,
        cpu_percent: 51.4,
        memory_used_bytes: 1 << 30,
        memory_total_bytes: 4 << 30,
        ..Sample::default()
    };
    let alive = WorkerInfo {
        name: "node1:7".into(),
        id: vec![1; 16],
        host: "node1".into(),
        leases: 1,
        started: 1,
        done: 1,
        failed: 0,
        last_seen_ago_ms: 1_000,
        sample: Some(sample),
        ..WorkerInfo::default()
    };
    let lost = WorkerInfo {
        name: "node2:8".into(),
        id: vec![2; 16],
        host: "node2".into(),
        leases: 0,
        started: 0,
        done: 0,
        failed: 3,
        last_seen_ago_ms: 180_000,
        sample: None,
        lost: true,
        ..alive.clone()
    };
    StatusReport {
        counts: Some(Counts {
            waiting: 2,
            ready: 396,
            running: 1,
            done: 1,
            failed: 1,
            ..Counts::default()
        }),
        phase: Phase::Active.into(),
        done_per_s: 2.5,
        done_per_s_overall: 1.25,
        workers: vec![alive, lost],
        workers_total: 2,
        hub: Some(HubInfo {
            file: "/home/x/run.db".into(),
            endpoints: vec!["ipc:///run/x.sock".into(), "tcp://login3:6125".into()],
            uptime_ms: 8_040_000,
            commit_us: 900,
            ..HubInfo::default()
        }),
        failures: vec![FailureGroup {
            reason: "exit 137".into(),
            count: 1,
            names: vec!["sim-0001".into()],
        }],
        ..StatusReport::default()
    }
}

fn shown(task: Option<TaskInfo>) -> Shown {
    let attempt = |number, output: &str| AttemptInfo {
        attempt: number,
        worker: "node2:8".into(),
        host: "node2".into(),
        started_unix_ms: 1_000_000,
        ended_unix_ms: 1_005_000,
        outcome: "failed".into(),
        exit_code: 137,
        output: output.as_bytes().to_vec(),
        ..AttemptInfo::default()
    };
    let lines: String = (1..=30).map(|n| format!("line {n}\n")).collect();
    Shown {
        task,
        needs: vec![self::task(1, "prep", Of::Done)],
        needed_by: vec![self::task(401, "merge", Of::Waiting)],
        attempts: vec![attempt(1, "no\x1b[2J memory"), attempt(2, ""), attempt(3, &lines)],
        ..Shown::default()
    }
}
