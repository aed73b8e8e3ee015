//! `heartbeat`: renews the leases of tasks that run.

use dhub_proto::exit::Exit;
use dhub_proto::wire;
use serde_json::json;

use super::held::Held;
use crate::failure::{Failure, say};
use crate::hub::{Hub, ask};
use crate::output::Output;
use crate::render::json;
use crate::render::words::plain;

#[derive(clap::Args, Debug)]
pub struct Heartbeat {
    #[command(flatten)]
    held: Held,
}

pub fn run(args: Heartbeat, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    let (worker, attempts) = args.held.attempts(true)?;
    let request = wire::Heartbeat { worker: Some(worker), attempts, ..wire::Heartbeat::default() };
    let beaten = ask!(hub, Heartbeat(request) => Heartbeaten);
    if out.json {
        out.document(&json!({ "lost": json::attempts(&beaten.lost), "drain": beaten.drain, "stop": beaten.stop }))?;
    }
    for lost in &beaten.lost {
        let name = plain(&lost.name);
        say(&format!("this worker does not hold '{name}' any more: its outcome will not count"));
    }
    if !beaten.lost.is_empty() {
        return Ok(Exit::Refused);
    }
    if beaten.stop {
        say("this worker was told to stop");
        return Ok(Exit::Drained);
    }
    Ok(Exit::Ok)
}
