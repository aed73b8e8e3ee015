//! `show`: all about one task.

use dhub_proto::exit::Exit;
use dhub_proto::wire;
use jiff::tz::TimeZone;

use crate::args::task_name;
use crate::failure::Failure;
use crate::hub::{Hub, ask};
use crate::output::Output;
use crate::render::room::Room;
use crate::render::{json, show};

#[derive(clap::Args, Debug)]
pub struct Show {
    /// Name of the task
    #[arg(value_parser = task_name)]
    name: String,

    /// Only what its newest attempt that ended wrote, as far as the hub keeps it
    #[arg(long, conflicts_with = "json")]
    output: bool,
}

pub fn run(args: Show, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    let shown = ask!(hub, Show(wire::Show { name: args.name }) => Shown);
    if args.output {
        let ended = shown.attempts.iter().rev().find(|attempt| attempt.ended_unix_ms > 0);
        out.bytes(ended.map_or(&[], |attempt| &attempt.output))?;
        return Ok(Exit::Ok);
    }
    match out.json {
        true => out.document(&json::shown(&shown))?,
        false => out.text(&show::show(&shown, &TimeZone::system(), Room::of_stdout()))?,
    }
    Ok(Exit::Ok)
}
