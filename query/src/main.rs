//! `dquery`: adds, steals, completes and watches the tasks of a hub.
//!
//! Standard output carries data, standard error talk. Each verb returns an exit code or a
//! `Failure`; this file is the only place that prints a failure and ends the program.

mod args;
mod batch;
mod completion;
mod failure;
#[cfg(test)]
mod fake;
mod feed;
mod filter;
mod goal;
mod hub;
mod meter;
mod output;
mod pager;
mod patience;
mod render;
mod run;
mod screen;
mod taskfile;
mod top;
mod verbs;
mod watch;

use std::process::ExitCode;

use dhub_proto::cli;
use dhub_proto::exit::Exit;

use args::{Args, Verb};
use failure::Failure;
use hub::Hub;
use output::Output;

fn main() -> ExitCode {
    // Each file is made with the mode that it is to have; this is for those of the libraries.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    // Before any key is read.
    dhub_proto::secret::forbid_dumps();
    match run(cli::parse(completion::names, completion::takes_names)) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.print();
            failure.exit.into()
        }
    }
}

fn run(args: Args) -> Result<Exit, Failure> {
    let out = Output { json: args.json };
    if let Verb::Completions(verb) = args.verb {
        // Nobody needs a hub to set up a shell.
        return verbs::completions::run(verb, out);
    }
    let mut found = Hub::find(&args.hub)?;
    let hub = &mut found;
    match args.verb {
        // A thread of its own asks that hub again and again.
        Verb::Status(verb) => verbs::status::run(verb, found, out),
        Verb::Completions(verb) => verbs::completions::run(verb, out),
        Verb::Create(verb) => verbs::create::run(verb, hub, out),
        Verb::Addfile(verb) => verbs::addfile::run(verb, hub, out),
        Verb::Steal(verb) => verbs::steal::run(verb, hub, out),
        Verb::Complete(verb) => verbs::complete::run(verb, hub, out),
        Verb::Fail(verb) => verbs::fail::run(verb, hub, out),
        Verb::Release(verb) => verbs::release::run(verb, hub, out),
        Verb::Heartbeat(verb) => verbs::heartbeat::run(verb, hub, out),
        Verb::Exit(verb) => verbs::exit::run(verb, hub, out),
        Verb::Top(verb) => top::run(verb, hub, out),
        Verb::Wait(verb) => verbs::wait::run(verb, hub, out),
        Verb::Cancel(verb) => verbs::cancel::run(verb, hub, out),
        Verb::Hold(verb) => verbs::hold::hold(verb, hub, out),
        Verb::Unhold(verb) => verbs::hold::unhold(verb, hub, out),
        Verb::Priority(verb) => verbs::priority::run(verb, hub, out),
        Verb::Retry(verb) => verbs::retry::run(verb, hub, out),
        Verb::List(verb) => verbs::list::run(verb, hub, out),
        Verb::Logs(verb) => verbs::logs::run(verb, hub, out),
        Verb::Show(verb) => verbs::show::run(verb, hub, out),
        Verb::Workers => verbs::worker::list(hub, out),
        Verb::Worker(verb) => verbs::worker::run(verb, hub, out),
        Verb::Graph(verb) => verbs::graph::run(verb, hub, out),
        Verb::Report(verb) => verbs::report::run(verb, hub, out),
        Verb::Export(verb) => verbs::export::run(verb, hub, out),
        Verb::Backup(verb) => verbs::backup::run(verb, hub, out),
        Verb::Shutdown => verbs::shutdown::run(hub, out),
    }
}
