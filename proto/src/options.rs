//! Command-line options that dquery and kworker share.

use std::path::PathBuf;
use std::time::Duration;

use crate::endpoint;

const HUB: &str = "Hub";
/// Time for an answer, if nobody says another one.
pub const TIMEOUT: Duration = Duration::from_secs(5);

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

    /// How long to wait for an answer, in all, before giving up [default: 5s]
    #[arg(long = "timeout", value_name = "TIME", global = true, help_heading = HUB,
          value_parser = parse_duration)]
    pub given_timeout: Option<Duration>,
}

impl HubOptions {
    /// How long to wait for an answer.
    pub fn timeout(&self) -> Duration {
        self.given_timeout.unwrap_or(TIMEOUT)
    }
}

/// A time: seconds, or numbers with units (500ms, 30s, 10m, 1h 30m). `M` would be months to some and minutes
/// to others, and a month has no length: neither is a unit.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds)
            .map_err(|_| format!("{text} is no number of seconds"));
    }
    if text.contains(':') {
        return Err("write it with units, for example 1h 30m".into());
    }
    let units = text.split(|c: char| !c.is_alphabetic()).filter(|unit| !unit.is_empty());
    if let Some(unit) = units.into_iter().find(|unit| !UNITS.contains(unit)) {
        return Err(format!("'{unit}' is no unit of time here; they are ms, s, m, h, d and w"));
    }
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write for example 30s or 10m"))
}

/// All of one meaning only.
const UNITS: [&str; 26] = [
    "ns", "us", "ms", "s", "sec", "secs", "second", "seconds", "m", "min", "mins", "minute",
    "minutes", "h", "hr", "hrs", "hour", "hours", "d", "day", "days", "w", "wk", "week", "weeks",
    "msec",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_people_write_them() {
        let ms = |text| parse_duration(text).map(|time| time.as_millis());
        for (text, is) in [
            ("1", 1_000),
            ("0.25", 250),
            ("0", 0),
            ("500ms", 500),
            ("30s", 30_000),
            (" 10m ", 600_000),
            ("1h 30m", 5_400_000),
            ("1h30min", 5_400_000),
            ("2days", 172_800_000),
            ("1w", 604_800_000),
        ] {
            assert_eq!(ms(text), Ok(is), "{text}");
        }
        for text in ["10M", "1month", "1y", "-1", "inf", "", "m", "1:30:00", "10 parsecs", "10m5"] {
            assert!(ms(text).is_err(), "{text}");
        }
        assert!(ms("10M").unwrap_err().starts_with("'M' is no unit of time"));
    }
}
