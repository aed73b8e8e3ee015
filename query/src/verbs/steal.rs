//! `steal`: takes ready tasks under a lease.
//!
//! A resend is safe: the request carries a random client and a number, and the hub gives the
//! newest number of a client the same leases again.

use std::time::Duration;

use dhub_proto::exit::Exit;
use dhub_proto::limits::STEAL_TASKS_MAX;
use dhub_proto::options::parse_duration;
use dhub_proto::wire::{self, Phase, Stolen, reply, request};

use crate::args::{WorkerOptions, worker_name};
use crate::failure::{Failure, say};
use crate::hub::{Hub, ask};
use crate::output::Output;
use crate::patience::{Patience, PatienceOptions};
use crate::render::room::Room;
use crate::render::table::{Column, Fit, Table, name_cell, right};
use crate::render::{json, words};

/// How long the hub keeps one request: a restart is noticed not much later.
const PARK: Duration = Duration::from_secs(10);
/// Time between steals that the hub answers before their time with nothing.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(clap::Args, Debug)]
pub struct Steal {
    /// Print the bare names, one a line, or nothing
    #[arg(short, long)]
    quiet: bool,

    /// How many tasks at most
    #[arg(short, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=STEAL_TASKS_MAX as i64))]
    n: u32,

    /// Wait until a task is ready or all are finished, at most for TIME (or --timeout)
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true,
          value_parser = parse_duration)]
    wait: Option<Option<Duration>>,

    /// Term of the leases [default: what the hub's --lease says]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    lease: Option<Duration>,

    /// Name of the worker; the same as --worker
    #[arg(value_parser = worker_name)]
    host: Option<String>,

    #[command(flatten)]
    worker: WorkerOptions,

    #[command(flatten)]
    patience: PatienceOptions,
}

pub fn run(args: Steal, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    let mut steal = wire::Steal {
        worker: Some(args.worker.worker(args.host)),
        client: dhub_proto::random_id()
            .map_err(|error| Failure::new(Exit::System, format!("no random bytes: {error}")))?,
        number: 1,
        n: args.n,
        lease_ms: args.lease.map_or(0, |term| u64::try_from(term.as_millis()).unwrap_or(u64::MAX)),
        // A script runs what it has one after the other.
        slots: 1,
        ..wire::Steal::default()
    };
    let stolen = match args.wait {
        None => ask!(hub, Steal(steal.clone()) => Stolen),
        Some(limit) => {
            if limit.is_none() {
                hub.answers_as_usual();
            }
            let mut patience = Patience::new(args.patience, PARK, limit.or(hub.given_timeout()));
            wait(hub, &mut steal, &mut patience)?
        }
    };
    if let Err(failure) = print(&stolen, args.quiet, out) {
        // Nobody knows of these leases now; without this they would last their whole term.
        give_back(hub, steal.worker, &stolen);
        return Err(failure);
    }
    Ok(exit(&stolen, args.quiet))
}

/// Steals until there is something to tell. Each steal has a number of its own; one that was not
/// answered is asked again under the same number.
fn wait(
    hub: &mut Hub,
    steal: &mut wire::Steal,
    patience: &mut Patience,
) -> Result<Stolen, Failure> {
    loop {
        let started = std::time::Instant::now();
        let mut asked_ms = 0;
        let reply = patience.ask(hub, |wait_ms| {
            asked_ms = wait_ms;
            request::Body::Steal(wire::Steal { wait_ms, ..steal.clone() })
        })?;
        match reply {
            None => {}
            Some(reply::Body::Stolen(stolen)) => {
                let ended = matches!(stolen.phase(), Phase::Stuck | Phase::Finished);
                if ended || !stolen.leases.is_empty() || stolen.drain || patience.is_over() {
                    return Ok(stolen);
                }
                steal.number += 1;
                if asked_ms > 0 && started.elapsed() < PAUSE {
                    std::thread::sleep(PAUSE);
                }
            }
            Some(_) => return Err(hub.unexpected()),
        }
    }
}

fn print(stolen: &Stolen, quiet: bool, out: Output) -> Result<(), Failure> {
    if out.json {
        return out.document(&json::stolen(stolen));
    }
    if stolen.leases.is_empty() {
        return Ok(());
    }
    if quiet {
        let names: String = stolen.leases.iter().map(|lease| lease.name.clone() + "\n").collect();
        return out.raw(&names);
    }
    let mut table = Table::new(&[
        Column::new("TASK", Fit::Middle),
        Column::new("ATTEMPT", Fit::Whole),
        Column::new("LEASE", Fit::Whole),
        Column::new("TIME LIMIT", Fit::Whole).dispensable(1),
        Column::new("COMMAND", Fit::End),
    ]);
    for lease in &stolen.leases {
        let limit = match lease.time_limit_ms {
            0 => "none".to_owned(),
            ms => words::span_ms(ms),
        };
        table.row([
            name_cell(&lease.name),
            right(lease.attempt),
            right(words::span_ms(lease.term_ms)),
            right(limit),
            name_cell(&lease.command),
        ]);
    }
    out.text(&table.page("", Room::of_stdout().columns))
}

fn exit(stolen: &Stolen, quiet: bool) -> Exit {
    if !stolen.leases.is_empty() {
        return Exit::Ok;
    }
    let (exit, message) = match stolen.phase() {
        Phase::Finished if stolen.not_done > 0 => {
            let not_done = words::tasks(stolen.not_done);
            (Exit::AllFinished, format!("all tasks are finished; {not_done} not done"))
        }
        Phase::Finished => (Exit::AllFinished, "all tasks are done".to_owned()),
        Phase::Stuck => {
            let message = "what remains waits for names that nobody added (dquery status)";
            (Exit::Stuck, message.to_owned())
        }
        Phase::Empty => (Exit::NothingReady, "no task was added yet".to_owned()),
        _ if stolen.drain => (Exit::Drained, "this worker was told to leave".to_owned()),
        _ => (Exit::NothingReady, "nothing is ready yet".to_owned()),
    };
    // A loop that ends for one of these would look like one that ends because all is done.
    if !quiet || matches!(exit, Exit::Stuck | Exit::Drained) {
        say(&message);
    }
    exit
}

/// As well as it goes: there is a failure to report already.
fn give_back(hub: &mut Hub, worker: Option<wire::Worker>, stolen: &Stolen) {
    let attempts = stolen.leases.iter().map(|lease| wire::Attempt {
        name: lease.name.clone(),
        attempt: lease.attempt,
        started: false,
    });
    let release = wire::Release { worker, attempts: attempts.collect() };
    let _ = hub.ask(request::Body::Release(release));
}
