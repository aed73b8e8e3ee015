//! `create`: adds one task.

use std::time::Duration;

use dhub_proto::exit::Exit;
use dhub_proto::limits::RETRIES_MAX;
use dhub_proto::options::parse_duration;
use dhub_proto::wire;
use serde_json::json;

use crate::args::{command, task_name};
use crate::failure::Failure;
use crate::hub::{Hub, ask};
use crate::output::Output;
use crate::render::words::plain;

#[derive(clap::Args, Debug)]
pub struct Create {
    /// Name of the task
    #[arg(value_parser = task_name)]
    name: String,

    /// Tasks that must be done before
    #[arg(value_name = "DEP", value_parser = task_name)]
    needs: Vec<String>,

    /// What a worker runs; without it, the worker's own command, else the name
    #[arg(long, value_name = "CMD", value_parser = command)]
    command: Option<String>,

    #[command(flatten)]
    options: TaskOptions,
}

/// What tasks have besides a name, dependencies and a command.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct TaskOptions {
    /// Larger first
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub priority: i32,

    /// Further tries after a failure
    #[arg(long, value_name = "N", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(..=i64::from(RETRIES_MAX)))]
    pub retries: u32,

    /// How long one try may run [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub time_limit: Option<Duration>,
}

impl TaskOptions {
    pub fn time_limit_ms(&self) -> u64 {
        self.time_limit.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }
}

pub fn run(args: Create, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    let name = args.name.clone();
    let task = wire::Task {
        name: args.name,
        needs: args.needs,
        command: args.command.unwrap_or_default(),
        priority: args.options.priority,
        retries: args.options.retries,
        time_limit_ms: args.options.time_limit_ms(),
        ..wire::Task::default()
    };
    let created = ask!(hub, Create(wire::Create { tasks: vec![task] }) => Created);
    let sentence = || match (created.added, created.ready) {
        (0, _) => format!("{} was there already", plain(&name)),
        (_, 0) => format!("{} added; it is not ready yet", plain(&name)),
        _ => format!("{} added; it is ready", plain(&name)),
    };
    let value = json!({
        "added": created.added,
        "existing": created.existing,
        "ready": created.ready,
    });
    out.result(sentence, value)?;
    Ok(Exit::Ok)
}
