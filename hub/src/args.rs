//! The command line of dhub.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use dhub_proto::private::ModeOption;
use dhub_proto::{cli, endpoint, exit, limits, options};

use crate::engine::scheduler::state::backoff::DELAY_MS_MAX;

/// A persistent task hub.
///
/// Keeps a graph of tasks, hands them to workers, and knows what is waiting, ready, running and
/// done. Talk to it with dquery, run its tasks with kworker.
#[derive(Parser, Clone, Debug)]
#[command(name = "dhub", version, after_help = exit::HUB_HELP, after_long_help = format!("\
Examples:
  dhub -f run.db &                     a hub on a file, encrypted for other machines
  dhub -f run.db --local &             for this machine only
  dhub -f run.db --insecure &          plain, for programs written for dwork
  dhub access new lab --role work      a key for workers where your home is not
  dhub check run.db                    is the file of a stopped hub sound, and what is in it?
  dhub backup run.db copy.db           copies it; of a running hub: dquery backup copy.db
  dhub rescue run.db saved.db          saves what can be read of a damaged one

{}", exit::HUB_HELP))]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    pub action: Option<Action>,

    /// Keep the tasks in FILE; made if it is missing. Without it they live in memory only
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Listen on plain TCP instead, on 127.0.0.1 unless --bind says otherwise.
    /// Whoever can connect can run commands as the users of the workers
    #[arg(long)]
    pub insecure: bool,

    /// Listen on this machine only, over ipc
    #[arg(long, conflicts_with_all = ["insecure", "bind", "port", "curve"])]
    pub local: bool,

    /// TCP port of the requests; reports go to the next one. 0: any free port
    /// [default: 6125; encrypted: that of the last time, or the next free one]
    #[arg(short, long, value_name = "PORT")]
    pub port: Option<u16>,

    /// Listen at this endpoint instead of all addresses (with --insecure: of 127.0.0.1); can be given
    /// several times. The hub's own ipc endpoint stays
    #[arg(long, value_name = "ENDPOINT", value_parser = endpoint::parse)]
    pub bind: Vec<String>,

    /// Beside --insecure: listen encrypted at this endpoint as well; can be given several times
    #[arg(long, value_name = "ENDPOINT", value_parser = endpoint::parse, requires = "insecure")]
    pub curve: Vec<String>,

    /// How other machines reach this one, as access files say it [default: its host name]
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,

    /// Where keys and access files are kept [default: ~/.dhub]
    #[arg(long, value_name = "DIR", env = "DHUB_DIR")]
    pub dir: Option<PathBuf>,

    /// Take the tasks of a worker back when it has been silent for this long
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_term)]
    pub worker_timeout: Duration,

    /// How long a task may be held without heartbeats: by shell loops and programs written for dwork
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_term)]
    pub lease: Duration,

    /// How long a failed task that has retries left waits before it is tried again: TIME after the first failure, twice as
    /// long after each further one, at most 5 minutes. 0: it does not wait
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_delay)]
    pub retry_delay: Duration,

    /// Give tasks out by their own priority alone, however urgent those are that need them
    #[arg(long)]
    pub no_priority_inheritance: bool,

    /// Refuse new tasks when less than this is free on the disk of FILE
    #[arg(long, value_name = "MIB", default_value_t = 100)]
    pub disk_reserve_mib: u64,

    /// Accept a FILE on a network file system: slower, with another kind of journal
    #[arg(long, requires = "file")]
    pub network_file: bool,

    /// Start although FILE.redo is gone or damaged, and lose all that only it has, with no list of
    /// that: `dhub rescue` saves more
    #[arg(long, requires = "file")]
    pub without_redo: bool,

    #[command(flatten)]
    pub mode: ModeOption,

    #[command(flatten)]
    pub color: cli::ColorOptions,

    /// Say more; twice: even more. RUST_LOG has the last word
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// What can be done beside running a hub.
#[derive(Subcommand, Clone, Debug)]
pub enum Action {
    /// Show, make and take back the keys that a hub lets in
    #[command(
        subcommand,
        after_help = "Examples:
  dhub access list
  dhub access new node --role work     for workers where your home is not
  dhub access revoke node"
    )]
    Access(crate::net::access::Verb),
    /// Look whether the file of a stopped hub is sound, and what is in it
    #[command(after_help = "Examples:
  dhub check run.db
  dhub check run.db || dhub rescue run.db saved.db     saves what can be read")]
    Check {
        file: PathBuf,
        /// Accept a FILE on a network file system
        #[arg(long)]
        network_file: bool,
    },
    /// Copy the file of a stopped hub to a new file
    #[command(after_help = "Examples:
  dhub backup run.db copy.db           of a hub that runs: dquery backup copy.db")]
    Backup {
        file: PathBuf,
        /// Nothing may be there
        to: PathBuf,
        /// Accept a FILE on a network file system
        #[arg(long)]
        network_file: bool,
        #[command(flatten)]
        mode: ModeOption,
    },
    /// Save what can be read of a damaged file and its logs to a new file, and list what cannot
    #[command(after_help = "Examples:
  dhub rescue run.db saved.db && dhub -f saved.db        if nothing is lost

The files of run.db are only read. Exit codes: 0: nothing is lost; 28: something is lost or in
doubt, and listed; 22: nothing can be saved")]
    Rescue {
        file: PathBuf,
        /// Nothing may be there
        to: PathBuf,
        #[command(flatten)]
        mode: ModeOption,
    },
}

fn parse_delay(text: &str) -> Result<Duration, String> {
    let delay = options::parse_duration(text)?;
    if delay.as_millis() > u128::from(DELAY_MS_MAX) {
        return Err("it must be at most 5m".into());
    }
    Ok(delay)
}

fn parse_term(text: &str) -> Result<Duration, String> {
    let term = options::parse_duration(text)?;
    let ms = term.as_millis();
    if ms < 1000 || ms > u128::from(limits::LEASE_MS_MAX) {
        return Err("it must be between 1s and 30days".into());
    }
    Ok(term)
}

/// An endpoint to listen at.
#[derive(Clone, Debug, PartialEq)]
pub enum Listen {
    Plain(String),
    Curve(String),
    /// Encrypted on all addresses, at the port of the last time or the next free one.
    CurveAnywhere,
}

impl Args {
    /// Endpoints besides the hub's own ipc one.
    pub fn endpoints(&self) -> Vec<Listen> {
        if self.local {
            return Vec::new();
        }
        let given = self.bind.iter().map(|endpoint| {
            match self.insecure && endpoint.starts_with("tcp://") {
                true => Listen::Plain(endpoint.clone()),
                false => Listen::Curve(endpoint.clone()),
            }
        });
        let curve = self.curve.iter().map(|endpoint| Listen::Curve(endpoint.clone()));
        let given: Vec<_> = given.chain(curve).collect();
        if !self.bind.is_empty() {
            return given;
        }
        let port = self.port.unwrap_or(limits::PORT);
        let default = match (self.insecure, self.port) {
            (true, _) => Listen::Plain(format!("tcp://127.0.0.1:{port}")),
            (false, Some(port)) => Listen::Curve(format!("tcp://0.0.0.0:{port}")),
            (false, None) => Listen::CurveAnywhere,
        };
        [default].into_iter().chain(given).collect()
    }
}
