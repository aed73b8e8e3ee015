//! The page that shows a run: figures and attempts as data within a page that draws them.

use dhub_proto::plain;
use dhub_proto::wire::State;
use hashbrown::HashMap;
use serde::Serialize;

use super::cause::{Cause, causes};
use super::figures::{OverTime, most_at_once, over_time};
use super::group::groups;
use super::histogram::{Histogram, histogram, quantile};
use super::path::critical_path;
use super::{Attempt, Outcome, Run, Task};
use crate::render::trouble::why;
use crate::render::words;

const PAGE: &str = include_str!("report.html");
const DATA: &str = "{{data}}";

/// Rows of the tables.
const CAUSES_MAX: usize = 50;
const PATH_MAX: usize = 500;
const GROUPS_MAX: usize = 30;
const SLOWEST_MAX: usize = 10;

/// Where the run was, and who writes about it.
#[derive(Serialize)]
pub struct About {
    pub version: String,
    pub file: String,
    pub host: String,
    pub written_ms: u64,
}

pub fn page(run: &Run, about: About) -> String {
    // Numbers and texts only: this cannot fail.
    let data = serde_json::to_string(&data(run, about)).unwrap_or_default();
    // A name may be </script>, and the page may go to a terminal.
    let data = plain::json(&data).replace('<', "\\u003c");
    let (before, after) = PAGE.split_once(DATA).unwrap_or((PAGE, ""));
    [before, &data, after].concat()
}

#[derive(Serialize)]
struct Data<'a> {
    about: About,
    begin_ms: u64,
    end_ms: u64,
    now_ms: u64,
    counts: Vec<(&'static str, u64)>,
    summary: Summary,
    workers: Vec<(&'a str, &'a str)>,
    /// Of the tasks that `attempts` names, in front coding: how much of the name before comes first.
    names: Vec<(usize, &'a str)>,
    attempts: Columns,
    over_time: Over,
    lengths: Bins,
    waits: Bins,
    causes: Vec<Caused<'a>>,
    path: Path<'a>,
    groups: Vec<Grouped>,
    slowest: Vec<Slow<'a>>,
}

#[derive(Serialize)]
struct Summary {
    tasks: u64,
    attempts: u64,
    failed_attempts: u64,
    workers: usize,
    hosts: usize,
    busy_ms: u64,
    wasted_ms: u64,
    most_at_once: u64,
    length_ms: Quantiles,
    wait_ms: Quantiles,
}

#[derive(Serialize)]
struct Quantiles {
    median: u64,
    p95: u64,
    max: u64,
    sum: u64,
}

impl Quantiles {
    fn of(sorted: &[u64]) -> Self {
        Self {
            median: quantile(sorted, 0.5),
            p95: quantile(sorted, 0.95),
            max: quantile(sorted, 1.0),
            sum: sorted.iter().sum(),
        }
    }
}

/// Attempts in the order of their starts, column by column; starts as differences.
#[derive(Default, Serialize)]
struct Columns {
    start: Vec<u64>,
    run: Vec<u64>,
    wait: Vec<u64>,
    worker: Vec<usize>,
    task: Vec<usize>,
    number: Vec<u32>,
    /// A letter each: done, failed, lost, cancelled, running (u).
    outcome: String,
}

#[derive(Serialize)]
struct Over {
    bin_ms: u64,
    done: Vec<u64>,
    failed: Vec<u64>,
    running: Vec<f64>,
}

#[derive(Serialize)]
struct Bins {
    borders_ms: Vec<u64>,
    counts: Vec<u64>,
}

#[derive(Serialize)]
struct Caused<'a> {
    reason: String,
    attempts: u64,
    tasks: u64,
    done: u64,
    names: Vec<&'a str>,
}

#[derive(Serialize)]
struct Path<'a> {
    tasks: usize,
    run_ms: u64,
    /// The first of them: name, state, start of the first attempt, run time, waiting.
    steps: Vec<(&'a str, &'static str, u64, u64, u64)>,
}

