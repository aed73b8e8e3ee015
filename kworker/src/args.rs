//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use dhub_proto::cli::ColorOptions;
use dhub_proto::limits::{OUTPUT_BYTES_MAX, WORKER_NAME_BYTES_MAX};
use dhub_proto::options::{HubOptions, parse_duration};
use dhub_proto::private::ModeOption;

use crate::codes::Codes;
use crate::halt::Halt;
use crate::setting::parse_variable;
use crate::worker::WhenLost;

/// Slots and tasks stolen ahead stay below what one heartbeat can list.
const SLOTS_MAX: i64 = 10_000;
const AHEAD_MAX: i64 = 40_000;

const LIMITS: &str = "Limits";

/// A pool of slots: steals tasks from a hub, runs them and reports how they ended
#[derive(Parser, Debug)]
#[command(name = "kworker", version, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    pub hub: HubOptions,

    /// How many tasks run at the same time [default: the number of cores]
    #[arg(short = 'j', long, value_name = "SLOTS",
          value_parser = clap::value_parser!(u32).range(1..=SLOTS_MAX))]
    pub slots: Option<u32>,

    /// How many more tasks to hold, so that no slot waits for the hub [default: as many as end
    /// here within a moment, measured: none where tasks are long]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=AHEAD_MAX))]
    pub ahead: Option<u32>,

    /// Run SCRIPT by the shell for each task; {} is the task's name, as one word. Also {attempt}, {worker}, {slot}
    #[arg(long, value_name = "SCRIPT", conflicts_with = "command")]
    pub shell: Option<String>,

    /// The shell for --shell, and for the commands of tasks that need one [default: $SHELL if it is
    /// like sh (bash, dash, ksh and so on), else sh]
    #[arg(long, value_name = "PROG")]
    pub shell_program: Option<OsString>,

    /// Leave when every task of the hub is finished, and at once if it has none
    #[arg(long)]
    pub until_done: bool,

    /// Wait for a hub that is not there yet, instead of giving up after --timeout
    #[arg(long)]
    pub wait_for_hub: bool,

    /// What people see as the name of this pool [default: HOST:PROCESS]
    #[arg(long, value_name = "NAME", env = "DHUB_WORKER", value_parser = worker_name)]
    pub name: Option<String>,

    /// Where tasks run; also relative to it: PROG, and the directories of tasks [default: here]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// A variable for all tasks; may be repeated, and a task's own win
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_variable)]
    pub env: Vec<(String, String)>,

    /// Where a task's output goes: tail (the last bytes go to the hub), none, or files besides that: a directory
    /// (DIR/{name}.{attempt}.out) or a template with {name}, {attempt}, {worker}, {host}
    #[arg(long, value_name = "WHERE", default_value = "tail")]
    pub output: String,

    #[command(flatten)]
    pub mode: ModeOption,

    /// How much of a task's output to report: the last BYTES
    #[arg(long, value_name = "BYTES", default_value_t = 16 * 1024,
          value_parser = clap::value_parser!(u32).range(0..=OUTPUT_BYTES_MAX as i64))]
    pub output_bytes: u32,

    /// Leave before this time is over: steals only what should end in time, by the length of the
    /// tasks before; stops what still runs, and gives it back. `none`: never [default: what is
    /// left of the Slurm job that this runs in, if it does]
    #[arg(long, value_name = "TIME", value_parser = time_limit, help_heading = LIMITS)]
    pub time_limit: Option<TimeLimit>,

    /// Leave when there was nothing to run for this long
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = LIMITS)]
    pub idle_timeout: Option<Duration>,

    /// Leave when this many tasks have run here
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..),
          help_heading = LIMITS)]
    pub max_tasks: Option<u64>,

    /// Leave, with exit code 12, when so many different tasks in a row failed within a second:
    /// the machine may be broken. 0: never
    #[arg(long, value_name = "N", default_value_t = 10, help_heading = LIMITS)]
    pub max_failures_in_a_row: u32,

    /// Leave, with exit code 1, when so many tasks have failed here, as GNU parallel does: fail=N, or
    /// fail=N% of those that ended here (at least 3). `soon`: what runs may end; `now`: it is ended, and
    /// given back like the rest
    #[arg(long, value_name = "soon|now,fail=N|N%", help_heading = LIMITS)]
    pub halt: Option<Halt>,

    /// Try failed tasks again only if they ended with one of these exit codes, as in 75,130-140
    /// [default: all]
    #[arg(long, value_name = "CODES", help_heading = LIMITS)]
    pub retry_on: Option<Codes>,

    /// Give up a hub that is silent for this long [default: never; running tasks go on, and what
    /// ended is reported when it is back]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = LIMITS)]
    pub hub_timeout: Option<Duration>,

    /// What happens to running tasks then; the exit code is 7
    #[arg(long, value_name = "WHAT", default_value = "finish", requires = "hub_timeout",
          help_heading = LIMITS)]
    pub when_hub_is_lost: WhenLost,

    #[command(flatten)]
    pub color: ColorOptions,

    /// Say more; twice: even more. RUST_LOG chooses in detail
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Run this program for each task, without a shell; {} in it is the task's name. Also as above
    #[arg(last = true, value_name = "PROG ARG")]
    pub command: Vec<OsString>,
}

