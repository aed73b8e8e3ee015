//! How far a run is: its bar, how fast it goes and when it will be done.

use std::time::Duration;

use anstyle::Style;
use dhub_proto::wire::{Counts, Order, Phase, StatusReport, WorkerInfo};
use jiff::{SignedDuration, Zoned};

use super::words::{BAD, BUSY, GOOD, ODD, number, paint, rate, span};
use super::workers::works;

const BAR_CELLS_MAX: usize = 30;
/// With fewer, the bar gives way to what is said beside it.
const BAR_CELLS_MIN: usize = 16;
/// Of the bar while somebody waits.
const BRIEF_CELLS_MIN: usize = 5;
/// Nobody waits that long.
const LEFT_MAX: Duration = Duration::from_secs(1_000 * 86_400);
/// Beyond this a time of day says less than a number of days.
const CLOCK_HOURS_MAX: f64 = 20.0;
/// With fewer tasks a second, the last ten seconds are too short to tell how fast it goes.
const STEADY_PER_S: f64 = 1.0;

/// All that was added.
pub fn total(counts: &Counts) -> u64 {
    finished(counts) + counts.waiting + counts.ready + counts.running
}

pub fn finished(counts: &Counts) -> u64 {
    counts.done + not_done(counts)
}

/// Finished otherwise than done.
pub fn not_done(counts: &Counts) -> u64 {
    counts.failed + counts.skipped + counts.cancelled
}

/// 78.2 %, rounded down: 100 % means all.
pub fn percent(counts: &Counts) -> String {
    let permille = (finished(counts) * 1000).checked_div(total(counts)).unwrap_or(1000);
    format!("{}.{} %", permille / 10, permille % 10)
}

/// How long what is left will take; None: nobody can tell.
pub fn left(counts: &Counts, per_s: f64, per_s_overall: f64) -> Option<Duration> {
    let left = total(counts) - finished(counts);
    let per_s = if per_s >= STEADY_PER_S || per_s_overall <= 0.0 { per_s } else { per_s_overall };
    // Those that fail or are skipped are over too.
    let per_s = per_s * finished(counts) as f64 / counts.done.max(1) as f64;
    if left == 0 || !per_s.is_finite() || per_s <= 0.0 {
        return None;
    }
    Duration::try_from_secs_f64(left as f64 / per_s).ok()
}

/// One line in a room of so many columns.
pub fn line(report: &StatusReport, counts: &Counts, now: &Zoned, columns: Option<usize>) -> String {
    let columns = columns.unwrap_or(usize::MAX);
    let brackets = "[] ".len();
    let full = beside(report, counts, now, true);
    // Colours take no room.
    let taken = |text: &str| brackets + console::measure_text_width(text);
    let beside = match taken(&full) + BAR_CELLS_MIN <= columns {
        true => full,
        false => beside(report, counts, now, false),
    };
    let taken = taken(&beside);
    let cells = columns.saturating_sub(taken).min(BAR_CELLS_MAX);
    let cells = if cells < BAR_CELLS_MIN { BAR_CELLS_MIN.min(columns / 3) } else { cells };
    format!("[{}] {beside}", bar(counts, cells))
}

fn beside(report: &StatusReport, counts: &Counts, now: &Zoned, overall: bool) -> String {
    let (finished, total) = (number(finished(counts)), number(total(counts)));
    let mut parts = vec![percent(counts), format!("{finished} of {total}")];
    match report.phase() {
        Phase::Finished if not_done(counts) == 0 => parts.push(paint(GOOD, "all done")),
        Phase::Finished => parts.push(paint(BAD, "finished, not all done")),
        Phase::Stuck => parts.push(paint(ODD, "stuck")),
        _ => {
            let overall_rate = rate(report.done_per_s_overall).filter(|_| overall);
            match (rate(report.done_per_s), overall_rate) {
                (Some(now), Some(ever)) => parts.push(format!("{now} ({ever} overall)")),
                (Some(now), None) => parts.push(now),
                (None, Some(ever)) => parts.push(format!("{ever} overall")),
                (None, None) => {}
            }
            parts.extend(
                goes_on(report, counts)
                    .then(|| {
                        let left = left(counts, report.done_per_s, report.done_per_s_overall);
                        left.and_then(|left| end(left, now))
                    })
                    .flatten(),
            );
        }
    }
    parts.join("   ")
}

/// [█████▌   ] 78.2 %  9,384/12,000  41.3/s  8 failed  1 m 3 s left
pub fn brief(counts: &Counts, per_s: f64, overall: f64, columns: Option<usize>) -> String {
    let mut parts =
        vec![percent(counts), format!("{}/{}", number(finished(counts)), number(total(counts)))];
    let steady = if per_s > 0.0 { per_s } else { overall };
    parts.extend(rate(steady));
    for (count, name) in
        [(counts.failed, "failed"), (counts.skipped, "skipped"), (counts.cancelled, "cancelled")]
    {
        if count > 0 {
            parts.push(format!("{} {name}", paint(BAD, number(count))));
        }
    }
    let left = left(counts, per_s, overall).filter(|left| *left < LEFT_MAX);
    parts.extend(left.map(|left| format!("{} left", span(left))));
    let text = parts.join("  ");
    let Some(columns) = columns else { return text };
    let cells = columns.saturating_sub(console::measure_text_width(&text) + "[] ".len());
    match cells {
        // What is said is worth more.
        0..BRIEF_CELLS_MIN => text,
        cells => format!("[{}] {text}", bar(counts, cells.min(BAR_CELLS_MAX))),
    }
}

