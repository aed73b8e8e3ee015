//! `retry`: runs failed, skipped or cancelled tasks again.

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
          .args(["names", "state", "failed"]))]
pub struct Retry {
    /// Names of tasks
    #[arg(value_name = "NAME", value_parser = task_name)]
    names: Vec<String>,

    /// Tasks in this state (several: failed,cancelled); with names, those of them in it
    #[arg(long, value_enum, value_name = "STATE", value_delimiter = ',')]
    state: Vec<State>,

    /// Tasks that failed; the same as --state failed
    #[arg(long)]
    failed: bool,

    /// Also run done tasks again; what depends on them stays as it is
    #[arg(long)]
    done: bool,
}

pub fn run(mut args: Retry, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    if args.failed {
        args.state.push(State::Failed);
    }
    let selection = Some(selection(args.names, &args.state));
    let retried = ask!(hub, Retry(wire::Retry { selection, done: args.done }) => Retried);
    let sentence = || {
        let again = format!("{} to run again", words::tasks(retried.retried));
        match retried.unskipped {
            0 => again,
            n => format!("{again}, and {} no longer skipped because of them", words::number(n)),
        }
    };
    let value = json!({
        "retried": retried.retried,
        "unskipped": retried.unskipped,
        "refused": json::refused(&retried.refused),
    });
    out.result(sentence, value)?;
    Ok(tell_refused(&retried.refused, retried.refused_total))
}