#[derive(Serialize)]
struct Grouped {
    name: String,
    tasks: u64,
    done: u64,
    failed: u64,
    attempts: u64,
    run_ms: u64,
    median_ms: u64,
    max_ms: u64,
}

#[derive(Serialize)]
struct Slow<'a> {
    name: &'a str,
    number: u32,
    worker: &'a str,
    outcome: char,
    run_ms: u64,
}

fn data(run: &Run, about: About) -> Data<'_> {
    let span = run.span_ms();
    let Histograms { lengths, waits, lengths_sorted, waits_sorted } = Histograms::of(run);
    let workers = Workers::of(run);
    let (names, attempts) = columns(run, &workers, span.start);
    let hosts: hashbrown::HashSet<&str> = workers.list.iter().map(|&(_, host)| host).collect();
    let OverTime { bin_ms, done, failed, running } = over_time(run);
    Data {
        begin_ms: span.start,
        end_ms: span.end,
        now_ms: run.now_ms,
        counts: counts(run),
        summary: Summary {
            tasks: run.tasks_added(),
            attempts: run.attempts().count() as u64,
            failed_attempts: run.attempts().filter(|(.., it)| is_failed(it)).count() as u64,
            workers: workers.list.len(),
            hosts: hosts.len(),
            busy_ms: run.attempts().map(|(.., it)| it.run_ms()).sum(),
            wasted_ms: run
                .attempts()
                .filter(|(.., it)| is_failed(it))
                .map(|(.., it)| it.run_ms())
                .sum(),
            most_at_once: most_at_once(run),
            length_ms: Quantiles::of(&lengths_sorted),
            wait_ms: Quantiles::of(&waits_sorted),
        },
        workers: workers.list,
        names,
        attempts,
        over_time: Over { bin_ms, done, failed, running },
        lengths,
        waits,
        causes: causes(run).into_iter().take(CAUSES_MAX).map(caused).collect(),
        path: path(run),
        groups: grouped(run),
        slowest: slowest(run),
        about,
    }
}

fn is_failed(attempt: &Attempt) -> bool {
    matches!(attempt.outcome, Outcome::Failed | Outcome::Reclaimed)
}

fn counts(run: &Run) -> Vec<(&'static str, u64)> {
    use State::*;
    [Done, Failed, Skipped, Cancelled, Running, Ready, Waiting, Missing]
        .into_iter()
        .map(|state| {
            let count = run.tasks.iter().filter(|task| task.state == state).count();
            (words::state(state), count as u64)
        })
        .collect()
}

struct Histograms {
    lengths: Bins,
    waits: Bins,
    lengths_sorted: Vec<u64>,
    waits_sorted: Vec<u64>,
}

impl Histograms {
    fn of(run: &Run) -> Self {
        let done = run.attempts().filter(|(.., it)| it.outcome == Outcome::Done);
        let mut lengths_sorted: Vec<u64> = done.map(|(.., it)| it.run_ms()).collect();
        let waits = run.attempts().map(|(task, index, _)| run.wait_ms(task, index));
        let mut waits_sorted: Vec<u64> = waits.collect();
        lengths_sorted.sort_unstable();
        waits_sorted.sort_unstable();
        let bins = |sorted: &[u64]| {
            let Histogram { borders_ms, counts } = histogram(sorted);
            Bins { borders_ms, counts }
        };
        Self {
            lengths: bins(&lengths_sorted),
            waits: bins(&waits_sorted),
            lengths_sorted,
            waits_sorted,
        }
    }
}

/// Names and hosts in the order of the names.
struct Workers<'a> {
    list: Vec<(&'a str, &'a str)>,
    places: HashMap<(u32, u32), usize>,
}

impl<'a> Workers<'a> {
    fn of(run: &'a Run) -> Self {
        let mut keys: HashMap<(u32, u32), (&str, &str)> = HashMap::new();
        for (.., attempt) in run.attempts() {
            keys.entry((attempt.worker, attempt.host))
                .or_insert_with(|| (run.worker(attempt), run.host(attempt)));
        }
        let mut keys: Vec<_> = keys.into_iter().collect();
        // The shorter first: node9 before node10.
        keys.sort_by_key(|&(_, (name, host))| (host.len(), host, name.len(), name));
        let places = keys.iter().enumerate().map(|(place, &(key, _))| (key, place)).collect();
        Self { list: keys.into_iter().map(|(_, worker)| worker).collect(), places }
    }
}

