//! The command line of dhub.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use dhub_proto::{endpoint, exit, limits, options};

/// A persistent task hub.
///
/// Keeps a graph of tasks, hands them to workers, and knows what is waiting, ready, running and
/// done. Talk to it with dquery, run its tasks with kworker.
#[derive(Parser, Clone, Debug)]
#[command(name = "dhub", version, after_help = exit::HUB_HELP, after_long_help = format!("\
Examples:
  dhub -f run.db &                     a hub for this machine, on a file
  dhub -f run.db --insecure &          also for programs written for dwork
  dhub check run.db                    is the file of a stopped hub sound, and what is in it?
  dhub backup run.db copy.db           copies it; of a running hub: dquery backup copy.db

{}", exit::HUB_HELP))]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    pub action: Option<Action>,

    /// Keep the tasks in FILE; made if it is missing. Without it they live in memory only
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Also listen on plain TCP, on 127.0.0.1 unless --bind says otherwise.
    /// Whoever can connect can run commands as the users of the workers
    #[arg(long)]
    pub insecure: bool,

    /// TCP port of the requests; reports go to the next one. 0: any free port
    #[arg(short, long, value_name = "PORT", default_value_t = limits::PORT)]
    pub port: u16,

    /// Listen at this endpoint instead of tcp://127.0.0.1:PORT; can be given several times.
    /// The hub's own ipc endpoint stays
    #[arg(long, value_name = "ENDPOINT", value_parser = endpoint::parse)]
    pub bind: Vec<String>,

    /// Take the tasks of a worker back when it has been silent for this long
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_term)]
    pub worker_timeout: Duration,

    /// How long a task may be held without heartbeats: by shell loops and programs written for dwork
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_term)]
    pub lease: Duration,

    /// Refuse new tasks when less than this is free on the disk of FILE
    #[arg(long, value_name = "MIB", default_value_t = 100)]
    pub disk_reserve_mib: u64,

    /// Accept a FILE on a network file system: slower, with another kind of journal
    #[arg(long, requires = "file")]
    pub network_file: bool,

    /// Start although FILE.redo is gone: what was acknowledged last is lost with it
    #[arg(long, requires = "file")]
    pub without_redo: bool,

    /// Say more; twice: even more. RUST_LOG has the last word
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// What can be done with the file of a stopped hub.
#[derive(Subcommand, Clone, Debug)]
pub enum Action {
    /// Look whether the file of a stopped hub is sound, and what is in it
    Check {
        file: PathBuf,
        /// Accept a FILE on a network file system
        #[arg(long)]
        network_file: bool,
    },
    /// Copy the file of a stopped hub to a new file
    Backup {
        file: PathBuf,
        /// Nothing may be there
        to: PathBuf,
        /// Accept a FILE on a network file system
        #[arg(long)]
        network_file: bool,
    },
}

fn parse_term(text: &str) -> Result<Duration, String> {
    let term = options::parse_duration(text)?;
    let ms = term.as_millis();
    if ms < 1000 || ms > u128::from(limits::LEASE_MS_MAX) {
        return Err("it must be between 1s and 30days".into());
    }
    Ok(term)
}

impl Args {
    /// Endpoints besides the hub's own ipc one.
    pub fn endpoints(&self) -> Result<Vec<String>, String> {
        let tcp = self.bind.iter().find(|endpoint| endpoint.starts_with("tcp://"));
        if let (false, Some(endpoint)) = (self.insecure, tcp) {
            return Err(format!(
                "{endpoint} is plain TCP, where anyone can add commands; if that is what you want, add --insecure"
            ));
        }
        if !self.insecure && self.port != limits::PORT {
            return Err(
                "a port is of use with --insecure only; without it the hub listens on ipc".into()
            );
        }
        if self.insecure && self.bind.is_empty() {
            return Ok(vec![format!("tcp://127.0.0.1:{}", self.port)]);
        }
        Ok(self.bind.clone())
    }
}
