//! What went wrong or takes long, and what to do about it.

use std::fmt::Write;

use dhub_proto::DAMAGED;
use dhub_proto::wire::{FailureGroup, TaskInfo};

use super::words::{BAD, number, paint, plain, some_names, span_ms};

/// `failed` tasks in all: the hub looks at the last ones only.
pub fn failures(text: &mut String, failures: &[FailureGroup], failed: u64) {
    let looked_at: u64 = failures.iter().map(|group| group.count).sum();
    let whys: Vec<_> = failures.iter().map(|group| why(&group.reason)).collect();
    let width = whys.iter().map(|why| why.chars().count()).max().unwrap_or(0);
    let count_width = failures.iter().map(|it| number(it.count).len()).max().unwrap_or(0);
    for (index, (group, why)) in failures.iter().zip(&whys).enumerate() {
        let title = if index == 0 { "failures" } else { "" };
        let _ = writeln!(
            text,
            "  {title:<8}  {} × {why:<width$}   {}",
            paint(BAD, format!("{:>count_width$}", number(group.count))),
            some_names(&group.names, group.count),
        );
    }
    if !failures.is_empty() && looked_at < failed {
        let (looked_at, failed) = (number(looked_at), number(failed));
        let _ = writeln!(text, "            (of {looked_at} of the {failed} that failed)");
    }
    if let Some(name) = failures.iter().find_map(|group| group.names.first()) {
        // What nobody can run is not worth another try.
        let can_run = failures.iter().any(|group| group.reason != DAMAGED);
        let retry = if can_run { "   dquery retry --failed" } else { "" };
        let _ = writeln!(
            text,
            "            -> dquery list --failed{retry}   dquery show {}",
            plain(&quoted(name)),
        );
    }
}

pub use dhub_proto::shell::name as quoted;

/// A reason with what it most often means.
pub fn why(reason: &str) -> String {
    let reason = plain(reason);
    let meaning = match reason.strip_prefix("exit ").and_then(|code| code.parse::<u8>().ok()) {
        Some(126) => "cannot be executed",
        Some(127) => "command not found",
        Some(130) => "interrupted",
        Some(134) => "aborted",
        Some(137) => "killed; out of memory?",
        Some(139) => "segmentation fault",
        Some(143) => "terminated",
        _ => return reason.into_owned(),
    };
    format!("{reason} ({meaning})")
}

pub fn slowest(text: &mut String, slowest: Option<&TaskInfo>) {
    if let Some(task) = slowest.filter(|task| !task.name.is_empty()) {
        let _ = writeln!(
            text,
            "  slowest   {} on {} for {}",
            plain(&task.name),
            plain(&task.worker),
            span_ms(task.run_ms)
        );
    }
}
