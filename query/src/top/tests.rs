//! The screen as people see it, and what keys make of it.

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
    }
}

#[test]
fn tasks_at_80x24() {
    let mut fixture = Fixture::new();
    for s in 0..20 {
        fixture.report.counts.as_mut().expect("counts").done += s;
        fixture.at(s * 1000).settle();
    }
    fixture.shows(
        80,
        24,
        "\
run.db · login3:6125 · up 2 h 14 m · commit 0.9 ms
[████████████                          ] 32.4 %  192 of 591  done at about 14:02
done 191  failed 1  skipped 0  cancelled 0  running 1  ready 396  waiting 2
2.5/s now  1.2/s overall · 1 worker, 1 of 8 slots busy · 1 lost 3 m ago
most failures: 1 × exit 137  sim-0001
  19.0/s                                                                  ▁▂▄▅▆█
                                                                    ▂▃▄▅▇███████
    19 s                                                     ▁▂▃▅▆▇█████████████
 1 Tasks 591  2 Workers 2
TASK                            STATE      TRY       TIME  WORKER           EXIT
prep                            done         1   1 m 30 s  node1:7
sim-0001                        failed       3        5 s  node2:8           137
sim-0002                        running      1        1 m  node1:7
数据-größe \\u{1…t is very long  waiting      1      1.5 s  node1:7            75
sim-0005                        ready
sim-0006                        ready
sim-0007                        ready
sim-0008                        ready
sim-0009                        ready
sim-0010                        ready
sim-0011                        ready
sim-0012                        ready

q quit  ? help  / name  f state  Enter open  s sort  c cancel  r retry  h hold
",
    );
}

#[test]
fn tasks_at_40x10() {
    let expected = "\
run.db · login3:6125 · up 2 h 14 m · com
[                      ] 0.4 %  2 of 401
done 1  failed 1  running 1  ready 396
 1 Tasks 401  2 Workers 2
TASK                STATE           TIME
prep                done        1 m 30 s
sim-0001            failed           5 s
sim-0002            running          1 m
数据-größ…ery long  waiting        1.5 s
q quit  ? help  / name  f state
";
    Fixture::new().settle().shows(40, 10, expected);
}

#[test]
fn workers_at_200x50() {
    let mut fixture = Fixture::new();
    let screen = fixture.settle().keys("2").screen(200, 50);
    let lines: Vec<&str> = screen.lines().collect();
    let expected = "\
WORKER                                                       STATE     SLOTS   RUNS     DONE  FAILED    CPU    MEM      SEEN  HOST              NOTE
node1:7                                                      alive         8      1        1       0   51 %   25 %       1 s  node1
node2:8                                                      lost                 0        0       3                     3 m  node2
";
    assert_eq!(lines[14..17].join("\n") + "\n", expected, "{screen}");
    assert_eq!(lines[49], "q quit  ? help  Enter its tasks  d drain  x stop  s sort  Tab tasks");
    assert!(lines[17..49].iter().all(|line| line.is_empty()));
    // Narrower, less is told of each.
    assert!(fixture.screen(40, 10).contains("node2:8                  lost          0\n"));
}

#[test]
fn one_task_at_80x24() {
    let mut fixture = Fixture::new();
    fixture.settle().key(KeyCode::Down).key(KeyCode::Enter);
    let screen = fixture.screen(80, 24);
    let table = screen.lines().skip(9).collect::<Vec<_>>().join("\n") + "\n";
    let parts = [
        "sim-0001   failed   priority 0   retries 0   killed on node2:8, 3 failures\n",
        "\n  needed by   merge  waiting\n",
        "\n              2  failed  on node2:8  1970-01-01 00:16:40  for 5 s  exit 137\n",
        "\n\n  attempt 3 wrote\n    | line 1\n",
        "\n\nq quit  Esc back  ↑↓ scroll  c cancel  r retry  h hold  p priority  ? help\n",
    ];
    for part in parts {
        assert!(table.contains(part), "{part} in {table}");
    }
    // The end of what the attempts wrote; nothing of it steers the terminal.
    fixture.key(KeyCode::End);
    assert!(fixture.screen(80, 24).contains("    | no\\u{1b}[2J memory\n"));
    assert_eq!(fixture.asked.last(), Some(&Ask::Show("sim-0001".into())));
    fixture.key(KeyCode::Esc);
    assert!(fixture.screen(80, 24).contains("TASK  "));
}

#[test]
fn every_size_is_drawn() {
    let mut fixture = Fixture::new();
    fixture.settle();
    let views: [&str; 7] = ["", "2", "?", "1/x", "f", "c", "\n"];
    for (width, height) in (0..90).step_by(7).flat_map(|w| (0..30).map(move |h| (w, h))) {
        fixture.screen(width + 1, height + 1);
    }
    for keys in views {
        fixture.state.mode = Mode::Look;
        for key in keys.chars() {
            fixture.key(if key == '\n' { KeyCode::Enter } else { KeyCode::Char(key) });
        }
        for (width, height) in
            [(1, 1), (1, 30), (200, 1), (3, 3), (7, 5), (19, 7), (40, 10), (500, 100)]
        {
            fixture.screen(width, height);
        }
    }
}

#[test]
fn a_filter_is_typed_and_taken_away() {
    let mut fixture = Fixture::new();
    fixture.settle().keys("/merg");
    let screen = fixture.screen(80, 24);
    assert!(screen.contains("\nname: merg\nEnter look for it"), "{screen}");
    fixture
        .keys("xx")
        .key(KeyCode::Backspace)
        .key(KeyCode::Backspace)
        .keys("e")
        .key(KeyCode::Enter);
    let screen = fixture.screen(80, 24);
    assert!(screen.contains("only merge (1)\n") && screen.contains("\nmerge "), "{screen}");
    assert_eq!(fixture.state.window.visible().len(), 1);
    fixture.keys("/");
    fixture.state.key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL));
    assert_eq!(fixture.state.mode, Mode::Filter(String::new()));
    fixture.key(KeyCode::Esc);
    // What is left with Esc is not looked for.
    fixture.keys("/zzz").key(KeyCode::Esc);
    assert_eq!(fixture.state.window.filter().text, "merge");
    fixture.key(KeyCode::Esc);
    assert!(fixture.state.window.filter().is_empty());
    assert_eq!(fixture.state.window.visible().len(), 12);
    fixture.keys("ff");
    let screen = fixture.screen(80, 24);
    assert!(screen.contains("only failed (1)\n"), "{screen}");
    assert_eq!(fixture.state.window.visible()[0].name, "sim-0001");
    fixture.keys("fs");
    assert!(fixture.screen(80, 24).contains("no such task      Esc: all tasks"));
    fixture.keys("fa");
    assert!(fixture.state.window.filter().is_empty());
}