/// The names that the columns count, and the columns.
fn columns<'a>(run: &'a Run, workers: &Workers, begin_ms: u64) -> (Vec<(usize, &'a str)>, Columns) {
    let mut names = Vec::new();
    let mut before = "";
    let mut rows: Vec<(&Task, usize, &Attempt, usize)> = Vec::new();
    for task in run.tasks.iter().filter(|task| !task.attempts.is_empty()) {
        let attempts = task.attempts.iter().enumerate();
        rows.extend(attempts.map(|(index, attempt)| (task, index, attempt, names.len())));
        names.push(front(before, &task.name));
        before = &task.name;
    }
    rows.sort_by_key(|(_, _, attempt, _)| attempt.started_ms);
    let mut columns = Columns::default();
    let mut last = begin_ms;
    for (task, index, attempt, name) in rows {
        columns.start.push(attempt.started_ms - last);
        last = attempt.started_ms;
        columns.run.push(attempt.run_ms());
        columns.wait.push(run.wait_ms(task, index));
        columns.worker.push(workers.places[&(attempt.worker, attempt.host)]);
        columns.task.push(name);
        columns.number.push(attempt.number);
        columns.outcome.push(letter(attempt.outcome));
    }
    (names, columns)
}

fn letter(outcome: Outcome) -> char {
    match outcome {
        Outcome::Done => 'd',
        Outcome::Failed => 'f',
        Outcome::Reclaimed => 'l',
        Outcome::Cancelled => 'c',
        Outcome::Running => 'u',
    }
}

/// How much of the name before a name begins with, as a browser counts, and its rest.
fn front<'a>(before: &str, name: &'a str) -> (usize, &'a str) {
    let same = before.chars().zip(name.chars()).take_while(|(a, b)| a == b).map(|(c, _)| c);
    let (mut units, mut bytes) = (0, 0);
    for c in same {
        units += c.len_utf16();
        bytes += c.len_utf8();
    }
    (units, &name[bytes..])
}

fn caused(cause: Cause<'_>) -> Caused<'_> {
    let Cause { reason, attempts, tasks, done, names } = cause;
    let reason = why(&reason);
    Caused { reason, attempts, tasks, done, names }
}

fn path(run: &Run) -> Path<'_> {
    let path = critical_path(run);
    let step = |&index: &usize| {
        let task = &run.tasks[index];
        let waits = (0..task.attempts.len()).map(|attempt| run.wait_ms(task, attempt));
        let started = task.attempts.first().map_or(0, |attempt| attempt.started_ms);
        (&*task.name, words::state(task.state), started, task.run_ms(), waits.sum())
    };
    Path {
        tasks: path.len(),
        run_ms: path.iter().map(|&index| run.tasks[index].run_ms()).sum(),
        steps: path.iter().take(PATH_MAX).map(step).collect(),
    }
}

/// By what they took, the most first.
fn grouped(run: &Run) -> Vec<Grouped> {
    let names: Vec<&str> = run.tasks.iter().map(|task| &*task.name).collect();
    let groups = groups(&names, GROUPS_MAX);
    let mut members: Vec<Vec<&Task>> = vec![Vec::new(); groups.names.len()];
    for (task, &group) in run.tasks.iter().zip(&groups.of_name) {
        if task.state != State::Missing {
            members[group as usize].push(task);
        }
    }
    let of_group = |(name, tasks): (String, Vec<&Task>)| {
        let count = |state| tasks.iter().filter(|task| task.state == state).count() as u64;
        let attempts = || tasks.iter().flat_map(|task| task.attempts.iter());
        let mut lengths: Vec<u64> = attempts().map(Attempt::run_ms).collect();
        lengths.sort_unstable();
        Grouped {
            tasks: tasks.len() as u64,
            done: count(State::Done),
            failed: count(State::Failed),
            attempts: lengths.len() as u64,
            run_ms: lengths.iter().sum(),
            median_ms: quantile(&lengths, 0.5),
            max_ms: quantile(&lengths, 1.0),
            name,
        }
    };
    let mut grouped: Vec<Grouped> =
        groups.names.into_iter().zip(members).map(of_group).filter(|it| it.tasks > 0).collect();
    grouped.sort_by_key(|group| std::cmp::Reverse(group.run_ms));
    grouped
}

