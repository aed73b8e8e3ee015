//! `complete`: reports tasks as done. Says nothing when all went well: it stands in loops.

use dhub_proto::exit::Exit;
use dhub_proto::wire::{self, Outcome};

use super::held::Held;
use crate::failure::Failure;
use crate::hub::Hub;
use crate::output::Output;

#[derive(clap::Args, Debug)]
pub struct Complete {
    #[command(flatten)]
    held: Held,
}

pub fn run(args: Complete, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    args.held.report(hub, out, |it| Outcome {
        name: it.name,
        attempt: it.attempt,
        result: wire::Result::Done as i32,
        ..Outcome::default()
    })
}
