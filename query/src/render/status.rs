//! One screen that answers: is it going well, when is it done, what is wrong, what to do?

use std::fmt::Write;

use anstyle::Style;
use dhub_proto::wire::{Counts, HubInfo, Phase, StatusReport};
use jiff::{SignedDuration, Zoned};

use super::words::{BAD, BUSY, GOOD, ODD, STRONG, number, paint, plain, rate, span, span_ms};
use super::{trouble, workers};

const BAR_CELLS: u64 = 30;
/// Beyond this a time of day says less than a number of days.
const CLOCK_HOURS_MAX: f64 = 20.0;

pub fn status(report: &StatusReport, now: &Zoned) -> String {
    let counts = report.counts.unwrap_or_default();
    let mut text = String::new();
    if let Some(hub) = &report.hub {
        hub_line(&mut text, hub);
    }
    if report.phase() == Phase::Empty {
        text.push_str("no task was added yet      add some with: dquery addfile FILE\n");
    } else {
        progress_line(&mut text, report, &counts, now);
        counts_line(&mut text, &counts);
    }
    workers::line(&mut text, report, &counts);
    trouble::failures(&mut text, &report.failures);
    trouble::slowest(&mut text, report.slowest.as_ref());
    trouble::missing(&mut text, &report.missing, counts.missing);
    workers::table(&mut text, report);
    text
}

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

fn hub_line(text: &mut String, hub: &HubInfo) {
    let file = match hub.file.rsplit('/').next() {
        None | Some("") => "in memory",
        Some(name) => name,
    };
    let mut parts = vec![paint(STRONG, plain(file))];
    parts.extend(hub.endpoints.iter().map(|endpoint| match endpoint.strip_prefix("tcp://") {
        Some(address) => address.to_owned(),
        None if endpoint.starts_with("ipc://") => format!("ipc on {}", hub.host),
        None => endpoint.clone(),
    }));
    parts.push(format!("up {}", span_ms(hub.uptime_ms)));
    if hub.commit_us > 0 {
        parts.push(format!("commit {}", span(std::time::Duration::from_micros(hub.commit_us))));
    }
    if hub.insecure {
        parts.push(paint(ODD, "insecure"));
    }
    let _ = writeln!(text, "{}", parts.join(" · "));
    let (strangers, denied) = (hub.handshakes_failed, hub.requests_denied);
    if strangers + denied > 0 {
        let (strangers, denied) = (number(strangers), number(denied));
        let _ = writeln!(
            text,
            "  {strangers} connections were not let in, {denied} requests denied to their key"
        );
    }
}

fn progress_line(text: &mut String, report: &StatusReport, counts: &Counts, now: &Zoned) {
    let (total, finished) = (total(counts), finished(counts));
    // Rounded down: 100 % means all.
    let permille = (finished * 1000).checked_div(total).unwrap_or(1000);
    let _ = write!(
        text,
        "[{}] {}.{} %   {} of {}",
        bar(counts, total),
        permille / 10,
        permille % 10,
        number(finished),
        number(total),
    );
    match report.phase() {
        Phase::Finished if not_done(counts) == 0 => {
            let _ = write!(text, "   {}", paint(GOOD, "all done"));
        }
        Phase::Finished => {
            let _ = write!(text, "   {}", paint(BAD, "finished, not all done"));
        }
        Phase::Stuck => {
            let _ = write!(text, "   {}", paint(ODD, "stuck"));
        }
        _ => {
            if let Some(rate) = rate(report.done_per_s) {
                let _ = write!(text, "   {rate}");
            }
            if let Some(eta) = eta(total - finished, report.done_per_s, now) {
                let _ = write!(text, "   {eta}");
            }
        }
    }
    text.push('\n');
}

/// Finished tasks in full, running ones shaded.
fn bar(counts: &Counts, total: u64) -> String {
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
        let upto = (tasks.saturating_mul(BAR_CELLS)).checked_div(total).unwrap_or(BAR_CELLS);
        if upto > cells {
            bar.push_str(&paint(style, mark.repeat((upto - cells) as usize)));
        }
        cells = upto;
    }
    bar
}

fn eta(left: u64, per_s: f64, now: &Zoned) -> Option<String> {
    if left == 0 || !per_s.is_finite() || per_s <= 0.0 {
        return None;
    }
    let s = left as f64 / per_s;
    if s < CLOCK_HOURS_MAX * 3600.0 {
        let end = now.checked_add(SignedDuration::from_secs(s as i64)).ok()?;
        return Some(format!("done at about {}", end.strftime("%H:%M")));
    }
    let time = std::time::Duration::try_from_secs_f64(s).ok()?;
    Some(format!("done in about {}", span(time)))
}