const AFTER_HELP: &str = "\
Without --shell and PROG the task's own command is run, by sh where it needs one; if it has none, its name.
Tasks find DHUB_TASK, DHUB_ATTEMPT, DHUB_SLOT, DHUB_WORKER, DHUB_HUB in their environment
and, if the hub wants a key, DHUB_ACCESS.

Ctrl-C or SIGTERM: finishes what runs and gives the rest back; again: stops at once.

Exit codes:
   0  all tasks are done (--until-done), or left as asked: by a signal, the hub or a limit
   1  all tasks are finished, but some failed, were skipped or cancelled (--until-done); or so
      many failed here that it left (--halt)
   2  wrong command line          5  the rest waits for names that nobody added (--until-done)
   6  refused by the hub          7  no hub answers
   9  the system refused something          11  the hub does not let this key in
  12  tasks failed one after the other (--max-failures-in-a-row)
  24  the disk takes nothing (--output)      26  the keys cannot be used

Examples:
  kworker -j 8 -- ./simulate {}
  kworker --until-done --shell './convert in/{}.dat > out/{}.txt'";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeLimit {
    Never,
    After(Duration),
}

fn time_limit(text: &str) -> Result<TimeLimit, String> {
    match text {
        "none" => Ok(TimeLimit::Never),
        time => parse_duration(time).map(TimeLimit::After),
    }
}

fn worker_name(text: &str) -> Result<String, String> {
    match text.len() {
        0 => Err("a name is needed".into()),
        1..=WORKER_NAME_BYTES_MAX => Ok(text.to_owned()),
        bytes => Err(format!("a name has at most {WORKER_NAME_BYTES_MAX} bytes, this has {bytes}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn what_follows_the_dashes_is_the_program() {
        let args = Args::try_parse_from(["kworker", "-j", "8", "--", "./sim", "-j", "{}"]).unwrap();
        assert_eq!(args.slots, Some(8));
        assert_eq!(args.command, ["./sim", "-j", "{}"]);
        assert!(Args::try_parse_from(["kworker", "--shell", "x", "--", "y"]).is_err());
        assert!(Args::try_parse_from(["kworker", "-j", "0"]).is_err());
        assert!(Args::try_parse_from(["kworker", "--when-hub-is-lost", "kill"]).is_err());
        assert_eq!(args.when_hub_is_lost, WhenLost::Finish);
        assert!(Args::try_parse_from(["kworker", "--output-bytes", "65537"]).is_err());
    }
}
