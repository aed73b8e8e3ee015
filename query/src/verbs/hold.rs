//! `hold` and `unhold`: tasks that are not given out until a person says so.

use dhub_proto::exit::Exit;
use dhub_proto::wire::adjust;

use super::sweep::{self, Sweep};
use crate::failure::Failure;
use crate::hub::Hub;
use crate::output::Output;

#[derive(clap::Args, Debug)]
pub struct Hold {
    #[command(flatten)]
    sweep: Sweep,
}

pub fn hold(args: Hold, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    sweep::adjust(&args.sweep, adjust::Change::Held(true), "held", hub, out)
}

pub fn unhold(args: Hold, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    sweep::adjust(&args.sweep, adjust::Change::Held(false), "held no more", hub, out)
}