fn counts_line(text: &mut String, counts: &Counts) {
    let mut parts = vec![
        ("done", counts.done, GOOD),
        ("failed", counts.failed, BAD),
        ("skipped", counts.skipped, ODD),
        ("running", counts.running, BUSY),
        ("ready", counts.ready, Style::new()),
        ("waiting", counts.waiting, Style::new()),
    ];
    if counts.cancelled > 0 {
        parts.insert(3, ("cancelled", counts.cancelled, ODD));
    }
    let parts = parts.into_iter().map(|(name, count, style)| {
        let style = if count > 0 { style } else { Style::new() };
        format!("{name} {}", paint(style, number(count)))
    });
    let _ = writeln!(text, "  {}", parts.collect::<Vec<_>>().join("   "));
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhub_proto::wire::{FailureGroup, Sample, State, TaskInfo, WorkerInfo};

    fn text(report: &StatusReport) -> String {
        let now: Zoned = "2026-05-04T14:00:00+00:00[UTC]".parse().unwrap();
        anstream::adapter::strip_str(&status(report, &now)).to_string()
    }

    fn worker(name: &str, lost: bool) -> WorkerInfo {
        WorkerInfo { name: name.into(), lost, last_seen_ago_ms: 180_000, ..WorkerInfo::default() }
    }

    #[test]
    fn one_screen_for_a_run() {
        let group = |count, reason: &str, names: &[&str]| FailureGroup {
            reason: reason.into(),
            count,
            names: names.iter().map(|&name| name.into()).collect(),
        };
        let sample = Sample { slots: 40, running: 40, cpu_percent: 97.6, ..Sample::default() };
        let report = StatusReport {
            counts: Some(Counts {
                waiting: 2064,
                ready: 512,
                running: 40,
                done: 9376,
                failed: 8,
                missing: 4,
                ..Counts::default()
            }),
            phase: Phase::Active as i32,
            done_per_s: 41.3,
            done_per_s_overall: 40.0,
            workers: vec![
                WorkerInfo {
                    leases: 44,
                    started: 40,
                    done: 9376,
                    failed: 9,
                    sample: Some(sample),
                    note: "3 tasks failed at once".into(),
                    ..worker("node12:7", false)
                },
                worker("node17:2211", true),
            ],
            workers_total: 2,
            missing: vec!["prep-7".into(), "prep-8".into(), "prep-9".into()],
            hub: Some(HubInfo {
                file: "/home/x/run.db".into(),
                endpoints: vec!["tcp://127.0.0.1:6125".into(), "ipc:///run/x.sock".into()],
                uptime_ms: 8_040_000,
                commit_us: 900,
                insecure: true,
                host: "login3".into(),
                ..HubInfo::default()
            }),
            failures: vec![
                group(6, "exit 137", &["sim-0031", "sim-0312"]),
                group(2, "timed out after 10m", &["sim-1200", "sim 1877"]),
            ],
            slowest: Some(TaskInfo {
                name: "sim-0099".into(),
                state: State::Running as i32,
                worker: "node12".into(),
                run_ms: 2_460_000,
                ..TaskInfo::default()
            }),
        };
        let expected = "\
run.db · 127.0.0.1:6125 · ipc on login3 · up 2 h 14 m · commit 0.9 ms · insecure
[███████████████████████       ] 78.2 %   9,384 of 12,000   41.3/s   done at about 14:01
  done 9,376   failed 8   skipped 0   running 40   ready 512   waiting 2,064
  workers   1 alive · 40 slots, 40 busy      1 lost 3 m ago: node17:2211
  failures  6 × exit 137 (killed; out of memory?)   sim-0031 sim-0312 …
            2 × timed out after 10m                 sim-1200 sim 1877
            -> dquery list --failed   dquery show sim-0031   dquery retry --failed
  slowest   sim-0099 on node12 for 41 m
  missing   4 names that nobody added are waited for: prep-7 prep-8 prep-9 …
  WORKER       HOLDS  RUNS  DONE   FAILED  CPU   ABOUT
  node12:7        44    40  9,376       9  98 %  3 tasks failed at once
  node17:2211      0     0      0       0        lost 3 m ago
";
        assert_eq!(text(&report), expected);
    }

    #[test]
    fn an_empty_hub_says_what_to_do() {
        let report = StatusReport {
            phase: Phase::Empty as i32,
            hub: Some(HubInfo { uptime_ms: 5000, ..HubInfo::default() }),
            ..StatusReport::default()
        };
        assert_eq!(
            text(&report),
            "in memory · up 5 s\nno task was added yet      add some with: dquery addfile FILE\n"
        );
    }

    #[test]
    fn the_end_is_named() {
        let mut report = StatusReport {
            counts: Some(Counts { done: 3, ..Counts::default() }),
            phase: Phase::Finished as i32,
            ..StatusReport::default()
        };
        assert!(
            text(&report)
                .starts_with(&format!("[{}] 100.0 %   3 of 3   all done\n", "█".repeat(30)))
        );
        report.counts = Some(Counts { done: 2, skipped: 1, ..Counts::default() });
        assert!(text(&report).contains("3 of 3   finished, not all done\n"));
    }
}
