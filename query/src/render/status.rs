//! One screen that answers: is it going well, when is it done, what is wrong, what to do?

use std::fmt::Write;
use std::time::Duration;

use anstyle::Style;
use dhub_proto::wire::{Counts, HubInfo, Phase, StatusReport};
use indicatif::BinaryBytes;
use jiff::{SignedDuration, Zoned};

use super::room::Room;
use super::words::{
    BAD, BUSY, FAINT, GOOD, ODD, STRONG, counted, number, paint, plain, rate, span, span_ms, tasks,
};
use super::{blocked, cut, progress, trouble, workers};

/// Rows of the table of workers where the screen sets no limit; JSON has all workers.
const WORKERS_MAX: usize = 10;

/// `timeout_ms` is how long a worker may be silent.
pub fn status(report: &StatusReport, now: &Zoned, timeout_ms: u64, room: Room) -> String {
    let counts = report.counts.unwrap_or_default();
    let mut lines = Vec::new();
    if let Some(hub) = &report.hub {
        lines.push(hub_line(hub, now));
    }
    if report.phase() == Phase::Empty {
        lines.push("no task was added yet      add some with: dquery addfile FILE".to_owned());
    } else {
        lines.push(progress::line(report, &counts, now, room.columns));
        lines.push(counts_line(&counts));
    }
    lines.extend(workers::line(report, timeout_ms));
    let mut text = String::new();
    trouble::failures(&mut text, &report.failures, counts.failed);
    trouble::slowest(&mut text, report.slowest.as_ref());
    lines.extend(text.lines().map(str::to_owned));
    lines.extend(blocked::lines(report, &counts));
    lines.extend(report.hub.as_ref().map(hub_details));
    lines.extend(report.hub.as_ref().and_then(strangers));
    lines.extend(report.hub.as_ref().and_then(few_descriptors));
    // What is left of the screen, less the header and the line that says that there are more.
    let rows = room.lines.map_or(WORKERS_MAX, |all| all.saturating_sub(lines.len() + 2));
    let table = workers::table(report, timeout_ms, rows, room.columns);
    lines.extend(table.lines().map(str::to_owned));
    fit(lines, room)
}

