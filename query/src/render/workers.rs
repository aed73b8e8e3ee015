//! Who works: a line that says whether all are there, and tables.

use std::fmt::Write;

use dhub_proto::wire::{Order, StatusReport, WorkerInfo};
use indicatif::BinaryBytes;

use super::table::{Cell, Column, Fit, Table, name_cell, right};
use super::words::{BAD, FAINT, GOOD, ODD, counted, number, paint, plain, some_names, span_ms};

/// Names of those that were lost, on the line.
const LOST_MAX: usize = 3;

/// None while there was no worker yet.
pub fn line(report: &StatusReport, timeout_ms: u64) -> Option<String> {
    let (lost, here): (Vec<_>, Vec<_>) = report.workers.iter().partition(|it| it.lost);
    if here.is_empty() && lost.is_empty() {
        return None;
    }
    let count = |what| here.iter().filter(|it| standing(it, timeout_ms) == what).count() as u64;
    let mut text = format!("  workers   {} alive", number(count("alive")));
    for what in ["silent", "away", "draining", "stopping"] {
        if let many @ 1.. = count(what) {
            let _ = write!(text, ", {}", paint(ODD, format!("{} {what}", number(many))));
        }
    }
    let samples = || here.iter().filter_map(|it| it.sample.as_ref());
    let slots: u64 = samples().map(|it| u64::from(it.slots)).sum();
    if slots > 0 {
        let busy: u64 = here.iter().map(|it| busy(it)).sum();
        let _ = write!(text, " · {}, {} busy", counted(slots, "slot"), number(busy));
    }
    // The newest loss is the one to look at.
    if let Some(newest) = lost.iter().min_by_key(|it| it.last_seen_ago_ms) {
        let mut names = vec![newest.name.clone()];
        names.extend(lost.iter().filter(|it| it.name != newest.name).map(|it| it.name.clone()));
        names.truncate(LOST_MAX);
        let (many, ago) = (number(lost.len() as u64), span_ms(newest.last_seen_ago_ms));
        let lost_ago = paint(BAD, format!("{many} lost {ago} ago"));
        let _ = write!(text, "      {lost_ago}: {}", some_names(&names, lost.len() as u64));
    }
    Some(text)
}

/// Slots of it that have a task. Its heartbeat said it some seconds ago; what it holds is known now.
pub fn busy(worker: &WorkerInfo) -> u64 {
    worker.sample.as_ref().map_or(0, |sample| worker.leases.min(sample.slots.into()))
}

/// The first of them, for `status`.
pub fn table(
    report: &StatusReport,
    timeout_ms: u64,
    rows: usize,
    columns: Option<usize>,
) -> String {
    const COLUMNS: [Column; 8] = [
        Column::new("WORKER", Fit::Middle),
        Column::new("STATE", Fit::Whole),
        Column::new("HOLDS", Fit::Whole).dispensable(3),
        Column::new("RUNS", Fit::Whole),
        Column::new("DONE", Fit::Whole).dispensable(1),
        Column::new("FAILED", Fit::Whole).dispensable(1),
        Column::new("CPU", Fit::Whole).dispensable(2),
        Column::new("ABOUT", Fit::End).dispensable(4),
    ];
    let mut table = Table::new(&COLUMNS);
    for worker in report.workers.iter().take(rows) {
        let standing = standing(worker, timeout_ms);
        let cpu = worker.sample.as_ref().map(|sample| format!("{:.0} %", sample.cpu_percent));
        table.row([
            name_cell(&worker.name),
            standing_cell(standing),
            right(number(worker.leases)),
            right(number(worker.started)),
            right(number(worker.done)),
            right(number(worker.failed)),
            right(cpu.unwrap_or_default()),
            Cell::new(about(worker, standing)),
        ]);
    }
    let mut text = table.page("  ", columns);
    let shown = report.workers.len().min(rows) as u64;
    let more = report.workers_total.max(report.workers.len() as u64) - shown;
    if more > 0 && shown > 0 {
        let more = format!("and {} more (dquery workers)", number(more));
        let _ = writeln!(text, "  {}", paint(FAINT, more));
    }
    text
}

/// Whether it may run something, as far as the hub knows.
pub fn works(worker: &WorkerInfo) -> bool {
    !worker.lost && !worker.away
}

/// How it is with a worker, in a word.
pub fn standing(worker: &WorkerInfo, timeout_ms: u64) -> &'static str {
    // Heartbeats come every third of the time-out.
    let overdue = !worker.id.is_empty() && worker.last_seen_ago_ms > timeout_ms / 3 * 2;
    match worker.order() {
        _ if worker.lost => "lost",
        Order::Drain => "draining",
        Order::Stop => "stopping",
        Order::Unspecified if overdue => "silent",
        Order::Unspecified if worker.away => "away",
        Order::Unspecified => "alive",
    }
}

