//! Who works: a line that says whether all are there, and a table.

use std::fmt::Write;

use comfy_table::Cell;
use dhub_proto::wire::{Counts, Order, StatusReport, WorkerInfo};
use indicatif::BinaryBytes;

use super::table::{name_cell, right, row, styled};
use super::words::{BAD, FAINT, ODD, counted, number, paint, plain, some_names, span_ms};

/// Rows of the table; JSON has all workers.
const WORKERS_MAX: usize = 10;

pub fn line(text: &mut String, report: &StatusReport, counts: &Counts) {
    let (lost, alive): (Vec<_>, Vec<_>) = report.workers.iter().partition(|it| it.lost);
    if alive.is_empty() && lost.is_empty() {
        if counts.ready > 0 {
            text.push_str("  workers   none yet      start one with: kworker -j SLOTS\n");
        }
        return;
    }
    let _ = write!(text, "  workers   {} alive", number(alive.len() as u64));
    let samples = || alive.iter().filter_map(|it| it.sample.as_ref());
    let slots: u64 = samples().map(|it| u64::from(it.slots)).sum();
    if slots > 0 {
        let busy: u64 = samples().map(|it| u64::from(it.running)).sum();
        let _ = write!(text, " · {}, {} busy", counted(slots, "slot"), number(busy));
    }
    // The newest loss is the one to look at.
    if let Some(newest) = lost.iter().min_by_key(|it| it.last_seen_ago_ms) {
        let mut names = vec![newest.name.clone()];
        names.extend(lost.iter().filter(|it| it.name != newest.name).map(|it| it.name.clone()));
        names.truncate(3);
        let _ = write!(
            text,
            "      {}: {}",
            paint(
                BAD,
                format!(
                    "{} lost {} ago",
                    number(lost.len() as u64),
                    span_ms(newest.last_seen_ago_ms)
                )
            ),
            some_names(&names, lost.len() as u64),
        );
    }
    text.push('\n');
}

pub fn table(text: &mut String, report: &StatusReport) {
    if report.workers.is_empty() {
        return;
    }
    let mut table =
        super::table::table(&["WORKER", "HOLDS", "RUNS", "DONE", "FAILED", "CPU", "ABOUT"]);
    for worker in report.workers.iter().take(WORKERS_MAX) {
        let cpu = worker.sample.as_ref().map(|sample| format!("{:.0} %", sample.cpu_percent));
        let about = about(worker);
        table.add_row(row([
            name_cell(&worker.name),
            right(number(worker.leases)),
            right(number(worker.started)),
            right(number(worker.done)),
            right(number(worker.failed)),
            right(cpu.unwrap_or_default()),
            if worker.lost { styled(about, BAD) } else { Cell::new(about) },
        ]));
    }
    text.push_str(&super::table::text(&mut table, "  ", &[0, 6]));
    let more = report.workers_total.max(report.workers.len() as u64)
        - report.workers.len().min(WORKERS_MAX) as u64;
    if more > 0 {
        let _ = writeln!(text, "  {}", paint(FAINT, format!("and {} more", number(more))));
    }
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
        Order::Unspecified => "alive",
    }
}

/// A page of workers.
pub fn list(workers: &[WorkerInfo], timeout_ms: u64, header: bool) -> String {
    let titles: &[&str] = &[
        "WORKER",
        "HOST",
        "STATE",
        "SLOTS",
        "RUNS",
        "DONE",
        "FAILED",
        "CPU",
        "MEMORY",
        "DISK FREE",
        "SEEN",
        "ABOUT",
    ];
    let mut table = super::table::table(if header { titles } else { &[] });
    for worker in workers {
        let sample = worker.sample.as_ref();
        let say = |text: Option<String>| right(text.unwrap_or_default());
        let memory = sample.filter(|it| it.memory_total_bytes > 0).map(|it| {
            let percent = it.memory_used_bytes as f64 * 100.0 / it.memory_total_bytes as f64;
            format!("{percent:.0} %")
        });
        let disk = sample.filter(|it| it.disk_free_bytes > 0);
        let standing = standing(worker, timeout_ms);
        table.add_row(row([
            name_cell(&worker.name),
            name_cell(&worker.host),
            match standing {
                "alive" => Cell::new(standing),
                "lost" => styled(standing, BAD),
                _ => styled(standing, ODD),
            },
            say(sample.map(|it| number(it.slots.into()))),
            right(number(worker.started)),
            right(number(worker.done)),
            right(number(worker.failed)),
            say(sample.map(|it| format!("{:.0} %", it.cpu_percent))),
            say(memory),
            say(disk.map(|it| BinaryBytes(it.disk_free_bytes).to_string())),
            Cell::new(format!("{} ago", span_ms(worker.last_seen_ago_ms))),
            name_cell(&worker.note),
        ]));
    }
    super::table::text(&mut table, "", &[0, 1, 11])
}

fn about(worker: &WorkerInfo) -> String {
    let note = plain(&worker.note);
    match worker.lost {
        true => format!("lost {} ago {note}", span_ms(worker.last_seen_ago_ms)).trim_end().into(),
        false => note.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhub_proto::wire::Sample;

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
        let text = list(&all, 30_000, true);
        let expected = "\
WORKER   HOST   STATE     SLOTS  RUNS  DONE   FAILED  CPU   MEMORY  DISK FREE  SEEN         ABOUT
node1:7  node1  alive         8     2  1,200       0  25 %    25 %  10.00 GiB  1 s ago      no more\\nfailures
node2:7         draining            0      0       0                           25 s ago
node3:7         silent              0      0       0                           21 s ago
node4:7         lost                0      0       0                           1 m 3 s ago
login           alive               0      0       0                           1 h ago
";
        assert_eq!(anstream::adapter::strip_str(&text).to_string(), expected);
    }
}
