//! Names that a shell completes: those of tasks and workers come from the hub, if it answers soon.

use std::ffi::{OsStr, OsString};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use clap::builder::ValueHint;
use clap::{Command, ValueEnum};
use clap_complete::{ArgValueCompleter, CompletionCandidate};
use dhub_proto::endpoint;
use dhub_proto::options::HubOptions;
use dhub_proto::steers_terminal;
use dhub_proto::wire::{List, Listed, Selection, State, Workers, reply, request};

use crate::args::State as Word;
use crate::hub::Hub;
use crate::render::tasks::Key;
use crate::render::words;

/// Whoever has pressed a key waits no longer.
const LIMIT: Duration = Duration::from_millis(900);
/// Nobody reads more.
const NAMES_MAX: usize = 1_000;
const PAGE_TASKS: u32 = 2_000;

const UNFINISHED: &[Word] = &[Word::Waiting, Word::Ready, Word::Running];
const AGAIN: &[Word] = &[Word::Failed, Word::Skipped, Word::Cancelled];
const RUNNING: &[Word] = &[Word::Running];
const ALL: &[Word] = &[];

/// Verbs that take names of tasks: under which argument, and in which states they make sense.
const TASKS: [(&str, &str, &[Word]); 15] = [
    ("create", "needs", ALL),
    ("complete", "names", RUNNING),
    ("fail", "names", RUNNING),
    ("release", "names", RUNNING),
    ("heartbeat", "names", RUNNING),
    ("cancel", "tasks", UNFINISHED),
    ("hold", "tasks", UNFINISHED),
    ("unhold", "tasks", UNFINISHED),
    ("priority", "tasks", UNFINISHED),
    ("retry", "tasks", AGAIN),
    ("list", "tasks", ALL),
    ("wait", "tasks", UNFINISHED),
    ("show", "name", ALL),
    ("logs", "name", ALL),
    ("graph", "names", ALL),
];

/// Adds to the command line what is asked from the hub.
pub fn names(command: Command) -> Command {
    let mut command = TASKS.into_iter().fold(command, |command, (verb, arg, states)| {
        let complete = move |typed: &OsStr| tasks(typed, states);
        with(command, verb, arg, ArgValueCompleter::new(complete))
    });
    for verb in ["steal", "exit", "complete", "fail", "release", "heartbeat"] {
        command = with(command, verb, "worker", ArgValueCompleter::new(workers));
    }
    for verb in ["list", "wait", "cancel", "retry", "hold", "unhold", "priority"] {
        command = with(command, verb, "workers", ArgValueCompleter::new(workers));
    }
    for verb in ["steal", "exit"] {
        command = with(command, verb, "host", ArgValueCompleter::new(workers));
    }
    command = command.mut_subcommand("worker", |worker| {
        ["drain", "stop"].into_iter().fold(worker, |worker, verb| {
            with(worker, verb, "names", ArgValueCompleter::new(workers))
        })
    });
    command = with(command, "list", "sort", ArgValueCompleter::new(sort_keys));
    command.mut_subcommand("addfile", |verb| {
        verb.mut_arg("file", |arg| arg.value_hint(ValueHint::AnyPath))
    })
}

/// Does this verb name tasks that are there, whatever they are called? A new one's name is not to be an option that
/// somebody misspelt.
pub fn takes_names(verb: &str) -> bool {
    TASKS.iter().any(|&(it, arg, _)| it == verb && arg != "needs")
}

fn with(command: Command, verb: &'static str, arg: &'static str, it: ArgValueCompleter) -> Command {
    command.mut_subcommand(verb, |verb| verb.mut_arg(arg, |arg| arg.add(it)))
}

fn tasks(typed: &OsStr, states: &[Word]) -> Vec<CompletionCandidate> {
    let states: Vec<i32> = states.iter().map(|&it| State::from(it) as i32).collect();
    asked(typed, move |prefix, hub, found| {
        let mut after = 0;
        loop {
            let selection = Some(Selection { states: states.clone(), ..prefixed(&prefix) });
            let list = request::Body::List(List {
                selection,
                limit: PAGE_TASKS,
                after,
                ..List::default()
            });
            let Ok(reply::Body::Listed(Listed { tasks, next, .. })) = hub.ask(list) else { return };
            for task in tasks {
                let about = words::state(task.state());
                if found.send((task.name, about.to_owned())).is_err() {
                    return;
                }
            }
            if next == 0 {
                return;
            }
            after = next;
        }
    })
}

/// The hub sends only those that begin so. What is a pattern in it is looked at again here.
fn prefixed(prefix: &str) -> Selection {
    let patterns = if prefix.is_empty() { Vec::new() } else { vec![format!("{prefix}*")] };
    Selection { patterns, ..Selection::default() }
}

