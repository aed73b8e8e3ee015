//! `retry`: runs failed, skipped or cancelled tasks again.

use dhub_proto::exit::Exit;
use dhub_proto::wire;
use serde_json::json;

use super::sweep::Sweep;
use super::tell_refused;
use crate::args::State;
use crate::failure::Failure;
use crate::hub::{Hub, ask};
use crate::output::Output;
use crate::render::{json, words};

#[derive(clap::Args, Debug)]
pub struct Retry {
    /// Also run done tasks again; what depends on them stays as it is
    #[arg(long)]
    done: bool,

    #[command(flatten)]
    sweep: Sweep,
}

pub fn run(Retry { sweep, done }: Retry, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    if sweep.dry_run {
        let mut touches = vec![State::Failed, State::Cancelled, State::Skipped];
        touches.extend(done.then_some(State::Done));
        return sweep.tell("run again, with what was skipped because of them", &touches, hub, out);
    }
    let selection = Some(sweep.selection(hub)?);
    let retried = ask!(hub, Retry(wire::Retry { selection, done }) => Retried);
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