const COLUMNS: [Column; 12] = [
    Column::new("WORKER", Fit::Middle),
    Column::new("HOST", Fit::Middle).dispensable(4),
    Column::new("STATE", Fit::Whole),
    Column::new("SLOTS", Fit::Whole).dispensable(2),
    Column::new("RUNS", Fit::Whole),
    Column::new("DONE", Fit::Whole),
    Column::new("FAILED", Fit::Whole),
    Column::new("CPU", Fit::Whole).dispensable(1),
    Column::new("MEMORY", Fit::Whole).dispensable(1),
    Column::new("DISK FREE", Fit::Whole).dispensable(5),
    Column::new("SEEN", Fit::Whole).dispensable(3),
    Column::new("ABOUT", Fit::End).dispensable(6),
];

/// All workers, page by page.
pub fn pages() -> Table {
    Table::new(&COLUMNS)
}

pub fn row(table: &mut Table, worker: &WorkerInfo, timeout_ms: u64) {
    let sample = worker.sample.as_ref();
    let say = |text: Option<String>| right(text.unwrap_or_default());
    let memory = sample.filter(|it| it.memory_total_bytes > 0).map(|it| {
        let percent = it.memory_used_bytes as f64 * 100.0 / it.memory_total_bytes as f64;
        format!("{percent:.0} %")
    });
    let disk = sample.filter(|it| it.disk_free_bytes > 0);
    table.row([
        name_cell(&worker.name),
        name_cell(&worker.host),
        standing_cell(standing(worker, timeout_ms)),
        say(sample.map(|it| number(it.slots.into()))),
        right(number(worker.started)),
        right(number(worker.done)),
        right(number(worker.failed)),
        say(sample.map(|it| format!("{:.0} %", it.cpu_percent))),
        say(memory),
        say(disk.map(|it| BinaryBytes(it.disk_free_bytes).to_string())),
        Cell::new(format!("{} ago", span_ms(worker.last_seen_ago_ms))),
        name_cell(&worker.note),
    ]);
}

fn standing_cell(standing: &str) -> Cell {
    let style = match standing {
        "alive" => GOOD,
        "lost" => BAD,
        _ => ODD,
    };
    Cell::new(standing).style(style)
}

fn about(worker: &WorkerInfo, standing: &str) -> String {
    let (note, ago) = (plain(&worker.note), span_ms(worker.last_seen_ago_ms));
    match standing {
        "lost" => format!("lost {ago} ago  {note}").trim_end().into(),
        "silent" => format!("silent for {ago}  {note}").trim_end().into(),
        _ => note.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhub_proto::wire::Sample;

    #[test]
    fn slots_are_busy_with_what_is_held_now() {
        let sample = Some(Sample { slots: 2, running: 1, ..Sample::default() });
        let worker = |leases| WorkerInfo { leases, sample, ..WorkerInfo::default() };
        assert_eq!([0, 1, 2, 40].map(|leases| busy(&worker(leases))), [0, 1, 2, 2]);
        assert_eq!(busy(&WorkerInfo { sample: None, ..worker(1) }), 0);
        let report = StatusReport { workers: vec![worker(0)], ..StatusReport::default() };
        let line = line(&report, 30_000).unwrap();
        assert!(line.ends_with("2 slots, 0 busy"), "{line}");
    }

    #[test]
    fn a_list_says_how_it_is_with_each() {
        let worker = |name: &str, ago| WorkerInfo {
            name: name.into(),
            id: vec![1; 16],
            last_seen_ago_ms: ago,
            ..WorkerInfo::default()
        };
        let sample = Sample {
            slots: 8,
            running: 2,
            cpu_percent: 25.0,
            memory_used_bytes: 1 << 30,
            memory_total_bytes: 4 << 30,
            load_1m: 1.0,
            disk_free_bytes: 10 << 30,
        };
        let busy = WorkerInfo {
            host: "node1".into(),
            started: 2,
            done: 1_200,
            sample: Some(sample),
            note: "no more\nfailures".into(),
            ..worker("node1:7", 1_000)
        };
        let drained = WorkerInfo { order: Order::Drain.into(), ..worker("node2:7", 25_000) };
        let lost = WorkerInfo { lost: true, ..worker("node4:7", 63_000) };
        let by_name = WorkerInfo { id: Vec::new(), ..worker("login", 3_600_000) };
        let all = [busy, drained, worker("node3:7", 21_000), lost, by_name];
        let mut table = pages();
        for worker in &all {
            row(&mut table, worker, 30_000);
        }
        let text = table.page("", None);
        let expected = "\
WORKER   HOST   STATE     SLOTS  RUNS   DONE  FAILED   CPU  MEMORY  DISK FREE  SEEN         ABOUT
node1:7  node1  alive         8     2  1,200       0  25 %    25 %  10.00 GiB  1 s ago      no more\\nfailures
node2:7         draining            0      0       0                           25 s ago
node3:7         silent              0      0       0                           21 s ago
node4:7         lost                0      0       0                           1 m 3 s ago
login           alive               0      0       0                           1 h ago
";
        assert_eq!(anstream::adapter::strip_str(&text).to_string(), expected);
    }
}
