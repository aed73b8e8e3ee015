//! `completions`: what a shell reads so that it completes the command lines of all three programs.

use dhub_proto::completion::{Shell, script};
use dhub_proto::exit::Exit;

use crate::failure::Failure;
use crate::output::Output;

const PROGRAMS: [&str; 3] = ["dquery", "kworker", "dhub"];

#[derive(clap::Args, Debug)]
pub struct Completions {
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(args: Completions, out: Output) -> Result<Exit, Failure> {
    out.bytes(&script(args.shell, &PROGRAMS)?)?;
    Ok(Exit::Ok)
}
