//! `fail`: reports tasks as failed.

use dhub_proto::exit::Exit;
use dhub_proto::limits::REASON_BYTES_MAX;
use dhub_proto::wire::{self, Outcome};

use super::held::Held;
use crate::failure::Failure;
use crate::hub::Hub;
use crate::output::Output;

#[derive(clap::Args, Debug)]
pub struct Fail {
    #[command(flatten)]
    held: Held,

    /// Exit code of the command
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true)]
    exit_code: i32,

    /// Why, for people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true,
          value_parser = reason)]
    reason: String,
}

fn reason(text: &str) -> Result<String, String> {
    if text.len() > REASON_BYTES_MAX {
        return Err(format!(
            "a reason has at most {REASON_BYTES_MAX} bytes, this one has {}",
            text.len()
        ));
    }
    Ok(text.to_owned())
}

pub fn run(args: Fail, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    let (exit_code, reason) = (args.exit_code, args.reason);
    args.held.report(hub, out, |it| Outcome {
        name: it.name,
        attempt: it.attempt,
        result: wire::Result::Failed as i32,
        exit_code,
        reason: reason.clone(),
        output: Vec::new(),
        ..Outcome::default()
    })
}
