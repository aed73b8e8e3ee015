//! Who works: a line that says whether all are there, and a table.

use std::fmt::Write;

use comfy_table::Cell;
use dhub_proto::wire::{Counts, StatusReport, WorkerInfo};

use super::table::{name_cell, right, row, styled};
use super::words::{BAD, FAINT, counted, number, paint, plain, some_names, span_ms};

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

fn about(worker: &WorkerInfo) -> String {
    let note = plain(&worker.note);
    match worker.lost {
        true => format!("lost {} ago {note}", span_ms(worker.last_seen_ago_ms)).trim_end().into(),
        false => note.into_owned(),
    }
}
