//! Command-line options that dquery and kworker share.

use std::time::Duration;

use crate::endpoint;

/// How to reach the hub.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Hub")]
pub struct HubOptions {
    /// Where the hub is: tcp://HOST:PORT, ipc://PATH, HOST or HOST:PORT.
    /// Without it: your only hub on this machine, else tcp://127.0.0.1:6125
    #[arg(short = 's', long = "server", value_name = "ENDPOINT", env = "DHUB_HUB", global = true,
          value_parser = endpoint::parse)]
    pub server: Option<String>,

    /// How long to wait for an answer, in all, before giving up
    #[arg(long, value_name = "TIME", default_value = "5s", global = true,
          value_parser = parse_duration)]
    pub timeout: Duration,
}

/// No single hub can be meant.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error("several of your hubs run on this machine; choose one with -s or DHUB_HUB:\n  {}", .0.join("\n  "))]
    Several(Vec<String>),
    #[error(transparent)]
    Dir(#[from] endpoint::DirError),
}

impl HubOptions {
    /// The endpoint to talk to.
    pub fn endpoint(&self) -> Result<String, FindError> {
        if let Some(server) = &self.server {
            return Ok(server.clone());
        }
        let mut live = endpoint::live_hubs()?;
        match live.len() {
            0 => Ok(endpoint::default_tcp()),
            1 => Ok(live.swap_remove(0)),
            _ => Err(FindError::Several(live)),
        }
    }
}

/// A time with its unit: 500ms, 30s, 10m, 1h 30m.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write for example 30s or 10m"))
}
