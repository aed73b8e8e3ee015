//! The command line: the verbs, their help and what their values must look like.

use clap::{Parser, Subcommand, ValueEnum};
use dhub_proto::cli::ColorOptions;
use dhub_proto::exit::CLIENT_HELP;
use dhub_proto::limits::{
    COMMAND_BYTES_MAX, DIR_BYTES_MAX, ENV_BYTES_MAX, NAME_BYTES_MAX, WORKER_NAME_BYTES_MAX,
};
use dhub_proto::options::HubOptions;
use dhub_proto::wire;

use crate::render::words::number;
use crate::top::Top;
use crate::verbs::{
    addfile, backup, cancel, complete, completions, create, exit, export, fail, graph, heartbeat,
    hold, list, logs, priority, release, report, retry, show, status, steal, wait, worker,
};

const EXAMPLES: &str = "Examples:
  dquery addfile tasks.txt             name,dependency,dependency: one task a line
  dquery status --watch                how far, how fast, what failed, what blocks
  dquery wait && ./report.sh           until all are done
  dquery show sim-1                    why it does not run, what its attempts came to
  dquery retry --failed
  dquery VERB --help                   says more, with examples";

/// Adds, steals, completes and watches the tasks of a dhub
#[derive(Parser, Debug)]
#[command(name = "dquery", version, after_help = format!("{EXAMPLES}\n\n{CLIENT_HELP}"), arg_required_else_help = true,
          max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    pub hub: HubOptions,

    #[command(flatten)]
    pub color: ColorOptions,

    /// Print JSON instead of text for people
    #[arg(long, global = true)]
    pub json: bool,

    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Add one task
    ///
    /// Dependencies that nobody added yet are waited for. Adding the same task again changes
    /// nothing; adding the name with another definition is refused.
    #[command(after_help = "Examples:
  dquery create prep --command './prep.sh all'
  dquery create sim-1 prep --command './sim 1' --retries 2 --time-limit 10m
  dquery create sim-2 --command ./sim --dir /scratch/2 --env THREADS=4 --stdin 2.inp
  dquery create './plot.sh out/1.csv'            the name is the command")]
    Create(create::Create),

    /// Add the tasks of a file
    ///
    /// One task a line: name,dependency,dependency. The name is the command, unless --command
    /// gives a template. Empty lines and lines that start with # are skipped; the order of the
    /// lines does not matter. The whole file is checked before anything is added, and adding it
    /// again adds only what is missing.
    ///
    /// JSON lines (a name that ends in .jsonl, or --jsonl) may have the fields name, needs,
    /// command, priority, retries, time_limit ("10m", or a number of seconds), dir, env (an object)
    /// and stdin. Variables of --env that a line has too are as the line says.
    #[command(after_help = "Examples:
  dquery addfile tasks.txt
  dquery addfile tasks.txt --command './sim {}' --retries 2
  seq 1000 | dquery addfile - --command './sim {}'
  dquery addfile tasks.jsonl      {\"name\": \"a\", \"needs\": [\"b\"], \"time_limit\": \"10m\"}")]
    Addfile(addfile::Addfile),

    /// Take ready tasks
    ///
    /// The lease lasts as long as the hub's --lease says (1 h) or --lease here; `heartbeat` renews it.
    #[command(after_help = "Examples:
  while task=$(dquery steal -q); do
    if ./run.sh \"$task\"; then dquery complete -- \"$task\"; else dquery fail -- \"$task\"; fi
  done
  dquery steal -q --wait           wait until a task is ready or all are finished
  dquery steal -n 10 --json

