//! `show`: all about one task.

use dhub_proto::exit::Exit;
use dhub_proto::wire;
use jiff::tz::TimeZone;

use crate::args::task_name;
use crate::failure::Failure;
use crate::hub::{Hub, ask};
use crate::output::Output;
use crate::render::{json, show};

#[derive(clap::Args, Debug)]
pub struct Show {
    /// Name of the task
    #[arg(value_parser = task_name)]
    name: String,
}

pub fn run(args: Show, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    let shown = ask!(hub, Show(wire::Show { name: args.name }) => Shown);
    match out.json {
        true => out.document(&json::shown(&shown))?,
        false => out.text(&show::show(&shown, &TimeZone::system()))?,
    }
    Ok(Exit::Ok)
}
