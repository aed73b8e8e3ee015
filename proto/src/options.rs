//! Command-line options that dquery and kworker share.

use std::path::PathBuf;
use std::time::Duration;

use crate::endpoint;

const HUB: &str = "Hub";

/// How to reach the hub.
#[derive(clap::Args, Clone, Debug)]
pub struct HubOptions {
    /// Where the hub is: tcp://HOST:PORT, ipc://PATH, HOST or HOST:PORT [env: DHUB_HUB].
    /// Without it: your only hub that runs, here or, by ~/.dhub, on another machine
    #[arg(short = 's', long = "server", value_name = "ENDPOINT", global = true, help_heading = HUB,
          value_parser = endpoint::parse)]
    pub server: Option<String>,

    /// Where the hub is and who you are to it, by a file of `dhub access new` [env: DHUB_ACCESS].
    /// With -s: only who you are
    #[arg(long, value_name = "FILE", global = true, help_heading = HUB)]
    pub access: Option<PathBuf>,

    /// Talk to a hub at -s that lets in without a key (dhub --insecure), if none is known for it
    /// [env: DHUB_INSECURE=1]. Whoever answers there is believed
    #[arg(long, global = true, help_heading = HUB, conflicts_with = "access")]
    pub insecure: bool,

    /// How long to wait for an answer, in all, before giving up
    #[arg(long, value_name = "TIME", default_value = "5s", global = true, help_heading = HUB,
          value_parser = parse_duration)]
    pub timeout: Duration,
}

/// A time with its unit: 500ms, 30s, 10m, 1h 30m.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write for example 30s or 10m"))
}