#[test]
fn nothing_is_done_without_a_yes() {
    let mut fixture = Fixture::new();
    fixture.settle().key(KeyCode::Down).key(KeyCode::Down).keys("c");
    let screen = fixture.screen(80, 24);
    let question = "\ncancel 'sim-0002'? it runs and is killed; what needs it is skipped\n\
                    y yes  any other key no\n";
    assert!(screen.contains(question), "{screen}");
    assert!(fixture.screen(40, 10).ends_with("\ncancel 'sim-0002'? it runs and is …  y/n\n"));
    fixture.keys("n");
    assert!(fixture.screen(80, 24).contains("\nnothing was done to 'sim-0002'\n"));
    fixture.keys("c").key(KeyCode::Esc).keys("c").key(KeyCode::Enter);
    assert_eq!(fixture.deeds(), Vec::<&Deed>::new());
    fixture.keys("cy");
    let deed = Deed::Cancel { name: "sim-0002".into(), state: Of::Running };
    assert_eq!(fixture.deeds(), [&deed]);
    assert!(fixture.screen(80, 24).contains("\n'sim-0002': done\n"));
    // And at once it is seen what came of it.
    let after = fixture.asked.iter().position(|ask| *ask == Ask::Do(deed.clone()));
    let after = &fixture.asked[after.expect("the deed")..];
    assert!(after.contains(&Ask::Status) && after.iter().any(|ask| matches!(ask, Ask::Tasks(_))));
}

#[test]
fn only_what_can_be_done_is_asked_about() {
    let mut fixture = Fixture::new();
    fixture.settle().keys("c");
    assert!(fixture.screen(80, 24).contains("\n'prep' is finished: nothing to cancel\n"));
    fixture.key(KeyCode::End).keys("r");
    assert!(fixture.screen(80, 24).contains("\n'merge' is waiting: nothing to retry\n"));
    // Keys of the other view.
    fixture.keys("dx2cr");
    assert_eq!(fixture.state.mode, Mode::Look);
    fixture.keys("x");
    assert_eq!(fixture.state.mode, Mode::Confirm(Deed::Stop("node1:7".into())));
    fixture.key(KeyCode::Esc).key(KeyCode::Down).keys("dy");
    assert_eq!(fixture.deeds(), [&Deed::Drain("node2:8".into())]);
    // One that waits for its next try need not wait.
    fixture.keys("1").key(KeyCode::Home);
    for _ in 0..3 {
        fixture.key(KeyCode::Down);
    }
    fixture.keys("r");
    assert!(matches!(&fixture.state.mode, Mode::Confirm(Deed::Retry { state: Of::Waiting, .. })));
    assert!(fixture.screen(80, 24).contains("? it waits for its next try"));
}

