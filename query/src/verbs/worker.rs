//! `worker`: who works, and telling them to drain or to stop.

use dhub_proto::exit::Exit;
use dhub_proto::wire::{self, Order};
use serde_json::json;

use crate::args::worker_name;
use crate::failure::{Failure, say};
use crate::hub::{Hub, ask};
use crate::output::Output;
use crate::render::room::Room;
use crate::render::words::{counted, plain, some_names};
use crate::render::{json, workers};

/// Names of those told that are printed.
const NAMES_MAX: usize = 10;

#[derive(clap::Subcommand, Debug)]
pub enum Worker {
    /// List the workers that the hub knows; the same as `dquery workers`
    #[command(after_help = "Examples:
  dquery worker list                   dquery workers --help says more")]
    List,

    /// Let workers finish what runs, give back the rest and leave
    #[command(after_help = "Examples:
  dquery worker drain node12:4711
  dquery worker drain 'node1?:*'       * stands for any text, ? for any character")]
    Drain(Named),

    /// Let workers kill what runs, give back everything and leave
    #[command(after_help = "Examples:
  dquery worker stop node12:4711
  dquery worker stop '*'")]
    Stop(Named),
}

#[derive(clap::Args, Debug)]
pub struct Named {
    /// Names of workers; * stands for any text, ? for any character
    #[arg(value_name = "NAME", required = true, value_parser = worker_name)]
    names: Vec<String>,
}

pub fn run(verb: Worker, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    match verb {
        Worker::List => list(hub, out),
        Worker::Drain(named) => steer(named, Order::Drain, hub, out),
        Worker::Stop(named) => steer(named, Order::Stop, hub, out),
    }
}

/// All workers; `workers` is the same verb.
pub fn list(hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    let timeout_ms = hub.welcome()?.worker_timeout_ms;
    let mut after = 0;
    let mut table = workers::pages();
    let mut none = true;
    loop {
        let page = ask!(hub, Workers(wire::Workers { limit: 0, after }) => Workers);
        none &= page.workers.is_empty();
        if out.json {
            let line = |it| json::worker_line(it, workers::standing(it, timeout_ms));
            out.documents(page.workers.iter().map(line))?;
        } else if !page.workers.is_empty() {
            for worker in &page.workers {
                workers::row(&mut table, worker, timeout_ms);
            }
            out.text(&table.page("", Room::of_stdout().columns))?;
        }
        if page.next == 0 {
            break;
        }
        after = page.next;
    }
    if none && !out.json {
        say("no workers; start one with: kworker -j SLOTS");
    }
    Ok(Exit::Ok)
}

fn steer(named: Named, order: Order, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    let request = wire::Steer { workers: named.names, order: order.into() };
    let steered = ask!(hub, Steer(request) => Steered);
    let what = if order == Order::Stop { "stop" } else { "drain" };
    let sentence = || match steered.workers_total {
        0 => format!("no worker was told to {what}"),
        told => {
            let names = &steered.workers[..steered.workers.len().min(NAMES_MAX)];
            format!("{} told to {what}: {}", counted(told, "worker"), some_names(names, told))
        }
    };
    let value = json!({
        "workers": steered.workers,
        "workers_total": steered.workers_total,
        "unknown": steered.unknown,
    });
    out.result(sentence, value)?;
    for name in &steered.unknown {
        say(&format!("no worker '{}' is known", plain(name)));
    }
    Ok(if steered.unknown.is_empty() { Exit::Ok } else { Exit::Refused })
}
