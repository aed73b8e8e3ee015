//! `wait`: until every task is finished, through restarts of the hub.

use std::io::stderr;
use std::time::{Duration, Instant};

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use dhub_proto::exit::Exit;
use dhub_proto::options::parse_duration;
use dhub_proto::wire::{self, Counts, FailureGroup, Phase, Waited, reply, request};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::failure::{Failure, say};
use crate::hub::{Hub, ask};
use crate::output::{Output, watched};
use crate::patience::{Patience, PatienceOptions};
use crate::render::progress::{self, finished, not_done, total};
use crate::render::words::{by_state, some_names, span, tasks};
use crate::render::{json as to_json, trouble, words};

/// How long the hub keeps one request: while somebody watches, and while nobody does. A hub that
/// restarts in between is noticed after it.
const PARK_WATCHED: Duration = Duration::from_secs(1);
const PARK: Duration = Duration::from_secs(10);

#[derive(clap::Args, Debug)]
pub struct Wait {
    /// Stop waiting after this time, with exit code 10
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    wait_limit: Option<Duration>,

    /// Without a terminal: say how far it is every so often, if it got further. 0s: never
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = parse_duration)]
    every: Duration,

    #[command(flatten)]
    patience: PatienceOptions,
}

pub fn run(args: Wait, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    let park = if watched() { PARK_WATCHED } else { PARK };
    let park = if args.every.is_zero() { park } else { park.min(args.every) };
    let mut patience = Patience::new(args.patience, park, args.wait_limit);
    // Draws nothing when standard error is no terminal.
    let bar = progress_bar();
    patience.show_above(&bar);
    let mut pace = Pace::new();
    let mut talk = Talk::new(args.every);
    let mut told_empty = false;
    let mut last = Waited::default();
    loop {
        match patience
            .ask(hub, |wait_ms| request::Body::Wait(wire::Wait { wait_ms, ..Default::default() }))?
        {
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
                    Phase::Empty => {}
                    _ => {
                        let counts = waited.counts.unwrap_or_default();
                        let (now, overall) = (waited.done_per_s, pace.overall(&counts));
                        bar.set_message(coloured(|| {
                            progress::brief(&counts, now, overall, width())
                        }));
                        talk.say(&counts, || progress::brief(&counts, now, overall, None));
                    }
                }
                last = waited;
            }
            Some(_) => return Err(hub.unexpected()),
        }
        if patience.is_over() {
            bar.finish_and_clear();
            print(&last, &[], &[], out)?;
            let limit = span(args.wait_limit.unwrap_or_default());
            return Err(Failure::new(Exit::TimeOut, format!("not finished after {limit}")));
        }
    }
}

fn progress_bar() -> ProgressBar {
    // It is cut where the window ends.
    let style = ProgressStyle::with_template("{wide_msg}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// One column less than there are: a full line would wrap in a window that shrinks.
fn width() -> Option<usize> {
    let size = console::Term::stderr().size_checked();
    size.map(|(_, columns)| usize::from(columns.saturating_sub(1)))
}

fn coloured(text: impl FnOnce() -> String) -> String {
    match AutoStream::choice(&stderr()) {
        ColorChoice::Never => strip_str(&text()).to_string(),
        _ => text(),
    }
}

/// How fast it has gone since this began.
struct Pace {
    begin: Instant,
    first: Option<u64>,
}

impl Pace {
    fn new() -> Self {
        Self { begin: Instant::now(), first: None }
    }

    /// Tasks finished a second.
    fn overall(&mut self, counts: &Counts) -> f64 {
        let finished = finished(counts);
        let first = *self.first.get_or_insert(finished);
        finished.saturating_sub(first) as f64 / self.begin.elapsed().as_secs_f64()
    }
}

/// What is said now and then where nobody watches a bar.
struct Talk {
    every: Duration,
    said: Instant,
    about: u64,
}

impl Talk {
    fn new(every: Duration) -> Self {
        Self { every, said: Instant::now(), about: 0 }
    }

    fn say(&mut self, counts: &Counts, text: impl FnOnce() -> String) {
        let finished = finished(counts);
        let due = !self.every.is_zero() && self.said.elapsed() >= self.every;
        if !watched() && due && finished != self.about {
            say(&strip_str(&text()).to_string());
            (self.said, self.about) = (Instant::now(), finished);
        }
    }
}

fn end(waited: &Waited, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    let counts = waited.counts.unwrap_or_default();
    let stuck = waited.phase() == Phase::Stuck;
    if !stuck && not_done(&counts) == 0 {
        print(waited, &[], &[], out)?;
        return Ok(Exit::Ok);
    }
    // What failed and why is worth another question. Without an answer the end is still known.
    let asked = || Ok::<_, Failure>(ask!(hub, Status(wire::Status {}) => Status));
    let report = { asked }().unwrap_or_default();
    print(waited, &report.missing, &report.failures, out)?;
    if !stuck {
        return Ok(Exit::SomeFailed);
    }
    let missing = counts.missing.max(report.missing.len() as u64);
    let message = format!(
        "{} waiting for names that nobody added: {}",
        tasks(counts.waiting),
        some_names(&report.missing, missing)
    );
    Err(Failure::new(Exit::Stuck, message).hint("add them, or give up with: dquery cancel"))
}

fn print(
    waited: &Waited,
    missing: &[String],
    failures: &[FailureGroup],
    out: Output,
) -> Result<(), Failure> {
    let counts = waited.counts.unwrap_or_default();
    let value = json!({
        "phase": words::phase(waited.phase()),
        "counts": to_json::counts(&counts),
        "missing": missing,
        "failures": to_json::failures(failures),
    });
    let text = || {
        let mut text = sentence(&counts) + "\n";
        trouble::failures(&mut text, failures);
        text
    };
    out.result(text, value)
}

/// 12,000 tasks: 11,992 done, 8 failed
fn sentence(counts: &Counts) -> String {
    match by_state(counts).as_slice() {
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