#[test]
fn tasks_are_held_and_go_sooner_or_later() {
    let mut fixture = Fixture::new();
    fixture.tasks[399].held = true;
    fixture.report.counts.as_mut().expect("counts").held = 1;
    fixture.settle().keys("h");
    assert!(fixture.screen(80, 24).contains("\n'prep' is finished: nothing to hold\n"));
    fixture.key(KeyCode::End);
    let screen = fixture.screen(120, 24);
    assert!(screen.contains("waiting 2  (held 1)\n"), "{screen}");
    assert!(screen.lines().any(|line| line.starts_with("sim-0400 ") && line.ends_with(" held")));
    fixture.keys("h");
    let question = "\nhold 'merge'? nobody gets it until it is held no more\n";
    assert!(fixture.screen(80, 24).contains(question));
    fixture.keys("y").key(KeyCode::Up).keys("hy");
    let hold = |name: &str, held| Deed::Hold { name: name.into(), held };
    assert_eq!(fixture.deeds(), [&hold("merge", true), &hold("sim-0400", false)]);
    fixture.keys("p");
    assert!(
        fixture.screen(80, 24).contains("\npriority of 'sim-0400': 0\nEnter set it  Esc leave")
    );
    fixture.key(KeyCode::Backspace).keys("-1x2").key(KeyCode::Enter);
    let priority = Deed::Priority { name: "sim-0400".into(), priority: -12 };
    assert_eq!(fixture.deeds().last(), Some(&&priority));
    fixture.keys("p").keys("-").key(KeyCode::Enter);
    assert!(fixture.screen(80, 24).contains("\n'0-' is no priority\n"));
    fixture.keys("p").key(KeyCode::Esc);
    assert_eq!(fixture.deeds().len(), 3);
    fixture.keys("fh");
    assert!(fixture.state.window.filter().selection().held);
    assert!(fixture.screen(80, 24).contains("only held\n"));
}

#[test]
fn a_worker_leads_to_its_tasks() {
    let mut fixture = Fixture::new();
    fixture.settle().keys("2").key(KeyCode::Down).key(KeyCode::Enter);
    assert_eq!(fixture.state.window.filter().selection().workers, ["node2:8"]);
    assert!(fixture.screen(80, 24).contains("only on node2:8\n"));
    fixture.keys("fr/sim").key(KeyCode::Enter);
    let selection = fixture.state.window.filter().selection();
    assert_eq!(selection.workers, ["node2:8"], "filters add up");
    assert_eq!((selection.patterns[0].as_str(), selection.states.len()), ("*sim*", 1));
    fixture.key(KeyCode::Esc);
    assert!(fixture.state.window.filter().is_empty());
}

#[test]
fn a_refusal_is_said_in_one_line() {
    let mut fixture = Fixture::new();
    fixture.settle().keys("ry");
    let screen = fixture.screen(80, 24);
    assert!(screen.contains("\ncannot retry 'prep': 'prep' is done\n"), "{screen}");
    // It goes away by itself.
    fixture.at(11_000);
    assert!(!fixture.screen(80, 24).contains("cannot"));
}

#[test]
fn the_order_goes_round() {
    let mut fixture = Fixture::new();
    fixture.settle().keys("sss");
    let names = |fixture: &Fixture| -> Vec<String> {
        fixture.state.window.visible().iter().take(3).map(|it| it.name.clone()).collect()
    };
    fixture.screen(80, 24);
    assert_eq!(names(&fixture), ["prep", "sim-0002", "sim-0001"]);
    assert!(fixture.screen(80, 24).contains("by time\n"));
    fixture.keys("S");
    assert_eq!(names(&fixture)[0], "sim-0005");
    fixture.keys("sss");
    assert_eq!(names(&fixture), ["prep", "sim-0001", "sim-0002"]);
}

#[test]
fn the_hub_is_asked_once_a_second_for_what_is_shown() {
    let mut fixture = Fixture::new();
    fixture.settle();
    let count = |fixture: &mut Fixture, begin: u64| {
        fixture.asked.clear();
        for ms in (begin..begin + 10_000).step_by(50) {
            fixture.at(ms).settle();
        }
        let status = fixture.asked.iter().filter(|ask| **ask == Ask::Status).count();
        (status, fixture.asked.len() - status)
    };
    assert_eq!(count(&mut fixture, 1_000), (10, 10));
    fixture.keys("2");
    assert_eq!(count(&mut fixture, 11_000), (10, 0), "a status tells of the workers");
    fixture.report.workers_total = 5_000;
    assert_eq!(count(&mut fixture, 21_000), (10, 10), "not of all of them");
    fixture.keys("1").key(KeyCode::Enter);
    assert_eq!(count(&mut fixture, 31_000), (10, 10));
    assert_eq!(fixture.asked.iter().filter(|ask| matches!(ask, Ask::Show(_))).count(), 10);
}