/// Is somebody there who could bring it to its end?
pub fn goes_on(report: &StatusReport, counts: &Counts) -> bool {
    let works = |it: &WorkerInfo| works(it) && it.order() == Order::Unspecified;
    let may_run = counts.ready + report.retrying > 0;
    counts.running > 0 || (may_run && report.workers.iter().any(works))
}

/// done at about 15:07
pub fn end(left: Duration, now: &Zoned) -> Option<String> {
    if left.as_secs_f64() >= CLOCK_HOURS_MAX * 3600.0 {
        return Some(format!("done in about {}", span(left)));
    }
    let end = now.checked_add(SignedDuration::try_from(left).ok()?).ok()?;
    Some(format!("done at about {}", end.strftime("%H:%M")))
}

/// Finished tasks in full, running ones shaded.
pub fn bar(counts: &Counts, cells: usize) -> String {
    let (all, total) = (cells as u64, total(counts));
    let parts = [
        (counts.done, "█", GOOD),
        (counts.failed, "█", BAD),
        (counts.skipped + counts.cancelled, "█", ODD),
        (counts.running, "▒", BUSY),
        (counts.ready + counts.waiting, " ", Style::new()),
    ];
    let (mut bar, mut tasks, mut cells) = (String::new(), 0u64, 0);
    for (count, mark, style) in parts {
        tasks += count;
        let upto = tasks.saturating_mul(all).checked_div(total).unwrap_or(all);
        if upto > cells {
            bar.push_str(&paint(style, mark.repeat((upto - cells) as usize)));
        }
        cells = cells.max(upto);
    }
    if total == 0 { " ".repeat(all as usize) } else { bar }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_slow_tasks_is_told_by_the_whole_run() {
        let counts = Counts { done: 10, ready: 100, ..Counts::default() };
        assert_eq!(left(&counts, 10.0, 1.0), Some(Duration::from_secs(10)));
        // One that ended by chance within the last ten seconds.
        assert_eq!(left(&counts, 0.1, 0.5), Some(Duration::from_secs(200)));
        assert_eq!(left(&counts, 0.1, 0.0), Some(Duration::from_secs(1000)));
        assert_eq!(left(&counts, 0.0, 0.0), None);
        assert_eq!(left(&counts, f64::NAN, f64::NAN), None);
        assert_eq!(left(&Counts { done: 1, ..Counts::default() }, 1.0, 1.0), None);
    }

    #[test]
    fn a_bar_has_a_cell_for_each_part() {
        let counts = Counts { done: 5, failed: 1, running: 2, waiting: 2, ..Counts::default() };
        let plain = |cells| anstream::adapter::strip_str(&bar(&counts, cells)).to_string();
        assert_eq!(plain(10), "██████▒▒  ");
        assert_eq!(plain(0), "");
        assert_eq!(bar(&Counts::default(), 3), "   ");
    }

    #[test]
    fn a_line_fits_the_room() {
        let now: Zoned = "2026-05-04T14:00:00+00:00[UTC]".parse().unwrap();
        let counts = Counts { done: 9_376, ready: 2_624, ..Counts::default() };
        let report = StatusReport {
            phase: Phase::Active.into(),
            done_per_s: 41.3,
            done_per_s_overall: 40.0,
            workers: vec![WorkerInfo::default()],
            ..StatusReport::default()
        };
        let line = |columns| {
            let line = line(&report, &counts, &now, columns);
            anstream::adapter::strip_str(&line).to_string()
        };
        let end = "] 78.1 %   9,376 of 12,000   41.3/s (40.0/s overall)   done at about 14:01";
        assert!(line(None).ends_with(end) && line(Some(120)).ends_with(end));
        let short = "] 78.1 %   9,376 of 12,000   41.3/s   done at about 14:01";
        assert!(line(Some(80)).ends_with(short), "{}", line(Some(80)));
        let nobody = StatusReport { workers: Vec::new(), ..report.clone() };
        assert!(!super::line(&nobody, &counts, &now, None).contains("done at"));
        // Held, or waiting for what nobody added.
        let waiting = Counts { done: 9_376, waiting: 2_624, ..Counts::default() };
        assert!(!super::line(&report, &waiting, &now, None).contains("done at"));
        for columns in 76..130 {
            assert!(crate::render::cut::width(&line(Some(columns))) <= columns, "{columns}");
        }
    }

    #[test]
    fn what_fails_is_over_too() {
        let counts = Counts { done: 10, failed: 40, ready: 50, ..Counts::default() };
        assert_eq!(left(&counts, 1.0, 1.0), Some(Duration::from_secs(10)));
        assert_eq!(left(&Counts { ready: 50, ..Counts::default() }, 1.0, 1.0), None);
    }

    #[test]
    fn who_waits_is_told_how_long_at_any_width() {
        let counts = Counts { done: 9_376, failed: 8, waiting: 2_616, ..Counts::default() };
        let text = |columns| {
            let text = brief(&counts, 41.3, 40.0, columns);
            anstream::adapter::strip_str(&text).to_string()
        };
        let plain = "78.2 %  9,384/12,000  41.3/s  8 failed  1 m 3 s left";
        assert_eq!(text(None), plain);
        assert_eq!(text(Some(20)), plain, "cut by who prints it");
        assert_eq!(text(Some(plain.len() + 8)), format!("[███  ] {plain}"));
        assert_eq!(crate::render::cut::width(&text(Some(200))), plain.len() + 33);
        assert!(!brief(&counts, 1e-9, 0.0, None).contains("left"));
    }
}
