//! Measures a hub beside a raw ZeroMQ echo, in the same minutes on the same machine.

mod case;
mod client;
mod core;
mod disk;
mod echo;
mod growth;
mod lanes;
mod look;
mod parked;
mod process;
mod report;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use case::{Bench, CASES, Scale};
use clap::{Parser, Subcommand};
use report::{Report, Row, Run};

#[derive(Parser)]
#[command(about, version)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Serve as the baseline: send back each request
    Echo {
        #[arg(long)]
        endpoint: String,
    },
    /// Where the time of one task goes in the hub's own thread, without sockets and store
    Core {
        /// steal-1, create-256, ...; all without
        cases: Vec<String>,
        /// Runs of each case; the median counts
        #[arg(long, default_value_t = 5)]
        runs: usize,
        /// Fewer tasks, by this factor
        #[arg(long, default_value_t = 1)]
        divide: u64,
    },
    /// Measure all cases, or those named, and print the table
    Table {
        /// steal-1, create-256, ...; all without
        cases: Vec<String>,
        /// Runs of each case; the median counts
        #[arg(long, default_value_t = 5)]
        runs: usize,
        /// Where the hubs' files go: on a disk
        #[arg(long, default_value = ".")]
        dir: PathBuf,
        /// Another hub that runs already, and speaks the dwork dialect
        #[arg(long)]
        endpoint: Option<String>,
        /// Fewer tasks, by this factor: for a quick look, not for figures
        #[arg(long, default_value_t = 1)]
        divide: u64,
        /// Write the figures to this file, as JSON
        #[arg(long)]
        json: Option<PathBuf>,
        /// Compare with such a file
        #[arg(long)]
        compare: Option<PathBuf>,
    },
    /// Measure how fast people get answers while a large run goes on, and what that costs the run
    Look {
        /// Where the hub's file goes: on a disk
        #[arg(long, default_value = ".")]
        dir: PathBuf,
        /// Fewer tasks, by this factor: for a quick look, not for figures
        #[arg(long, default_value_t = 1)]
        divide: u64,
    },
    /// Measure memory, file and restarts of a hub with ten million tasks
    Growth {
        /// Where the hub's file goes: on a disk with 10 GiB
        #[arg(long, default_value = ".")]
        dir: PathBuf,
        /// Fewer tasks, by this factor: for a quick look, not for figures
        #[arg(long, default_value_t = 1)]
        divide: u64,
        /// Add the figures to this file, as JSON
        #[arg(long)]
        json: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    match Args::parse().what {
        What::Echo { endpoint } => match echo::serve(&endpoint) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&format!("{endpoint}: {error}")),
        },
        What::Core { cases, runs, divide } => match core::run(&cases, runs, divide.max(1)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => failed(&why),
        },
        What::Look { dir, divide } => {
            if let Err(why) = disk::file_system(&dir) {
                return failed(&why);
            }
            let below = dir.canonicalize().expect("the directory");
            ExitCode::from(u8::from(!look::measure(&programs(), &below, divide.max(1))))
        }
        What::Growth { dir, divide, json } => {
            if let Err(why) = disk::file_system(&dir) {
                return failed(&why);
            }
            let program = programs().join("dhub");
            let below = dir.canonicalize().expect("the directory");
            match growth::measure(&program, &below, divide, json.as_deref()) {
                Ok(met) => ExitCode::from(u8::from(!met)),
                Err(why) => failed(&why),
            }
        }
        What::Table { cases, runs, dir, endpoint, divide, json, compare } => {
            if let Some(unknown) = cases.iter().find(|key| !CASES.iter().any(|it| it.key == **key))
            {
                let known: Vec<&str> = CASES.iter().map(|case| case.key).collect();
                return failed(&format!(
                    "there is no case {unknown}; there are {}",
                    known.join(", ")
                ));
            }
            let file_system = match disk::file_system(&dir) {
                Ok(kind) => kind,
                Err(why) => return failed(&why),
            };
            let commit_us = match disk::commit_us(&dir) {
                Ok(us) => us,
                Err(error) => return failed(&format!("{}: {error}", dir.display())),
            };
            let programs = programs();
            let below = dir.canonicalize().expect("the directory");
            let bench =
                Bench { programs, below, endpoint, scale: Scale(divide.max(1)), run: 0.into() };
            let echo = echo::measure(16, Duration::from_secs(2));
            let mut report = Report {
                version: dhub_proto::VERSION.into(),
                file_system,
                commit_us,
                echo_per_s: echo.per_second(echo.requests),
                runs,
                cases: BTreeMap::new(),
            };
            println!(
                "file system {}, a page written and synced in {:.0} us; echo {:.0} round trips a second",
                report.file_system, report.commit_us, report.echo_per_s
            );
            // Round after round, so that a slow minute of the machine hits all cases alike.
            let mut measured: BTreeMap<&str, Vec<Run>> = BTreeMap::new();
            let wanted = |key: &str| cases.is_empty() || cases.iter().any(|case| case == key);
            for run in 1..=runs.max(1) {
                for case in CASES.iter().filter(|case| wanted(case.key)) {
                    if bench.endpoint.is_none() || case.dwork {
                        // What others do to the disk shows in no echo.
                        let sync = || disk::commit_us(&dir).expect("the disk worked before");
                        let before = sync();
                        let (figure, ratio) = (case.measure)(&bench);
                        let sync_us = (before + sync()) / 2.0;
                        eprintln!(
                            "run {run}: {:<12} {figure:>10.1}   ratio {ratio:.2}   sync {sync_us:.0} us",
                            case.key
                        );
                        let run = Run { figure, ratio, sync_us };
                        measured.entry(case.key).or_default().push(run);
                    }
                }
            }
            for case in &CASES {
                if let Some(runs) = measured.get(case.key) {
                    report.cases.insert(case.key.into(), Row::new(case, runs));
                }
            }
            finish(&report, json, compare)
        }
    }
}

/// The directory with dhub and dquery: that of this program.
fn programs() -> PathBuf {
    let own = std::env::current_exe().expect("the path of this program");
    own.parent().expect("its directory").to_owned()
}

fn finish(report: &Report, json: Option<PathBuf>, compare: Option<PathBuf>) -> ExitCode {
    let before: Option<Report> = match compare.map(std::fs::read) {
        None => None,
        Some(read) => match read
            .map_err(|error| error.to_string())
            .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()))
        {
            Ok(before) => Some(before),
            Err(why) => return failed(&format!("cannot compare: {why}")),
        },
    };
    println!("{}", report::table(report, before.as_ref()));
    if let Some(path) = json {
        let text = serde_json::to_string_pretty(report).expect("plain data");
        if let Err(error) = std::fs::write(&path, text + "\n") {
            return failed(&format!("{}: {error}", path.display()));
        }
    }
    ExitCode::from(u8::from(report.cases.values().any(|row| !row.met)))
}

fn failed(why: &str) -> ExitCode {
    eprintln!("dhub-bench: {why}");
    ExitCode::from(2)
}