Exit codes:
  0  got at least one task         3  nothing is ready yet (also when --wait=TIME is over)
  4  everything is finished        5  the rest waits for names that nobody added
  7  no hub answers               13  this worker was told to leave      others: dquery --help")]
    Steal(steal::Steal),

    /// Report tasks as done
    #[command(after_help = "Examples:
  dquery complete sim-1 sim-2
  dquery complete sim-1 --attempt 3      counts only if attempt 3 is the newest
  dquery complete -- \"$task\"             in scripts: also of one that begins with a dash")]
    Complete(complete::Complete),

    /// Report tasks as failed
    ///
    /// A task that has retries left is ready again; else what depends on it is skipped.
    #[command(after_help = "Examples:
  dquery fail sim-1 --exit-code $? --reason 'no input file'")]
    Fail(fail::Fail),

    /// Give back tasks that were not started
    #[command(after_help = "Examples:
  dquery release sim-1 sim-2
  dquery release -- \"$task\"")]
    Release(release::Release),

    /// Renew the leases of tasks that run
    #[command(after_help = "Examples:
  while sleep 600; do dquery heartbeat sim-1 || break; done &

Exit codes:
  0  renewed                       6  this worker does not hold one of them any more
 13  this worker was told to stop  others: dquery --help")]
    Heartbeat(heartbeat::Heartbeat),

    /// Leave: all that a worker holds is ready again
    #[command(after_help = "Examples:
  dquery exit              this machine's tasks
  dquery exit node12")]
    Exit(exit::Exit),

    /// Show what is going on
    ///
    /// How far the run is, how fast it goes, what failed and why, who works, and what blocks.
    #[command(after_help = "Examples:
  dquery status
  dquery status --watch            repainted every second; q or Ctrl-C ends it, not the run
  dquery status --watch=10 >> log  no terminal: a line for each change
  dquery status --json | jq .counts.failed")]
    Status(status::Status),

    /// Look at the run on the whole screen, and steer it
    ///
    /// Tasks and workers, with throughput, failures and the estimated end above them. Keys filter, sort, open
    /// one task, cancel, retry and hold it, drain and stop workers; ? lists them. The hub is asked once a second, and
    /// less often while its answers take long.
    #[command(after_help = "Examples:
  dquery top
  NO_COLOR=1 dquery top            without colours

Keys: Tab tasks or workers · / name · f state · s sort · Enter open · c cancel · r retry · h hold · ? help · q quit

Exit codes:
  0  somebody quit                 2  standard output is no terminal
  7  no hub answers at the start   others: dquery --help")]
    Top(Top),

    /// Wait until every task is finished, or those that are named
    ///
    /// On a terminal with a bar, else with a line now and then. Restarts of the hub are waited through.
    /// Ctrl-C ends the waiting, not the run, and so does --timeout, if it is given. At the end failures are grouped by their reason.
    ///
    /// Tasks that are added later count too where names and patterns choose; with other choices, such as
    /// --state running, those are waited for that are so now.
    #[command(after_help = "Examples:
  dquery wait && ./report.sh
  dquery wait 'sim-*' merge
  dquery wait --state running --timeout 1h --every 10m

