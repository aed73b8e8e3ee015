//! `backup`: has the hub copy its file, between two commits of it.

use std::path::PathBuf;

use dhub_proto::exit::Exit;
use dhub_proto::wire;
use serde_json::json;

use crate::failure::Failure;
use crate::hub::{Hub, ask};
use crate::output::Output;

#[derive(clap::Args, Debug)]
pub struct Backup {
    /// Where the copy goes, on the hub's machine; nothing may be there
    to: PathBuf,
}

pub fn run(args: Backup, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    // The hub runs in another directory.
    let to = std::path::absolute(&args.to)
        .map_err(|error| Failure::new(Exit::System, format!("{}: {error}", args.to.display())))?;
    let to = to.display().to_string();
    let copied = ask!(hub, Backup(wire::Backup { to: to.clone() }) => BackedUp);
    let value = json!({ "to": to, "bytes": copied.bytes });
    out.result(|| format!("copied to {to} ({} bytes)", copied.bytes), value)?;
    Ok(Exit::Ok)
}