#[test]
fn a_hub_that_is_silent_holds_up_no_key() {
    let mut fixture = Fixture::new();
    fixture.settle();
    fixture.is_silent = true;
    fixture.at(12_400).settle();
    fixture.at(24_500).keys("2");
    let screen = fixture.screen(80, 24);
    assert!(screen.lines().next().is_some_and(|line| line.ends_with("no answer for 24 s")));
    assert!(screen.contains("WORKER  "));
    assert_eq!(fixture.asked.iter().filter(|ask| **ask == Ask::Status).count(), 2, "one is open");
    // The client gives up, and is sent again.
    let failure = || Failure::new(Exit::NoHub, "no hub answers at tcp://x (waited 5 s)");
    let took = Duration::from_secs(5);
    fixture.state.heard(Heard { ask: Ask::Status, took, answer: Err(failure()) });
    assert!(fixture.state.wanted().contains(&Ask::Status));
    assert!(fixture.screen(80, 24).contains("no answer for 24 s"));
    fixture.is_silent = false;
    let answer = Ok(Answer::Status(Box::new(report())));
    fixture.at(30_000).state.heard(Heard { ask: Ask::Status, took, answer });
    assert!(!fixture.screen(80, 24).contains("no answer"));
    fixture.at(32_000).settle();
    assert!(!fixture.screen(80, 24).contains("no answer"));
}

#[test]
fn a_hub_that_was_away_is_not_taken_for_a_slow_one() {
    let pages = |fixture: &mut Fixture, slow_ms: u64, heard_meanwhile: bool| {
        let end = 1_000 + slow_ms;
        fixture.at(1_000).state.wanted();
        for ms in (1_000..=end).step_by(500) {
            fixture.at(ms);
            if heard_meanwhile || ms == end {
                let answer = Ok(Answer::Status(Box::new(report())));
                let took = Duration::from_millis(5);
                fixture.state.heard(Heard { ask: Ask::Status, took, answer });
                fixture.state.wanted();
            }
        }
        let ask = Ask::Tasks(fixture.state.window.refresh());
        let answer = fixture.answer(&ask);
        let took = Duration::from_millis(slow_ms);
        fixture.state.heard(Heard { ask, took, answer });
        // The next one takes as long; once would be no habit.
        for ask in fixture.state.wanted() {
            let answer = fixture.answer(&ask);
            fixture.state.heard(Heard { ask, took, answer });
        }
        fixture.settle().asked.clear();
        for ms in (end..end + 10_000).step_by(100) {
            fixture.at(ms).settle();
        }
        fixture.asked.iter().filter(|ask| matches!(ask, Ask::Tasks(_))).count()
    };
    let mut fixture = Fixture::new();
    assert!(pages(fixture.settle(), 4_000, false) >= 9, "it was away");
    let mut fixture = Fixture::new();
    assert_eq!(pages(fixture.settle(), 4_000, true), 0, "it worked on the page all the time");
}

#[test]
fn a_page_that_is_refused_is_not_asked_for_without_end() {
    let mut fixture = Fixture::new();
    let (mut asked, mut query) = (0, None);
    for ms in (0..5_000).step_by(10) {
        if let Some(query) = query.take() {
            let (ask, took) = (Ask::Tasks(query), Duration::from_millis(1));
            let answer = Err(Failure::new(Exit::Refused, "not today"));
            fixture.state.heard(Heard { ask, took, answer });
        }
        for ask in fixture.at(ms).state.wanted() {
            if let Ask::Tasks(it) = ask {
                (asked, query) = (asked + 1, Some(it));
            }
        }
    }
    assert!((4..=6).contains(&asked), "{asked}");
    assert!(fixture.screen(80, 24).contains("\nnot today\n"));
}

#[test]
fn esc_is_esc_whatever_comes_right_after_it() {
    let mut fixture = Fixture::new();
    fixture.settle().keys("ff").state.key(KeyEvent::new(KeyCode::Char('2'), KeyModifiers::ALT));
    assert!(fixture.state.window.filter().is_empty());
    assert!(fixture.screen(80, 24).contains("WORKER  "));
    fixture.keys("d").state.key(KeyEvent::new(KeyCode::Char('y'), KeyModifiers::ALT));
    assert_eq!(fixture.settle().deeds(), Vec::<&Deed>::new());
}

#[test]
fn keys_that_leave() {
    for key in [
        KeyEvent::from(KeyCode::Char('q')),
        KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL),
    ] {
        let mut fixture = Fixture::new();
        fixture.settle().state.key(key);
        assert!(fixture.state.is_over());
    }
    // While something is typed, q is a letter and Ctrl-C still leaves.
    let mut fixture = Fixture::new();
    fixture.settle().keys("/q");
    assert!(!fixture.state.is_over());
    fixture.state.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
    assert!(fixture.state.is_over());
}
