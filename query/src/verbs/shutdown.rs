//! `shutdown`: stops the hub.

use dhub_proto::exit::Exit;
use dhub_proto::wire;
use serde_json::json;

use crate::failure::Failure;
use crate::hub::{Hub, ask};
use crate::output::Output;

pub fn run(hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    ask!(hub, Shutdown(wire::Shutdown {}) => ShuttingDown);
    let endpoint = hub.client().endpoint();
    let value = json!({ "stopping": true, "endpoint": endpoint });
    out.result(|| format!("the hub at {endpoint} stops"), value)?;
    Ok(Exit::Ok)
}
