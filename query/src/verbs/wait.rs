//! `wait`: until every task is finished, or some of them, through restarts of the hub.

use std::time::Duration;

use dhub_proto::exit::Exit;
use dhub_proto::options::parse_duration;
use dhub_proto::wire::{
    self, Counts, FailureGroup, Phase, Selection, Waited, adjust, reply, request,
};
use serde_json::json;

use super::sweep::touched;
use crate::args::State;
use crate::failure::Failure;
use crate::filter::Filter;
use crate::goal::Goal;
use crate::hub::{Hub, ask};
use crate::meter::Meter;
use crate::output::{Output, watched};
use crate::patience::{Patience, PatienceOptions};
use crate::render::progress::{not_done, total};
use crate::render::words::{by_state, number, some_names, span, tasks};
use crate::render::{json as to_json, trouble, words};

/// How long the hub keeps one request: while somebody watches, and while nobody does. A hub that
/// restarts in between is noticed after it.
const PARK_WATCHED: Duration = Duration::from_secs(1);
const PARK: Duration = Duration::from_secs(10);

#[derive(clap::Args, Debug)]
pub struct Wait {
    /// Stop waiting after this time, with exit code 10, whatever --timeout says
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    wait_limit: Option<Duration>,

    /// Without a terminal: say how far it is every so often, if it got further. 0s: never
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = parse_duration)]
    every: Duration,

    /// When one of them has failed, hold those that do not run yet, and end with exit code 1
    #[arg(long)]
    hold_on_failure: bool,

    #[command(flatten)]
    patience: PatienceOptions,

    // Last, for it has a heading of its own in the help.
    #[command(flatten)]
    filter: Filter,
}

pub fn run(args: Wait, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    if args.wait_limit.is_none() {
        hub.answers_as_usual();
    }
    let mut goal = Goal::new(args.filter.selection(), hub)?;
    // Only the hub tells when all are finished; of some it is asked now and then.
    let looks = watched() || goal.is_some() || args.hold_on_failure;
    let park = if looks { PARK_WATCHED } else { PARK };
    let park = if args.every.is_zero() { park } else { park.min(args.every) };
    let limit = args.wait_limit.or(hub.given_timeout());
    let mut patience = Patience::new(args.patience, park, limit);
    let mut meter = Meter::new(args.every);
    patience.show_above(meter.bar());
    let (mut told_empty, mut told_held) = (false, false);
    let mut last = Waited::default();
    loop {
        let wait = |wait_ms| request::Body::Wait(wire::Wait { wait_ms, ..Default::default() });
        match patience.ask(hub, wait)? {
            None => {}
            Some(reply::Body::Waited(mut waited)) => {
                if let Some(goal) = &mut goal {
                    let over = matches!(waited.phase(), Phase::Finished | Phase::Stuck);
                    goal.look(&mut patience, hub, over)?;
                    waited = of(goal, &waited);
                }
                match waited.phase() {
                    Phase::Finished | Phase::Stuck => {
                        meter.clear();
                        return end(&waited, goal.as_ref(), hub, out);
                    }
                    Phase::Empty if !told_empty => {
                        told_empty = true;
                        meter.note("the hub has no tasks yet; waiting for the first");
                    }
                    Phase::Empty => {}
                    _ if args.hold_on_failure && failed(&waited) > 0 => {
                        meter.clear();
                        return hold(&waited, goal.as_ref(), hub, out);
                    }
                    _ => {
                        let counts = waited.counts.unwrap_or_default();
                        let rests = counts.running + counts.ready == 0;
                        if rests && counts.held > 0 && !std::mem::replace(&mut told_held, true) {
                            let held = tasks(counts.held);
                            meter.note(&format!("{held} held; go on with: dquery unhold --held"));
                        }
                        meter.show(&counts, waited.done_per_s);
                    }
                }
                last = waited;
            }
            Some(_) => return Err(hub.unexpected()),
        }
        if patience.is_over() {
            meter.clear();
            print(&last, &[], &[], out)?;
            let limit = span(limit.unwrap_or_default());
            return Err(Failure::new(Exit::TimeOut, format!("not finished after {limit}")));
        }
    }
}