Exit codes:
  0  all of them are done          1  some failed, were skipped or cancelled
  5  the rest waits for names that nobody added
  6  there are no such tasks       7  no hub answers
 10  --timeout (or --wait-limit) is over                others: dquery --help")]
    Wait(wait::Wait),

    /// Cancel unfinished tasks; what depends on them is skipped
    ///
    /// Asks first, unless every task is named, or with --yes.
    #[command(after_help = "Examples:
  dquery cancel sim-1 sim-2
  dquery cancel 'sim-*' --dry-run            which would it be?
  dquery cancel --state waiting,ready --yes")]
    Cancel(cancel::Cancel),

    /// Run failed, skipped or cancelled tasks again
    #[command(after_help = "Examples:
  dquery retry --failed            and what was skipped because of them
  dquery retry --exit-code 137 --since 1h
  dquery retry sim-1
  dquery retry sim-1 --done        again, although it is done")]
    Retry(retry::Retry),

    /// Keep unfinished tasks from being given out
    ///
    /// They wait until `unhold`; those that run go on, and are held if they come back.
    #[command(after_help = "Examples:
  dquery hold 'sim-*'
  dquery hold --state waiting,ready        stop giving out anything, for now
  dquery list --held")]
    Hold(hold::Hold),

    /// Let tasks that were held be given out again
    #[command(after_help = "Examples:
  dquery unhold 'sim-1?'
  dquery unhold --held             all of them")]
    Unhold(hold::Hold),

    /// Change the priority of unfinished tasks
    #[command(after_help = "Examples:
  dquery priority 10 'merge-*'     before all others of a smaller one
  dquery priority -- -5 --prefix sim-")]
    Priority(priority::Priority),

    /// List tasks
    #[command(after_help = "Examples:
  dquery list --failed
  dquery list 'sim-1*' --state running,ready -n 20
  dquery list --since 10m --worker 'node12*'
  dquery list --exit-code 137 --sort -time
  dquery list --all --json | jq -r .name")]
    List(list::List),

    /// Show one task: what it waits for, what needs it, its attempts
    #[command(after_help = "Examples:
  dquery show sim-1
  dquery show sim-1 --output       only what it wrote, or the end of that")]
    Show(show::Show),

    /// Print what a task wrote
    ///
    /// All of it where the file of `kworker --output DIR` can be read from here (on the machine where it
    /// ran, or on a shared file system); else the end, which the hub keeps.
    #[command(after_help = "Examples:
  dquery logs sim-1
  dquery logs sim-1 --attempt 1
  dquery logs -f sim-1             goes on until the task is finished")]
    Logs(logs::Logs),

    /// Draw the graph of the tasks, in DOT, the language of graphviz
    ///
    /// Colours are states. More than 200 tasks are grouped by name, with their numbers by state.
    #[command(after_help = "Examples:
  dquery graph | dot -Tsvg > graph.svg
  dquery graph sim-1 --depth 2 | dot -Tpng > sim-1.png
  dquery graph --all > graph.dot          every task, however many there are")]
    Graph(graph::Graph),

    /// Write a page about the run: timeline, throughput, lengths, waiting, failures, critical path
    ///
    /// One file without anything from elsewhere; any browser shows it. Also while tasks run.
    #[command(after_help = "Examples:
  dquery report run.html
  dquery report - | ssh web 'cat > run.html'")]
    Report(report::Report),

    /// Write every task with its attempts, for other programs
    ///
    /// JSON lines, one task a line, described in docs/operations.md. Or, with --joblog, what GNU
    /// parallel writes with its option of that name, one line an attempt that ended.
    #[command(after_help = "Examples:
  dquery export > run.jsonl
  dquery export | jq -r 'select(.state == \"failed\") | .name'
  dquery export --joblog run.log          Seq, Host, Starttime, JobRuntime, … , Command
  dquery export --joblog - | sort -k4,4nr | head")]
    Export(export::Export),

    /// List the workers that the hub knows; the same as `worker list`
    ///
    /// silent: a heartbeat is overdue; lost: silent for the hub's --worker-timeout, and what it held
    /// was taken back. draining and stopping: it was told so.
    #[command(after_help = "Examples:
  dquery workers
  dquery workers --json | jq -r 'select(.lost) | .host'")]
    Workers,

    /// List workers, and tell them to drain or to stop
    #[command(
        subcommand,
        after_help = "Examples:
  dquery worker list
  dquery worker drain 'node12:*'       finish what runs, then leave"
    )]
    Worker(worker::Worker),

    /// Copy the file of a running hub to a new file on its machine; over ipc only
    #[command(after_help = "Examples:
  dquery backup run-copy.db
  dhub -f run-copy.db                  goes on from the copy")]
    Backup(backup::Backup),

    /// Stop the hub; tasks that run go on, and a new hub on the same file takes over
    #[command(after_help = "Examples:
  dquery shutdown
  dquery -s login3 shutdown            the hub on that machine")]
    Shutdown,

    /// Print what a shell reads to complete command lines of dquery, kworker and dhub
    ///
    /// With the names of tasks and workers, which are asked from the hub.
    #[command(after_help = "Examples:
  source <(dquery completions bash)    in ~/.bashrc
  source <(dquery completions zsh)     in ~/.zshrc, after compinit
  dquery completions fish | source     in ~/.config/fish/config.fish")]
    Completions(completions::Completions),
}