/// No line is wrapped, and none is pushed off the screen.
fn fit(mut lines: Vec<String>, room: Room) -> String {
    if let Some(all) = room.lines.filter(|&all| lines.len() > all) {
        let hidden = lines.len() - all.saturating_sub(1);
        lines.truncate(all.saturating_sub(1));
        lines.push(paint(FAINT, format!("  … {hidden} more lines, for a higher window")));
    }
    let mut text = String::new();
    for line in &lines {
        match room.columns {
            Some(columns) => text.push_str(&cut::line(line, columns)),
            None => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

fn hub_line(hub: &HubInfo, now: &Zoned) -> String {
    let file = match hub.file.rsplit('/').next() {
        None | Some("") => "in memory",
        Some(name) => name,
    };
    let mut parts = vec![paint(STRONG, plain(file))];
    parts.extend(hub.endpoints.iter().map(|endpoint| match endpoint.strip_prefix("tcp://") {
        Some(address) => plain(address).into_owned(),
        None if endpoint.starts_with("ipc://") => format!("ipc on {}", plain(&hub.host)),
        None => plain(endpoint).into_owned(),
    }));
    if hub.insecure {
        parts.push(paint(ODD, "insecure"));
    }
    parts.push(format!("up {}{}", span_ms(hub.uptime_ms), since(hub.uptime_ms, now)));
    if hub.commit_us > 0 {
        parts.push(format!("commit {}", span(Duration::from_micros(hub.commit_us))));
    }
    parts.join(" · ")
}

/// When that began: a time of day, and of longer times the day.
fn since(ms: u64, now: &Zoned) -> String {
    let ago = SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX));
    let Ok(begin) = now.checked_sub(ago) else { return String::new() };
    let form = if begin.date() == now.date() { "%H:%M" } else { "%-d %b %H:%M" };
    format!(" since {}", begin.strftime(form))
}

fn hub_details(hub: &HubInfo) -> String {
    let mut parts = vec![format!("dhub {}", plain(&hub.version))];
    parts.push(format!("process {} on {}", hub.process, plain(&hub.host)));
    if !hub.file.is_empty() {
        parts.push(format!("{} in {}", BinaryBytes(hub.file_bytes), plain(&hub.file)));
    }
    paint(FAINT, format!("  hub       {}", parts.join(" · ")))
}

fn strangers(hub: &HubInfo) -> Option<String> {
    let (strangers, denied) = (hub.handshakes_failed, hub.requests_denied);
    (strangers + denied > 0).then(|| {
        let (strangers, denied) = (counted(strangers, "connection"), counted(denied, "request"));
        format!("  {strangers} not let in, {denied} denied to their key")
    })
}

fn few_descriptors(hub: &HubInfo) -> Option<String> {
    let (refused, kept) = (hub.connections_refused, hub.workers_kept);
    let refused =
        (refused > 0).then(|| format!("{} found no room", counted(refused, "connection")));
    let kept =
        (kept > 0).then(|| format!("{} kept from ready tasks", counted(kept, "idle worker")));
    let what: Vec<String> = [refused, kept].into_iter().flatten().collect();
    (!what.is_empty()).then(|| {
        let (what, workers) = (what.join(", "), number(hub.workers_max));
        format!("  {what}; up to {workers} workers have tasks at a time, half as many of one key (ulimit -Hn)")
    })
}

fn counts_line(counts: &Counts) -> String {
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
    format!("  {}", parts.collect::<Vec<_>>().join("   "))
}

/// What changed, on one line, for those who watch without a terminal.
pub fn brief(report: &StatusReport, now: &Zoned) -> String {
    let counts = report.counts.unwrap_or_default();
    let mut text = now.strftime("%H:%M:%S").to_string();
    if report.phase() == Phase::Empty {
        return text + "  no task was added yet";
    }
    let (finished, total) = (progress::finished(&counts), progress::total(&counts));
    let _ =
        write!(text, "  {}  {}/{}", progress::percent(&counts), number(finished), number(total));
    for (count, name) in [
        (counts.failed, "failed"),
        (counts.skipped, "skipped"),
        (counts.cancelled, "cancelled"),
        (counts.running, "running"),
        (counts.ready, "ready"),
        (counts.waiting, "waiting"),
    ] {
        if count > 0 {
            let _ = write!(text, "  {} {name}", number(count));
        }
    }
    match report.phase() {
        Phase::Finished if progress::not_done(&counts) == 0 => text += "  all done",
        Phase::Finished => text += "  finished, not all done",
        Phase::Stuck => text += "  stuck",
        _ => {
            let (per_s, overall) = (report.done_per_s, report.done_per_s_overall);
            let left = progress::left(&counts, per_s, overall)
                .filter(|_| progress::goes_on(report, &counts));
            let end = left.and_then(|left| progress::end(left, now));
            for part in rate(per_s).into_iter().chain(end) {
                let _ = write!(text, "  {part}");
            }
        }
    }
    if report.lost > 0 {
        let _ = write!(text, "  {} lost to damage", tasks(report.lost));
    }
    let lost = report.workers.iter().filter(|it| it.lost).count();
    if lost > 0 {
        let _ = write!(text, "  {} lost", counted(lost as u64, "worker"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhub_proto::wire::{FailureGroup, Sample, State, TaskInfo, WorkerInfo};

    fn text(report: &StatusReport) -> String {
        in_room(report, Room::default())
    }

    fn in_room(report: &StatusReport, room: Room) -> String {
        let now: Zoned = "2026-05-04T14:00:00+00:00[UTC]".parse().unwrap();
        anstream::adapter::strip_str(&status(report, &now, 30_000, room)).to_string()
    }

    #[test]
    fn what_lacks_for_want_of_descriptors_is_said() {
        let about = |connections_refused, workers_kept| {
            let hub =
                HubInfo { connections_refused, workers_kept, workers_max: 7, ..HubInfo::default() };
            text(&StatusReport { hub: Some(hub), ..run() })
        };
        let end = "; up to 7 workers have tasks at a time, half as many of one key (ulimit -Hn)";
        assert!(!about(0, 0).contains("ulimit"));
        assert!(about(0, 1).contains(&format!("  1 idle worker kept from ready tasks{end}")));
        let both =
            format!("  2 connections found no room, 3 idle workers kept from ready tasks{end}");
        assert!(about(2, 3).contains(&both));
    }

    fn worker(name: &str, lost: bool) -> WorkerInfo {
        WorkerInfo { name: name.into(), lost, last_seen_ago_ms: 180_000, ..WorkerInfo::default() }
    }

    fn run() -> StatusReport {
        let group = |count, reason: &str, names: &[&str]| FailureGroup {
            reason: reason.into(),
            count,
            names: names.iter().map(|&name| name.into()).collect(),
        };
        let sample = Sample { slots: 40, running: 40, cpu_percent: 97.6, ..Sample::default() };
        StatusReport {
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
                WorkerInfo {
                    id: vec![1; 16],
                    last_seen_ago_ms: 25_000,
                    ..worker("node13:9", false)
                },
                worker("node17:2211", true),
            ],
            workers_total: 3,
            missing: vec!["prep-7".into(), "prep-8".into(), "prep-9".into()],
            hub: Some(HubInfo {
                file: "/home/x/run.db".into(),
                endpoints: vec!["tcp://127.0.0.1:6125".into(), "ipc:///run/x.sock".into()],
                uptime_ms: 8_040_000,
                commit_us: 900,
                insecure: true,
                host: "login3".into(),
                version: "0.1.0".into(),
                process: 4711,
                file_bytes: 3 << 20,
                ..HubInfo::default()
            }),
            failures: vec![
                group(6, "exit 137", &["sim-0031", "sim-0312"]),
                group(2, "timed out after 10 m", &["sim-1200", "sim 1877"]),
            ],
            retrying: 0,
            lost: 0,
            lost_names: Vec::new(),
            damaged_pages: 0,
            room_for: String::new(),
            room_by: String::new(),
            slowest: Some(TaskInfo {
                name: "sim-0099".into(),
                state: State::Running as i32,
                worker: "node12".into(),
                run_ms: 2_460_000,
                ..TaskInfo::default()
            }),
        }
    }

    #[test]
    fn one_screen_for_a_run() {
        let report = run();
        let expected = "\
run.db · 127.0.0.1:6125 · ipc on login3 · insecure · up 2 h 14 m since 11:46 · commit 0.9 ms
[███████████████████████       ] 78.2 %   9,384 of 12,000   41.3/s (40.0/s overall)   done at about 14:01
  done 9,376   failed 8   skipped 0   running 40   ready 512   waiting 2,064
  workers   1 alive, 1 silent · 40 slots, 40 busy      1 lost 3 m ago: node17:2211
  failures  6 × exit 137 (killed; out of memory?)   sim-0031 sim-0312 …
            2 × timed out after 10 m                sim-1200 sim 1877
            -> dquery list --failed   dquery retry --failed   dquery show sim-0031
  slowest   sim-0099 on node12 for 41 m
  missing   4 names that nobody added are waited for: prep-7 prep-8 prep-9 …
            -> add it: dquery create prep-7   who waits: dquery show prep-7
  hub       dhub 0.1.0 · process 4711 on login3 · 3.00 MiB in /home/x/run.db
  WORKER       STATE   HOLDS  RUNS   DONE  FAILED   CPU  ABOUT
  node12:7     alive      44    40  9,376       9  98 %  3 tasks failed at once
  node13:9     silent      0     0      0       0        silent for 25 s
  node17:2211  lost        0     0      0       0        lost 3 m ago
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
        let expected = "\
in memory · up 5 s since 13:59
no task was added yet      add some with: dquery addfile FILE
  hub       dhub  · process 0 on
";
        assert_eq!(text(&report).replace("on \n", "on\n"), expected);
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

    #[test]
    fn a_screen_is_never_left() {
        for (columns, lines) in [(80, 24), (80, 14), (60, 16), (40, 10), (20, 3), (1, 1)] {
            let room = Room { columns: Some(columns), lines: Some(lines) };
            let text = in_room(&run(), room);
            assert!(text.lines().count() <= lines, "{columns}x{lines}:\n{text}");
            for line in text.lines() {
                assert!(cut::width(line) <= columns, "{columns}x{lines}: {line}");
            }
        }
        let narrow = in_room(&run(), Room { columns: Some(80), lines: Some(10) });
        assert!(narrow.contains("… 2 more lines, for a higher window"), "{narrow}");
        let many = StatusReport {
            workers: (0..50).map(|n| worker(&format!("w{n}"), false)).collect(),
            workers_total: 5_000,
            ..run()
        };
        let text = in_room(&many, Room { columns: Some(80), lines: Some(24) });
        assert_eq!(text.lines().count(), 24, "{text}");
        assert!(text.ends_with("and 4,989 more (dquery workers)\n"), "{text}");
    }

    #[test]
    fn a_change_is_one_line() {
        let now: Zoned = "2026-05-04T14:00:00+00:00[UTC]".parse().unwrap();
        let expected = "14:00:00  78.2 %  9,384/12,000  8 failed  40 running  512 ready  \
                        2,064 waiting  41.3/s  done at about 14:01  1 worker lost";
        assert_eq!(brief(&run(), &now), expected);
        let empty = StatusReport { phase: Phase::Empty.into(), ..StatusReport::default() };
        assert_eq!(brief(&empty, &now), "14:00:00  no task was added yet");
    }
}
