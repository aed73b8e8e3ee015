//! `wait`: until every task is finished, through restarts of the hub.

use std::time::Duration;

use dhub_proto::exit::Exit;
use dhub_proto::options::parse_duration;
use dhub_proto::wire::{self, Counts, Phase, Waited, reply, request};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::failure::{Failure, say};
use crate::hub::{Hub, ask};
use crate::output::{Output, watched};
use crate::patience::{Patience, PatienceOptions};
use crate::render::progress::{finished, not_done, total};
use crate::render::words::{number, rate, some_names, span, tasks};
use crate::render::{json as to_json, words};

/// How long the hub keeps one request: while somebody watches, and while nobody does. A hub that
/// restarts in between is noticed after it.
const PARK_WATCHED: Duration = Duration::from_secs(1);
const PARK: Duration = Duration::from_secs(10);

#[derive(clap::Args, Debug)]
pub struct Wait {
    /// Stop waiting after this time, with exit code 10
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    wait_limit: Option<Duration>,

    #[command(flatten)]
    patience: PatienceOptions,
}

pub fn run(args: Wait, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    let park = if watched() { PARK_WATCHED } else { PARK };
    let mut patience = Patience::new(args.patience, park, args.wait_limit);
    // Draws nothing when standard error is no terminal.
    let bar = progress_bar();
    patience.show_above(&bar);
    let mut told_empty = false;
    let mut last = Waited::default();
    loop {
        match patience.ask(hub, |wait_ms| request::Body::Wait(wire::Wait { wait_ms }))? {
            None => {}
            Some(reply::Body::Waited(waited)) => {
                match waited.phase() {
                    Phase::Finished | Phase::Stuck => {
                        bar.finish_and_clear();
                        return end(&waited, hub, out);
                    }
                    Phase::Empty if !told_empty => {
                        told_empty = true;
                        bar.suspend(|| say("the hub has no tasks yet; waiting for the first"));
                    }
                    _ => update(&bar, &waited),
                }
                last = waited;
            }
            Some(_) => return Err(hub.unexpected()),
        }
        if patience.is_over() {
            bar.finish_and_clear();
            print(&last, &[], out)?;
            let limit = span(args.wait_limit.unwrap_or_default());
            return Err(Failure::new(Exit::TimeOut, format!("not finished after {limit}")));
        }
    }
}

fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("[{bar:28}] {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("█▉▊▋▌▍▎▏ ");
    ProgressBar::new(0).with_style(style)
}

fn update(bar: &ProgressBar, waited: &Waited) {
    let counts = waited.counts.unwrap_or_default();
    let (total, finished) = (total(&counts), finished(&counts));
    let permille = (finished * 1000).checked_div(total).unwrap_or(0);
    let mut text =
        format!("{}.{} %  {}/{}", permille / 10, permille % 10, number(finished), number(total));
    if let Some(rate) = rate(waited.done_per_s) {
        text += &format!("  {rate}");
    }
    if not_done(&counts) > 0 {
        text += &format!("  {} not done", number(not_done(&counts)));
    }
    let left = (total - finished) as f64 / waited.done_per_s;
    if let Ok(left) = Duration::try_from_secs_f64(left)
        && left < Duration::from_secs(1_000 * 86_400)
    {
        text += &format!("  {} left", span(left));
    }
    bar.set_length(total);
    bar.set_position(finished);
    bar.set_message(text);
}

fn end(waited: &Waited, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    let counts = waited.counts.unwrap_or_default();
    if waited.phase() != Phase::Stuck {
        print(waited, &[], out)?;
        return Ok(if not_done(&counts) == 0 { Exit::Ok } else { Exit::SomeFailed });
    }
    // The names are worth another question.
    let report = ask!(hub, Status(wire::Status {}) => Status);
    print(waited, &report.missing, out)?;
    let missing = counts.missing.max(report.missing.len() as u64);
    let message = format!(
        "{} waiting for names that nobody added: {}",
        tasks(counts.waiting),
        some_names(&report.missing, missing)
    );
    Err(Failure::new(Exit::Stuck, message).hint("add them, or give up with: dquery cancel"))
}

fn print(waited: &Waited, missing: &[String], out: Output) -> Result<(), Failure> {
    let counts = waited.counts.unwrap_or_default();
    let value = json!({
        "phase": words::phase(waited.phase()),
        "counts": to_json::counts(&counts),
        "missing": missing,
    });
    out.result(|| sentence(&counts), value)
}

/// 12,000 tasks: 11,992 done, 8 failed
fn sentence(counts: &Counts) -> String {
    let parts = [
        (counts.done, "done"),
        (counts.failed, "failed"),
        (counts.skipped, "skipped"),
        (counts.cancelled, "cancelled"),
        (counts.running, "running"),
        (counts.ready, "ready"),
        (counts.waiting, "waiting"),
    ];
    let parts: Vec<_> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{} {name}", number(*count)))
        .collect();
    match parts.as_slice() {
        [] => "no tasks".to_owned(),
        parts => format!("{}: {}", tasks(total(counts)), parts.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_in_a_sentence() {
        let counts = Counts { done: 11_992, failed: 8, ..Counts::default() };
        assert_eq!(sentence(&counts), "12,000 tasks: 11,992 done, 8 failed");
        assert_eq!(sentence(&Counts::default()), "no tasks");
    }
}
