//! kworker: a pool of slots that steals tasks from a hub, runs them and reports how they ended.

mod allocation;
mod args;
mod children;
mod codes;
mod command;
mod guard;
mod halt;
mod heartbeat;
mod link;
mod pool;
mod process;
mod setting;
mod signal;
mod talk;
mod terminal;
mod worker;

use std::env::current_dir;
use std::io;
use std::path::{PathBuf, absolute};
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use dhub_proto::cli;
use dhub_proto::client::{Client, ClientError};
use dhub_proto::exit::Exit;
use dhub_proto::find::{FindError, Target};
use dhub_proto::wire::{self, ErrorCode, Welcome, reply, request};
use dhub_proto::{Stderr, VERSION, host_name, random_id, say, say_in_background, secret};
use tracing_subscriber::EnvFilter;

use crate::allocation::{Allocation, End, usable};
use crate::args::Args;
use crate::children::adopt_orphans;
use crate::command::{Program, ProgramError, Shell};
use crate::guard::{Guardian, guard};
use crate::link::{Link, LinkError};
use crate::pool::{Ahead, Limits, Pool, TimeLimit};
use crate::process::{Processes, make_room};
use crate::setting::{Setting, Where};
use crate::signal::Signals;
use crate::talk::rounded;
use crate::worker::{Config, Worker, WorkerError};

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error("{}: no such directory", .0.display())]
    NoDirectory(PathBuf),
    #[error("{0}")]
    Room(String),
    #[error("the process that was to look after this one was killed")]
    Guardian,
    #[error(transparent)]
    Find(#[from] FindError),
    #[error(
        "{error}\n  start it with: dhub -f FILE      another address: -s or DHUB_HUB      \
             to wait for it: --wait-for-hub"
    )]
    NoHub { error: ClientError },
    #[error("no hub came in time; see --time-limit, --idle-timeout, --hub-timeout")]
    NoHubInTime,
    #[error("--output: {0}")]
    Output(io::Error),
    #[error(transparent)]
    Client(ClientError),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Worker(#[from] WorkerError),
    #[error(transparent)]
    System(#[from] io::Error),
}

impl Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Program(_) | Self::NoDirectory(_) | Self::Output(_) => Exit::Usage,
            Self::Find(error) => error.exit(),
            Self::NoHub { .. } | Self::NoHubInTime => Exit::NoHub,
            Self::Client(ClientError::Denied(_)) => Exit::Denied,
            Self::Client(ClientError::Refused(error)) if error.code() == ErrorCode::ErrorDenied => {
                Exit::Denied
            }
            Self::Client(ClientError::Socket { .. }) => Exit::System,
            Self::Client(_) => Exit::Refused,
            Self::Worker(error) => error.exit(),
            Self::Link(error) => error.exit(),
            Self::Room(_) | Self::Guardian | Self::System(_) => Exit::System,
        }
    }
}

fn main() -> ExitCode {
    let args: Args = cli::parse(|command| command, |_| false);
    log(args.verbose);
    let Some(guardian) = Guardian::of_this() else {
        return guard().unwrap_or_else(|error| {
            say(format_args!("kworker: cannot start the pool: {error}"));
            Exit::System.into()
        });
    };
    terminal::let_go();
    // Tasks do not wait for who reads what is said. Without a thread for it they have to.
    let _speaking = say_in_background().ok();
    match run(args, guardian) {
        Ok(exit) => exit.into(),
        Err(error) => {
            say(format_args!("kworker: {error}"));
            error.exit().into()
        }
    }
}

fn run(args: Args, guardian: Guardian) -> Result<Exit, Error> {
    // Before any key is read; the guardian reads none.
    let core_limit = secret::forbid_dumps();
    let dir = args.dir.as_ref().map(absolute).transpose()?;
    if let Some(dir) = dir.as_ref().filter(|dir| !dir.is_dir()) {
        return Err(Error::NoDirectory(dir.clone()));
    }
    let here = dir.clone().map_or_else(current_dir, Ok)?;
    let own_shell = std::env::var_os("SHELL");
    let shell = Shell::choose(args.shell_program.as_deref(), own_shell, &here)?;
    let program = Program::new(args.shell.as_deref(), args.command.clone(), shell, &here)?;
    let output = Where::parse(&args.output).map_err(Error::Output)?;
    let cores = || available_parallelism().map_or(1, usize::from);
    let slots = args.slots.map_or_else(cores, |slots| slots as usize);
    let ahead = args.ahead.map_or(Ahead::Measured, |ahead| Ahead::Fixed(ahead as usize));
    make_room(slots).map_err(Error::Room)?;
    let name = args.name.clone().unwrap_or_else(|| format!("{}:{}", host_name(), guardian.pid()));

    let start = Instant::now();
    let limits = limits(&args, &name, start);
    let given_up = [args.idle_timeout, args.hub_timeout].into_iter().flatten();
    let given_up = given_up.filter_map(|time| start.checked_add(time));
    let until = given_up.chain(limits.time.map(|time| time.stop_at)).min();
    let (target, welcome) = find_hub(&args, &name, &guardian, until)?;
    let tail_bytes = match welcome.output_bytes_max {
        0 => args.output_bytes,
        max => args.output_bytes.min(max),
    };
    let worker = wire::Worker { name: name.clone(), id: random_id()?, host: host_name() };
    let pool = Pool::new(worker, slots, ahead, !args.until_done, limits);
    let term = Duration::from_millis(welcome.worker_timeout_ms);
    let link = Link::new(target, &welcome.report_endpoint, term, Instant::now())?;
    adopt_orphans();
    let processes = Processes::new(tail_bytes as usize, core_limit)?;
    let setting = Setting {
        worker: name.clone(),
        host: host_name(),
        hub: link.target().endpoint.clone(),
        access: link.target().access.as_ref().map(absolute).transpose()?,
        dir,
        env: args.env,
        output,
        file_mode: args.mode.file_mode,
    };
    let config = Config {
        name,
        program,
        setting,
        guardian: Some(guardian),
        until_done: args.until_done,
        timeout: args.hub.timeout(),
        hub_timeout: args.hub_timeout,
        when_lost: args.when_hub_is_lost,
    };
    Ok(Worker::new(config, pool, link, processes, Signals::new()?).run()?)
}