fn slowest(run: &Run) -> Vec<Slow<'_>> {
    let mut all: Vec<(&Task, usize, &Attempt)> = run.attempts().collect();
    all.sort_by_key(|(.., attempt)| std::cmp::Reverse(attempt.run_ms()));
    all.into_iter()
        .take(SLOWEST_MAX)
        .map(|(task, _, attempt)| Slow {
            name: &task.name,
            number: attempt.number,
            worker: run.worker(attempt),
            outcome: letter(attempt.outcome),
            run_ms: attempt.run_ms(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::tests::run;
    use super::*;

    fn about() -> About {
        About { version: "1".into(), file: "run.db".into(), host: "login3".into(), written_ms: 0 }
    }

    fn told(run: &Run) -> Value {
        serde_json::to_value(data(run, about())).expect("JSON")
    }

    #[test]
    fn names_come_back_from_front_coding() {
        let names = ["sim-001", "sim-002", "größe", "größer", "😀a", "😁a", "", "x"];
        let mut before: Vec<u16> = Vec::new();
        let mut last = "";
        for name in names {
            let (units, rest) = front(last, name);
            before.truncate(units);
            before.extend(rest.encode_utf16());
            assert_eq!(String::from_utf16(&before).expect("UTF-16"), name);
            last = name;
        }
    }

    #[test]
    fn the_figures_of_a_small_run() {
        let run = run(&[
            ("a", State::Done, &[], &[(2, 4, "failed"), (4, 8, "done")]),
            ("b-1", State::Done, &[0], &[(9, 12, "done")]),
            ("b-2", State::Failed, &[0], &[(9, 10, "failed")]),
            ("c", State::Skipped, &[2], &[]),
            ("x", State::Missing, &[], &[]),
        ]);
        let data = told(&run);
        assert_eq!(data["summary"]["tasks"], 4);
        assert_eq!(data["summary"]["attempts"], 4);
        assert_eq!(data["summary"]["busy_ms"], 10_000);
        assert_eq!(data["summary"]["wasted_ms"], 3_000);
        assert_eq!(data["summary"]["most_at_once"], 2);
        assert_eq!(data["summary"]["length_ms"]["max"], 4_000);
        assert_eq!(data["attempts"]["start"], serde_json::json!([1000, 2000, 5000, 0]));
        assert_eq!(data["attempts"]["outcome"], "fddf");
        assert_eq!(data["path"]["run_ms"], 9_000);
        assert_eq!(data["path"]["steps"][1][0], "b-1");
        assert_eq!(data["causes"][0]["attempts"], 2);
        assert_eq!(data["slowest"][0]["name"], "a");
        let group = &data["groups"][0];
        assert_eq!((&group["name"], &group["run_ms"]), (&"a".into(), &6_000.into()));
        let group = &data["groups"][1];
        assert_eq!((&group["name"], &group["tasks"]), (&"b-#".into(), &2.into()));
    }

    #[test]
    fn no_name_ends_the_data() {
        let run = run(&[("</script><b>\u{9b}2J", State::Done, &[], &[(2, 4, "done")])]);
        let page = page(&run, about());
        assert_eq!(page.matches("</script>").count(), PAGE.matches("</script>").count());
        assert!(page.contains("\\u003c/script>\\u003cb>\\u009b2J"), "the name is there");
        assert!(!page.contains('\u{9b}'), "it steers a terminal");
        assert!(!page.contains(DATA));
    }

    #[test]
    fn a_run_of_nothing_is_a_page_too() {
        let data = told(&Run::default());
        assert_eq!(data["summary"]["tasks"], 0);
        assert_eq!(data["begin_ms"], data["end_ms"]);
    }
}
