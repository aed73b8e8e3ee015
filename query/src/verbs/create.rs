//! `create`: adds one task.

use std::fs::File;
use std::io::{self, Read};
use std::time::Duration;

use dhub_proto::exit::Exit;
use dhub_proto::limits::{RETRIES_MAX, STDIN_BYTES_MAX};
use dhub_proto::options::parse_duration;
use dhub_proto::wire;
use serde_json::json;

use crate::args::{command, dir, env, task_name};
use crate::failure::{Failure, say};
use crate::hub::{Hub, ask};
use crate::output::Output;
use crate::render::words::{number, plain};

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

    /// What the command reads from its standard input: the contents of FILE; - is this one's
    #[arg(long, value_name = "FILE")]
    stdin: Option<String>,

    #[command(flatten)]
    options: TaskOptions,
}

/// What tasks have besides a name, dependencies and a command.
#[derive(clap::Args, Clone, Debug)]
pub struct TaskOptions {
    /// Where the command runs; a relative path starts from the worker's directory
    #[arg(long, value_name = "DIR", value_parser = dir)]
    pub dir: Option<String>,

    /// A variable for the environment of the command; can be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = env)]
    pub env: Vec<String>,

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
        dir: args.options.dir.unwrap_or_default(),
        env: args.options.env,
        stdin: args.stdin.map_or(Ok(Vec::new()), |file| read(&file))?,
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
    if name.starts_with('-') {
        say("it looks like an option: write it behind --, as in dquery complete -- NAME");
    }
    Ok(Exit::Ok)
}

/// No more of it than a task may have.
fn read(file: &str) -> Result<Vec<u8>, Failure> {
    let most = STDIN_BYTES_MAX as u64 + 1;
    let mut bytes = Vec::new();
    let result = match file {
        "-" => io::stdin().lock().take(most).read_to_end(&mut bytes),
        _ => File::open(file).and_then(|file| file.take(most).read_to_end(&mut bytes)),
    };
    let name = if file == "-" { "standard input".into() } else { plain(file) };
    match result {
        Err(error) => Err(Failure::system(name, &error)),
        Ok(read) if read > STDIN_BYTES_MAX => {
            let limit = number(STDIN_BYTES_MAX as u64);
            let message =
                format!("{name}: more than {limit} bytes; the task can read a file instead");
            Err(Failure::new(Exit::Input, message))
        }
        Ok(_) => Ok(bytes),
    }
}
