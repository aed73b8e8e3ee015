//! `graph`: the tasks and what they need, as a picture for graphviz.

use dhub_proto::exit::Exit;

use crate::args::task_name;
use crate::failure::{Failure, say};
use crate::hub::Hub;
use crate::output::Output;
use crate::render::dot;
use crate::render::words::{number, there_are_no};
use crate::run::graph::{Choice, NODES_MAX, picture};

#[derive(clap::Args, Debug)]
pub struct Graph {
    /// Tasks: what they need and what needs them, directly or not; without names, the whole graph
    #[arg(value_name = "NAME", value_parser = task_name)]
    names: Vec<String>,

    /// How many steps from the named tasks, up and down
    #[arg(long, value_name = "N", requires = "names")]
    depth: Option<u32>,

    /// Every task, however many there are
    #[arg(short, long)]
    all: bool,
}

pub fn run(args: Graph, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    let run = hub.run()?;
    let depth = args.depth.unwrap_or(u32::MAX);
    let choice = Choice { names: &args.names, depth, all: args.all };
    let picture = picture(&run, &choice)
        .map_err(|unknown| Failure::new(Exit::Refused, there_are_no(&unknown)))?;
    match out.json {
        true => out.document(&dot::json(&picture))?,
        false => out.raw(&dot::dot(&picture))?,
    }
    if let Some(tasks) = picture.summary_of {
        let (tasks, most) = (number(tasks as u64), NODES_MAX);
        say(&format!("{tasks} tasks are grouped by name; above {most} only --all shows each"));
    }
    Ok(Exit::Ok)
}