/// States as people name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum State {
    Waiting,
    Ready,
    Running,
    Done,
    Failed,
    Skipped,
    Cancelled,
}

impl From<State> for wire::State {
    fn from(state: State) -> Self {
        match state {
            State::Waiting => Self::Waiting,
            State::Ready => Self::Ready,
            State::Running => Self::Running,
            State::Done => Self::Done,
            State::Failed => Self::Failed,
            State::Skipped => Self::Skipped,
            State::Cancelled => Self::Cancelled,
        }
    }
}

/// As whom a verb speaks to the hub.
#[derive(clap::Args, Debug)]
pub struct WorkerOptions {
    /// Name of the worker; without it, the name of this machine
    #[arg(long, value_name = "NAME", env = "DHUB_WORKER", hide_env_values = true,
          value_parser = worker_name)]
    pub worker: Option<String>,
}

impl WorkerOptions {
    /// A worker known by its name; `host` is the name given in the place that dwork has for it.
    pub fn worker(self, host: Option<String>) -> wire::Worker {
        let name = host.or(self.worker).unwrap_or_else(dhub_proto::host_name);
        wire::Worker { name, ..wire::Worker::default() }
    }
}

pub fn task_name(text: &str) -> Result<String, String> {
    check_text(text, "a name", 1, NAME_BYTES_MAX)
}

pub fn worker_name(text: &str) -> Result<String, String> {
    check_text(text, "the name of a worker", 1, WORKER_NAME_BYTES_MAX)
}

pub fn dir(text: &str) -> Result<String, String> {
    check_text(text, "a directory", 1, DIR_BYTES_MAX)
}

/// NAME=VALUE
pub fn env(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        None | Some(("", _)) => Err("it is not NAME=VALUE".into()),
        Some(_) => check_text(text, "a variable", 2, ENV_BYTES_MAX),
    }
}

pub fn command(text: &str) -> Result<String, String> {
    check_text(text, "a command", 0, COMMAND_BYTES_MAX)
}

fn check_text(text: &str, what: &str, min: usize, max: usize) -> Result<String, String> {
    if text.len() < min || text.len() > max {
        let (max, has) = (number(max as u64), number(text.len() as u64));
        return Err(format!("{what} has {min} to {max} bytes, this one has {has}"));
    }
    if text.contains('\0') {
        return Err(format!("{what} has no NUL byte"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn command_lines_of_dwork_are_understood() {
        for line in [
            "dquery -s tcp://login3:6125 create a b c",
            "dquery create a",
            "dquery addfile tasks.txt",
            "dquery steal",
            "dquery steal -q",
            "dquery steal -q -n 4 node12",
            "dquery -s tcp://login3:6125 steal -n 1",
            "dquery complete a",
            "dquery exit",
            "dquery exit node12",
            "dquery status",
        ] {
            let args = Args::try_parse_from(line.split(' '));
            assert!(args.is_ok(), "{line}: {}", args.unwrap_err());
        }
    }

    #[test]
    fn what_cannot_be_meant_is_a_usage_error() {
        let long = "x".repeat(1025);
        for line in [
            "dquery steal -n 0",
            "dquery steal -n 65537",
            "dquery list -n 0",
            "dquery priority high a",
            "dquery list --since yesterday",
            "dquery complete",
            "dquery create a --retries 1000001",
            "dquery create a --env =x",
            "dquery create a --env x",
            &format!("dquery show {long}"),
            &format!("dquery steal {}", &long[..256]),
        ] {
            let error = Args::try_parse_from(line.split(' ')).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn a_misspelt_verb_is_corrected() {
        let error = Args::try_parse_from(["dquery", "complet", "a"]).unwrap_err().to_string();
        assert!(error.contains("complete"), "{error}");
    }
}
