//! `cancel`: takes unfinished tasks out of the run.

use std::io::{IsTerminal, Write, stderr, stdin};

use dhub_proto::exit::Exit;
use dhub_proto::wire;
use serde_json::json;

use super::tell_refused;
use crate::args::{State, selection, task_name};
use crate::failure::Failure;
use crate::hub::{Hub, ask};
use crate::output::Output;
use crate::render::{json, words};

#[derive(clap::Args, Debug)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true)
          .args(["names", "state"]))]
pub struct Cancel {
    /// Names of tasks
    #[arg(value_name = "NAME", value_parser = task_name)]
    names: Vec<String>,

    /// Tasks in this state (several: waiting,ready); with names, those of them in it
    #[arg(long, value_enum, value_name = "STATE", value_delimiter = ',')]
    state: Vec<State>,

    /// Do not ask before tasks are cancelled by their state
    #[arg(short, long)]
    yes: bool,
}

pub fn run(args: Cancel, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    if args.names.is_empty() && !args.yes && !confirmed(&args.state, hub)? {
        return Err(Failure::new(Exit::Usage, "nothing was cancelled"));
    }
    let request = wire::Cancel { selection: Some(selection(args.names, &args.state)) };
    let cancelled = ask!(hub, Cancel(request) => Cancelled);
    let value = json!({
        "cancelled": cancelled.cancelled,
        "refused": json::refused(&cancelled.refused),
    });
    out.result(|| format!("{} cancelled", words::tasks(cancelled.cancelled)), value)?;
    Ok(tell_refused(&cancelled.refused, cancelled.refused_total))
}

/// A whole run is gone with one wrong word. Without a terminal nobody can be asked.
fn confirmed(states: &[State], hub: &mut Hub) -> Result<bool, Failure> {
    if !stdin().is_terminal() || !stderr().is_terminal() {
        let message = "cancelling by state alone takes --yes when no terminal is there";
        return Err(Failure::new(Exit::Usage, message));
    }
    let counts = ask!(hub, Status(wire::Status {}) => Status).counts.unwrap_or_default();
    let count: u64 = [
        (State::Waiting, counts.waiting),
        (State::Ready, counts.ready),
        (State::Running, counts.running),
    ]
    .iter()
    .filter(|(state, _)| states.contains(state))
    .map(|(_, count)| count)
    .sum();
    let question = format!("cancel {}? [y/N] ", words::tasks(count));
    let _ = stderr().write_all(question.as_bytes());
    let mut answer = String::new();
    // Unreadable is not yes.
    let _ = stdin().read_line(&mut answer);
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
