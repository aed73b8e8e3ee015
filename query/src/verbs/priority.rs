//! `priority`: which tasks are given out first.

use dhub_proto::exit::Exit;
use dhub_proto::wire::adjust;

use super::sweep::{self, Sweep};
use crate::failure::Failure;
use crate::hub::Hub;
use crate::output::Output;

#[derive(clap::Args, Debug)]
pub struct Priority {
    /// Tasks of a larger one are given out first; 0 is what tasks have without one
    #[arg(value_name = "PRIORITY", allow_negative_numbers = true, value_parser = parse)]
    priority: i32,

    #[command(flatten)]
    sweep: Sweep,
}

fn parse(text: &str) -> Result<i32, String> {
    text.parse().map_err(|_| {
        let (least, most) = (i32::MIN, i32::MAX);
        format!("a priority is a whole number from {least} to {most}, and comes before the tasks: dquery priority 5 NAME")
    })
}

pub fn run(args: Priority, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    let done = format!("of priority {} now", args.priority);
    sweep::adjust(&args.sweep, adjust::Change::Priority(args.priority), &done, hub, out)
}