/// What the hub says of all tasks, said of those that are waited for.
fn of(goal: &Goal, all: &Waited) -> Waited {
    let phase = match all.phase() {
        _ if goal.is_reached() => Phase::Finished,
        // Their count is from before.
        Phase::Finished => Phase::Active,
        phase => phase,
    };
    Waited { phase: phase.into(), counts: Some(goal.counts()), ..Waited::default() }
}

fn end(waited: &Waited, goal: Option<&Goal>, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    let counts = waited.counts.unwrap_or_default();
    let stuck = waited.phase() == Phase::Stuck;
    if !stuck && not_done(&counts) == 0 {
        print(waited, &[], &[], out)?;
        return Ok(Exit::Ok);
    }
    // What failed and why is worth another question. Without an answer the end is still known.
    let asked = || Ok::<_, Failure>(ask!(hub, Status(wire::Status {}) => Status));
    let report = { asked }().unwrap_or_default();
    let failures = match goal {
        Some(goal) => goal.failures(hub).unwrap_or_default(),
        None => report.failures,
    };
    print(waited, &report.missing, &failures, out)?;
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

fn failed(waited: &Waited) -> u64 {
    waited.counts.unwrap_or_default().failed
}

/// Nothing more is given out of what is waited for; what runs goes on.
fn hold(waited: &Waited, goal: Option<&Goal>, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    let all = [Selection::default()];
    let selections = goal.map_or(&all[..], Goal::selections);
    let mut held = 0;
    for selection in selections {
        // What waits would be next, when what runs has ended.
        let selection = touched(selection.clone(), &[State::Waiting, State::Ready]);
        if selection.is_some() {
            let change = Some(adjust::Change::Held(true));
            held += ask!(hub, Adjust(wire::Adjust { selection, change }) => Adjusted).adjusted;
        }
    }
    let failures = match goal {
        Some(goal) => goal.failures(hub)?,
        None => ask!(hub, Status(wire::Status {}) => Status).failures,
    };
    print(waited, &[], &failures, out)?;
    let (running, given) = Goal::at_work(selections, hub)?;
    let goes_on = goes_on(running, given);
    let message = format!("{} failed: {} held{goes_on}", tasks(failed(waited)), are(held));
    let hint = "dquery retry --failed   go on: dquery unhold --held";
    Err(Failure::new(Exit::SomeFailed, message).hint(hint))
}

/// 1 task is, 12 tasks are
fn are(count: u64) -> String {
    format!("{} {}", tasks(count), if count == 1 { "is" } else { "are" })
}

/// What nobody holds up any more.
fn goes_on(running: u64, given: u64) -> String {
    let verb =
        |count, one, many| format!(", {} {}", number(count), if count == 1 { one } else { many });
    let mut text = String::new();
    if running > 0 {
        text += &(verb(running, "runs", "run") + " on");
    }
    if given > 0 {
        text += &(verb(given, "waits", "wait") + " in a worker and will run");
    }
    text
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
        trouble::failures(&mut text, failures, counts.failed);
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
    fn what_goes_on_when_the_rest_is_held() {
        assert_eq!(goes_on(0, 0), "");
        assert_eq!(goes_on(1, 0), ", 1 runs on");
        assert_eq!(goes_on(2, 8), ", 2 run on, 8 wait in a worker and will run");
        assert_eq!(goes_on(0, 1), ", 1 waits in a worker and will run");
    }

    #[test]
    fn the_end_in_a_sentence() {
        let counts = Counts { done: 11_992, failed: 8, ..Counts::default() };
        assert_eq!(sentence(&counts), "12,000 tasks: 11,992 done, 8 failed");
        assert_eq!(sentence(&Counts::default()), "no tasks");
    }
}
