//! Numbers, times, names and states as people read them.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
pub use dhub_proto::plain::plain;
pub use dhub_proto::span::{span, span_ms};
use dhub_proto::wire::{Counts, Phase, State, TaskInfo};
use indicatif::HumanCount;
use jiff::Timestamp;
use jiff::tz::TimeZone;

pub const STRONG: Style = Style::new().bold();
pub const FAINT: Style = Style::new().dimmed();
pub const GOOD: Style = AnsiColor::Green.on_default();
pub const BAD: Style = AnsiColor::Red.on_default();
pub const BUSY: Style = AnsiColor::Cyan.on_default();
pub const ODD: Style = AnsiColor::Yellow.on_default();

pub fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// 12,000
pub fn number(count: u64) -> String {
    HumanCount(count).to_string()
}

/// 1 task, 2 tasks
pub fn tasks(count: u64) -> String {
    counted(count, "task")
}

pub fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", number(count), if count == 1 { "" } else { "s" })
}

/// 41.3/s; nothing while nothing gets done.
pub fn rate(per_s: f64) -> Option<String> {
    match per_s {
        r if !r.is_finite() || r <= 0.0 => None,
        r if r < 0.1 => Some(format!("{:.1}/h", r * 3600.0)),
        r if r < 1000.0 => Some(format!("{r:.1}/s")),
        r => Some(format!("{}/s", number(r as u64))),
    }
}

/// A time of the hub's clock; nothing if it is not known.
pub fn when(unix_ms: u64, zone: &TimeZone) -> String {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms)
        .ok()
        .filter(|_| unix_ms > 0)
        .map(|time| time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string())
        .unwrap_or_default()
}

/// Names in a sentence; a few, and how many more there are.
pub fn some_names(names: &[String], total: u64) -> String {
    let mut text = names.iter().map(|name| plain(name)).collect::<Vec<_>>().join(" ");
    if total > names.len() as u64 {
        let _ = write!(text, " …");
    }
    text
}

/// Names that a person has given, and no task has.
pub fn there_are_no(unknown: &[String]) -> String {
    match unknown {
        [name] => format!("there is no task '{}'", plain(name)),
        _ => {
            let few = &unknown[..unknown.len().min(10)];
            format!("there are no tasks {}", some_names(few, unknown.len() as u64))
        }
    }
}

/// "11,992 done", "8 failed": those that there are.
pub fn by_state(counts: &Counts) -> Vec<String> {
    let parts = [
        (counts.done, "done"),
        (counts.failed, "failed"),
        (counts.skipped, "skipped"),
        (counts.cancelled, "cancelled"),
        (counts.running, "running"),
        (counts.ready, "ready"),
        (counts.waiting, "waiting"),
    ];
    let some = parts.into_iter().filter(|&(count, _)| count > 0);
    some.map(|(count, name)| format!("{} {name}", number(count))).collect()
}

pub fn state(state: State) -> &'static str {
    match state {
        State::Unspecified => "unknown",
        State::Missing => "missing",
        State::Waiting => "waiting",
        State::Ready => "ready",
        State::Running => "running",
        State::Done => "done",
        State::Failed => "failed",
        State::Skipped => "skipped",
        State::Cancelled => "cancelled",
    }
}

pub fn state_style(state: State) -> Style {
    match state {
        State::Done => GOOD,
        State::Failed => BAD,
        State::Running => BUSY,
        State::Missing | State::Skipped | State::Cancelled => ODD,
        State::Unspecified | State::Waiting | State::Ready => Style::new(),
    }
}

pub fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Unspecified => "unknown",
        Phase::Empty => "empty",
        Phase::Active => "active",
        Phase::Stuck => "stuck",
        Phase::Finished => "finished",
    }
}

/// What a task came to or is doing: "exit 137 on node12, 3 failures", "on node13 for 2 m".
pub fn fate(task: &TaskInfo) -> String {
    let worker = plain(&task.worker);
    let mut parts = Vec::new();
    match task.state() {
        State::Running => parts.push(format!("on {worker} for {}", span_ms(task.run_ms))),
        State::Done if !worker.is_empty() => {
            parts.push(format!("on {worker} in {}", span_ms(task.run_ms)));
        }
        _ => {
            let why = match task.reason.is_empty() {
                true if task.exit_code != 0 => format!("exit {}", task.exit_code),
                _ => plain(&task.reason).into_owned(),
            };
            if !why.is_empty() && !worker.is_empty() {
                parts.push(format!("{why} on {worker}"));
            } else if !why.is_empty() {
                parts.push(why);
            }
        }
    }
    if task.failures > 0 {
        parts.push(counted(task.failures.into(), "failure"));
    }
    if task.held {
        parts.push("held".to_owned());
    }
    if task.retry_in_ms > 0 {
        parts.push(format!("tries again in {}", span_ms(task.retry_in_ms)));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_fit_what_they_measure() {
        assert_eq!(rate(0.0), None);
        assert_eq!(rate(f64::NAN), None);
        assert_eq!(rate(41.3).as_deref(), Some("41.3/s"));
        assert_eq!(rate(0.01).as_deref(), Some("36.0/h"));
        assert_eq!(rate(12345.6).as_deref(), Some("12,345/s"));
    }

    #[test]
    fn the_fate_of_a_task_fits_on_a_line() {
        let failed = TaskInfo {
            state: State::Failed as i32,
            worker: "node12".into(),
            exit_code: 137,
            failures: 3,
            ..TaskInfo::default()
        };
        assert_eq!(fate(&failed), "exit 137 on node12, 3 failures");
        let running =
            TaskInfo { state: State::Running as i32, run_ms: 120_000, failures: 0, ..failed };
        assert_eq!(fate(&running), "on node12 for 2 m");
        let put_off =
            TaskInfo { state: State::Waiting as i32, failures: 1, retry_in_ms: 4_000, ..running };
        assert_eq!(fate(&put_off), "exit 137 on node12, 1 failure, tries again in 4 s");
    }
}
