//! `cancel`: takes unfinished tasks out of the run.

use dhub_proto::exit::Exit;
use dhub_proto::wire;
use serde_json::json;

use super::sweep::{Sweep, UNFINISHED};
use super::tell_refused;
use crate::failure::Failure;
use crate::hub::{Hub, ask};
use crate::output::Output;
use crate::render::{json, words};

#[derive(clap::Args, Debug)]
pub struct Cancel {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    sweep: Sweep,
}

pub fn run(Cancel { yes, sweep }: Cancel, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    if sweep.dry_run {
        return sweep.tell("cancelled", &UNFINISHED, hub, out);
    }
    if !yes && !sweep.is_meant(&UNFINISHED, hub)? {
        return Err(Failure::new(Exit::Usage, "nothing was cancelled"));
    }
    let request = wire::Cancel { selection: Some(sweep.selection(hub)?) };
    let cancelled = ask!(hub, Cancel(request) => Cancelled);
    let value = json!({
        "cancelled": cancelled.cancelled,
        "refused": json::refused(&cancelled.refused),
    });
    out.result(|| format!("{} cancelled", words::tasks(cancelled.cancelled)), value)?;
    Ok(tell_refused(&cancelled.refused, cancelled.refused_total))
}