fn limits(args: &Args, name: &str, now: Instant) -> Limits {
    let time = match args.time_limit {
        Some(args::TimeLimit::Never) => None,
        Some(args::TimeLimit::After(time)) => Some(time),
        None => allocated(name),
    };
    let failures = args.max_failures_in_a_row as usize;
    Limits {
        time: time.and_then(|time| TimeLimit::new(time, now)),
        idle: args.idle_timeout,
        tasks: args.max_tasks,
        failures_in_a_row: (failures > 0).then_some(failures),
        halt: args.halt,
        retry_on: args.retry_on.clone(),
    }
}

/// What may be used of the batch job that this runs in, if it does.
fn allocated(name: &str) -> Option<Duration> {
    let Allocation { job, end } = Allocation::here()?;
    match end {
        End::Never => None,
        End::In(left) => {
            let time = usable(left);
            let shown = rounded(time);
            say(format_args!("kworker {name} · leaves within {shown}: Slurm job {job} ends then"));
            Some(time)
        }
        End::Unknown(why) => {
            say(format_args!(
                "kworker {name} · when does Slurm job {job} end? {why}; better say --time-limit"
            ));
            None
        }
    }
}

/// The first contact. Until then nothing is held, so a signal may simply end the process.
fn find_hub(
    args: &Args,
    name: &str,
    guardian: &Guardian,
    until: Option<Instant>,
) -> Result<(Target, Welcome), Error> {
    const WAIT: Duration = Duration::from_secs(2);
    const AGAIN: Duration = Duration::from_millis(200);
    /// A hub that was full and is not there now may be being started again.
    const RESTART: Duration = Duration::from_secs(30);
    let (mut told, mut full_until) = (false, None);
    let mut tell = |why: &str| {
        if !std::mem::replace(&mut told, true) {
            say(format_args!("kworker {name} · {why}; waiting for it"));
        }
    };
    loop {
        if guardian.is_gone() {
            return Err(Error::Guardian);
        }
        let was_full = full_until.is_some_and(|until| Instant::now() < until);
        if (args.wait_for_hub || was_full) && until.is_some_and(|until| until <= Instant::now()) {
            return Err(Error::NoHubInTime);
        }
        // Looked for anew: the hub that is waited for makes its own place to be found.
        let target = match args.hub.find_now() {
            Err(error) if error.may_pass() && args.wait_for_hub => {
                let why = error.to_string();
                tell(why.lines().next().unwrap_or_default());
                std::thread::sleep(AGAIN);
                continue;
            }
            Err(error) if error.may_pass() => args.hub.find()?,
            target => target?,
        };
        let timeout = if args.wait_for_hub { WAIT } else { args.hub.timeout() };
        let mut client = Client::new(target.clone(), timeout);
        let hello = wire::Hello { version: VERSION.to_owned() };
        match client.request(request::Body::Hello(hello), Duration::ZERO) {
            Ok(reply::Body::Welcome(welcome)) => return Ok((target, welcome)),
            Ok(_) => {
                let endpoint = target.endpoint;
                return Err(Error::Client(ClientError::Unexpected { endpoint }));
            }
            Err(ClientError::NoHub { .. }) if args.wait_for_hub || was_full => {
                tell(&format!("no hub at {} yet", target.endpoint));
            }
            Err(error @ ClientError::Unreachable { .. }) if args.wait_for_hub || was_full => {
                tell(&error.to_string());
            }
            // Places are taken in turns; a pool that waits for its own is none that failed.
            Err(error @ ClientError::Full { .. }) => {
                if until.is_some_and(|until| until <= Instant::now()) {
                    return Err(Error::Client(error));
                }
                full_until = Instant::now().checked_add(RESTART);
                tell(&format!("the hub at {} has no room for another pool yet", target.endpoint));
                std::thread::sleep(AGAIN);
            }
            // Ours may be about to come back.
            Err(ClientError::Denied(denial)) if args.wait_for_hub && !denial.is_final(false) => {
                tell(&format!("no hub at {} yet: {denial}", target.endpoint));
            }
            Err(error @ (ClientError::NoHub { .. } | ClientError::Unreachable { .. })) => {
                return Err(Error::NoHub { error });
            }
            Err(error) => return Err(Error::Client(error)),
        }
    }
}

fn log(verbose: u8) {
    let level = ["warn", "info", "debug"][usize::from(verbose.min(2))];
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(cli::stderr_has_colors());
    log.with_writer(|| Stderr).log_internal_errors(false).init();
}