fn workers(typed: &OsStr) -> Vec<CompletionCandidate> {
    asked(typed, |_, hub, found| {
        let mut after = 0;
        loop {
            let ask = request::Body::Workers(Workers { limit: 0, after });
            let Ok(reply::Body::Workers(page)) = hub.ask(ask) else { return };
            for worker in page.workers {
                let about = if worker.lost { "lost" } else { "" };
                if found.send((worker.name, about.to_owned())).is_err() {
                    return;
                }
            }
            if page.next == 0 {
                return;
            }
            after = page.next;
        }
    })
}

fn sort_keys(typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let (dash, typed) = typed.strip_prefix('-').map_or(("", &*typed), |rest| ("-", rest));
    Key::value_variants()
        .iter()
        .filter_map(ValueEnum::to_possible_value)
        .filter(|it| it.get_name().starts_with(typed))
        .map(|it| CompletionCandidate::new(format!("{dash}{}", it.get_name())))
        .collect()
}

/// What a thread finds within the time, of that which begins as was typed.
fn asked(
    typed: &OsStr,
    ask: impl FnOnce(String, &mut Hub, &Sender<(String, String)>) + Send + 'static,
) -> Vec<CompletionCandidate> {
    let end = Instant::now() + LIMIT;
    let Some(prefix) = typed.to_str().map(str::to_owned) else { return Vec::new() };
    let Some(options) = hub_options(std::env::args_os()) else { return Vec::new() };
    let (found, names) = channel();
    let asked_for = prefix.clone();
    std::thread::spawn(move || {
        if let Ok(mut hub) = Hub::find(&options) {
            ask(asked_for, &mut hub, &found);
        }
    });
    let mut candidates = Vec::new();
    while candidates.len() < NAMES_MAX
        && let Ok((name, about)) = names.recv_timeout(end.saturating_duration_since(Instant::now()))
    {
        // Nothing that could do something to the terminal, or be two lines.
        if name.starts_with(&prefix) && !name.chars().any(steers_terminal) {
            let about = Some(about).filter(|about| !about.is_empty());
            candidates.push(CompletionCandidate::new(name).help(about.map(Into::into)));
        }
    }
    candidates
}

/// The hub that the line so far means, behind the `--` of who asks.
fn hub_options(args: impl Iterator<Item = OsString>) -> Option<HubOptions> {
    let mut args = args.skip_while(|arg| arg != "--").skip(1).map(|it| it.into_string().ok());
    let mut options =
        HubOptions { server: None, access: None, insecure: false, given_timeout: Some(LIMIT) };
    while let Some(arg) = args.next() {
        let arg = arg?;
        options.insecure |= arg == "--insecure";
        let mut value = |long: &str, short: &str| {
            let with_long = arg.strip_prefix(long).and_then(|it| it.strip_prefix('='));
            let with_short = (!short.is_empty())
                .then(|| arg.strip_prefix(short))
                .flatten()
                .filter(|it| !it.is_empty());
            match arg == long || (arg == short && !short.is_empty()) {
                true => args.next().flatten(),
                false => with_long.or(with_short).map(str::to_owned),
            }
        };
        if let Some(server) = value("--server", "-s") {
            options.server = Some(endpoint::parse(&server).ok()?);
        } else if let Some(access) = value("--access", "") {
            options.access = Some(access.into());
        }
    }
    Some(options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    use crate::args::Args;

    #[test]
    fn every_argument_that_is_completed_is_there() {
        names(Args::command()).debug_assert();
    }

    #[test]
    fn the_hub_is_that_of_the_line() {
        let of = |line: &str| {
            let options = hub_options(line.split(' ').map(OsString::from)).expect("options");
            (options.server, options.access.map(|it| it.display().to_string()))
        };
        let here = || Some("tcp://here:1".to_owned());
        assert_eq!(of("dquery -- dquery -s tcp://here:1 show x"), (here(), None));
        assert_eq!(of("dquery -- dquery show -stcp://here:1 x"), (here(), None));
        assert_eq!(of("dquery -- dquery --server=tcp://here:1 show"), (here(), None));
        assert_eq!(
            of("dquery -- dquery show --access a.access x"),
            (None, Some("a.access".into()))
        );
        assert_eq!(of("dquery -- dquery show -s"), (None, None));
        assert!(hub_options(["--", "-s", "nosuch://x"].into_iter().map(OsString::from)).is_none());
    }

    #[test]
    fn columns_to_sort_by_are_completed() {
        let of = |typed: &str| -> Vec<String> {
            let found = sort_keys(OsStr::new(typed));
            found.iter().map(|it| it.get_value().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(of("-re"), ["-retries", "-reclaims", "-reason", "-retry"]);
        assert_eq!(of("na"), ["name"]);
    }
}
