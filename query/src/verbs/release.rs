//! `release`: gives back tasks that were not started.

use dhub_proto::exit::Exit;
use dhub_proto::wire;
use serde_json::json;

use super::held::Held;
use super::tell_refused;
use crate::failure::Failure;
use crate::hub::{Hub, ask};
use crate::output::Output;
use crate::render::json;

#[derive(clap::Args, Debug)]
pub struct Release {
    #[command(flatten)]
    held: Held,
}

pub fn run(args: Release, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    let (worker, attempts) = args.held.attempts(false)?;
    let request = wire::Release { worker: Some(worker), attempts };
    let released = ask!(hub, Release(request) => Released);
    if out.json {
        out.document(&json!({
            "released": released.released,
            "refused": json::refused(&released.refused),
        }))?;
    }
    Ok(tell_refused(&released.refused, 0))
}
