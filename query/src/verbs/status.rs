//! `status`: what is going on, on one screen.

use dhub_proto::exit::Exit;
use dhub_proto::wire;

use crate::failure::Failure;
use crate::hub::{Hub, ask};
use crate::output::Output;
use crate::render::{json, status};

pub fn run(hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    let report = ask!(hub, Status(wire::Status {}) => Status);
    match out.json {
        true => out.document(&json::status(&report))?,
        false => out.text(&status::status(&report, &jiff::Zoned::now()))?,
    }
    Ok(Exit::Ok)
}
