//! `list`: tasks in the order in which they were added, page by page.

use dhub_proto::exit::Exit;
use dhub_proto::wire::{self, Listed};

use crate::args::{State, selection, task_name};
use crate::failure::{Failure, say};
use crate::hub::{Hub, PAGE_TASKS, ask};
use crate::output::Output;
use crate::render::words::{number, plain};
use crate::render::{json, table};

#[derive(clap::Args, Debug)]
pub struct List {
    /// Names of tasks
    #[arg(value_name = "NAME", value_parser = task_name)]
    names: Vec<String>,

    /// Tasks in this state (several: running,ready)
    #[arg(long, value_enum, value_name = "STATE", value_delimiter = ',')]
    state: Vec<State>,

    /// Tasks that failed; the same as --state failed
    #[arg(long)]
    failed: bool,

    /// How many tasks at most
    #[arg(short = 'n', long = "limit", value_name = "LIMIT", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,

    /// All of them
    #[arg(short, long, conflicts_with = "limit")]
    all: bool,
}

pub fn run(mut args: List, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    if args.failed {
        args.state.push(State::Failed);
    }
    let names = std::mem::take(&mut args.names);
    if names.is_empty() { pages(&args, hub, out) } else { named(names, &args.state, hub, out) }
}

fn pages(args: &List, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    let mut left = if args.all { u64::MAX } else { args.limit.into() };
    let mut after = 0;
    let mut header = true;
    while left > 0 {
        let limit = u64::from(PAGE_TASKS).min(left) as u32;
        let selection = Some(selection(Vec::new(), &args.state));
        let page = ask!(hub, List(wire::List { selection, limit, after }) => Listed);
        print(&page, header, out)?;
        header = false;
        left = left.saturating_sub(page.tasks.len() as u64);
        if page.next == 0 {
            return Ok(Exit::Ok);
        }
        after = page.next;
    }
    say(&format!("the first {} only; more with -n LIMIT or --all", number(args.limit.into())));
    Ok(Exit::Ok)
}

fn named(
    names: Vec<String>,
    states: &[State],
    hub: &mut Hub,
    out: Output,
) -> Result<Exit, Failure> {
    let mut exit = Exit::Ok;
    let mut header = true;
    for names in names.chunks(PAGE_TASKS as usize) {
        hub.list(selection(names.to_vec(), states), |page| {
            print(&page, header, out)?;
            header = false;
            for name in &page.unknown {
                say(&format!("no task '{}' in the hub", plain(name)));
                exit = Exit::Refused;
            }
            Ok(())
        })?;
    }
    Ok(exit)
}

fn print(page: &Listed, header: bool, out: Output) -> Result<(), Failure> {
    if page.tasks.is_empty() {
        return Ok(());
    }
    if !out.json {
        return out.text(&table::task_list(&page.tasks, header));
    }
    let lines: String = page.tasks.iter().map(|task| format!("{}\n", json::task(task))).collect();
    out.raw(&lines)
}
