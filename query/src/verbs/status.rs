//! `status`: what is going on, on one screen.

use std::time::Duration;

use dhub_proto::exit::Exit;
use dhub_proto::options::parse_duration;
use dhub_proto::wire;

use crate::failure::Failure;
use crate::hub::{Hub, ask};
use crate::output::Output;
use crate::render::room::Room;
use crate::render::{json, status};
use crate::watch;

/// A hub can be asked more often, but nobody can read faster.
const PACE_MIN: Duration = Duration::from_millis(100);

#[derive(clap::Args, Debug)]
pub struct Status {
    /// Look again every so many seconds; on a terminal in place, else a line for each change
    #[arg(short, long, value_name = "SECONDS", num_args = 0..=1, require_equals = true,
          default_missing_value = "1", value_parser = pace)]
    watch: Option<Duration>,
}

pub fn run(args: Status, mut hub: Hub, out: Output) -> Result<Exit, Failure> {
    let report = ask!(hub, Status(wire::Status {}) => Status);
    if let Some(pace) = args.watch {
        let timeout_ms = hub.welcome()?.worker_timeout_ms;
        return watch::run(report, pace, timeout_ms, hub, out);
    }
    if out.json {
        out.document(&json::status(&report))?;
        return Ok(Exit::Ok);
    }
    let timeout_ms = hub.welcome()?.worker_timeout_ms;
    out.text(&status::status(&report, &jiff::Zoned::now(), timeout_ms, Room::of_stdout()))?;
    Ok(Exit::Ok)
}

/// 2, 0.5, 500ms, 1m
fn pace(text: &str) -> Result<Duration, String> {
    Ok(parse_duration(text)?.max(PACE_MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_in_seconds_or_has_a_unit() {
        assert_eq!(pace("2"), Ok(Duration::from_secs(2)));
        assert_eq!(pace("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(pace("1m"), Ok(Duration::from_secs(60)));
        assert_eq!(pace("0"), Ok(PACE_MIN));
        assert!(pace("-1").is_err() && pace("nan").is_err() && pace("soon").is_err());
    }
}
