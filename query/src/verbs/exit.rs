//! `exit`: a worker leaves; all that it holds is ready again.

use dhub_proto::exit::Exit as Code;
use dhub_proto::wire;
use serde_json::json;

use crate::args::{WorkerOptions, worker_name};
use crate::failure::Failure;
use crate::hub::{Hub, ask};
use crate::output::Output;
use crate::render::words;

#[derive(clap::Args, Debug)]
pub struct Exit {
    /// Name of the worker; the same as --worker
    #[arg(value_parser = worker_name)]
    host: Option<String>,

    #[command(flatten)]
    worker: WorkerOptions,
}

pub fn run(args: Exit, hub: &mut Hub, out: Output) -> Result<Code, Failure> {
    let worker = args.worker.worker(args.host);
    let exited = ask!(hub, Exit(wire::Exit { worker: Some(worker) }) => Exited);
    let sentence = || match exited.released {
        0 => "it held no tasks".to_owned(),
        1 => "1 task is ready again".to_owned(),
        n => format!("{} are ready again", words::tasks(n)),
    };
    out.result(sentence, json!({ "released": exited.released }))?;
    Ok(Code::Ok)
}
