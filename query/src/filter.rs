//! Which tasks: the same words for every verb that looks at or changes many.

use std::time::SystemTime;

use dhub_proto::options::parse_duration;
use dhub_proto::wire;
use jiff::civil::{DateTime, Time};
use jiff::{Timestamp, ToSpan, Zoned};

use crate::args::{State, task_name, worker_name};

#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Which tasks")]
pub struct Filter {
    /// Names of tasks, or patterns: * stands for any text, ? for any character
    #[arg(value_name = "TASK", value_parser = task_name, help_heading = None::<&str>)]
    pub tasks: Vec<String>,

    /// * and ? in TASK stand for themselves
    #[arg(long)]
    pub exact: bool,

    /// In this state (several: running,ready)
    #[arg(long, value_enum, value_name = "STATE", value_delimiter = ',')]
    pub state: Vec<State>,

    /// The same as --state failed
    #[arg(long)]
    pub failed: bool,

    /// Whose names begin so
    #[arg(long, value_name = "TEXT", value_parser = prefix)]
    pub prefix: Vec<String>,

    /// Run by this worker, or run last by it (a name or a pattern)
    #[arg(long = "worker", value_name = "WORKER", value_parser = worker_name)]
    pub workers: Vec<String>,

    /// Added, started or ended since (10m ago: 10m; 14:00; 2026-05-04; "2026-05-04 14:00")
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<Timestamp>,

    /// Ended with this exit code (several: 137,139)
    #[arg(long, value_name = "CODE", value_delimiter = ',', allow_negative_numbers = true)]
    pub exit_code: Vec<i32>,

    /// Held
    #[arg(long)]
    pub held: bool,
}

impl Filter {
    /// As the hub wants it told.
    pub fn selection(&self) -> wire::Selection {
        let is_pattern = |task: &&String| !self.exact && task.contains(['*', '?']);
        let (mut patterns, names): (Vec<&String>, Vec<&String>) =
            self.tasks.iter().partition(is_pattern);
        let prefixes: Vec<String> = self.prefix.iter().map(|text| format!("{text}*")).collect();
        patterns.extend(&prefixes);
        let mut states = self.state.clone();
        states.extend(self.failed.then_some(State::Failed));
        wire::Selection {
            names: names.into_iter().cloned().collect(),
            states: states.into_iter().map(|state| wire::State::from(state) as i32).collect(),
            patterns: patterns.into_iter().cloned().collect(),
            workers: self.workers.clone(),
            since_unix_ms: self.since.map_or(0, |since| since.as_millisecond().max(1) as u64),
            exit_codes: self.exit_code.clone(),
            held: self.held,
        }
    }
}

fn prefix(text: &str) -> Result<String, String> {
    match text.contains(['*', '?']) {
        true => Err("* and ? stand for other text; write a pattern instead: 'TEXT*'".into()),
        false => task_name(text),
    }
}

/// These tasks, and nothing else is asked of them.
pub fn is_only_names(selection: &wire::Selection) -> bool {
    let names = selection.names.clone();
    !names.is_empty() && *selection == wire::Selection { names, ..wire::Selection::default() }
}

/// A time ago, or a time of day, a day or both, as the clock on the wall here shows it.
fn since(text: &str) -> Result<Timestamp, String> {
    let now = Zoned::try_from(SystemTime::now()).map_err(|error| error.to_string())?;
    since_at(text, &now)
}

fn since_at(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let wrong = || "it is neither a time ago (10m) nor a time (14:00, 2026-05-04 14:00)".to_owned();
    // A number alone is no time ago: 14 may be an hour.
    if text.parse::<f64>().is_err()
        && let Ok(ago) = parse_duration(text)
    {
        return Timestamp::try_from(SystemTime::from(now.timestamp()) - ago).map_err(|_| wrong());
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp);
    }
    let civil = match (text.parse::<DateTime>(), text.parse::<Time>()) {
        (Ok(datetime), _) => datetime,
        (Err(_), Ok(time)) => {
            let today = now.date().to_datetime(time);
            // A time of day that is still to come was yesterday.
            if today > now.datetime() { today.saturating_sub(1.day()) } else { today }
        }
        _ => return Err(wrong()),
    };
    Ok(civil.to_zoned(now.time_zone().clone()).map_err(|_| wrong())?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(tasks: &[&str]) -> Filter {
        Filter { tasks: tasks.iter().map(|&task| task.into()).collect(), ..Filter::default() }
    }

    #[test]
    fn stars_make_patterns_unless_they_are_exact() {
        let mut some = filter(&["a", "b*", "c?"]);
        some.prefix = vec!["sim-".into()];
        let selection = some.selection();
        assert_eq!(selection.names, ["a"]);
        assert_eq!(selection.patterns, ["b*", "c?", "sim-*"]);
        assert!(!is_only_names(&selection));
        some = Filter { exact: true, ..filter(&["a", "b*"]) };
        assert_eq!(some.selection().names, ["a", "b*"]);
        assert!(is_only_names(&some.selection()));
        some.failed = true;
        assert!(!is_only_names(&some.selection()));
        assert_eq!(filter(&[]).selection(), wire::Selection::default());
    }

    #[test]
    fn times_are_ago_or_on_the_clock() {
        let now: Zoned = "2026-05-04T14:00:00+02:00[Europe/Berlin]".parse().expect("a time");
        let at = |text: &str| since_at(text, &now).map(|time| time.to_string());
        assert_eq!(at("10m").as_deref(), Ok("2026-05-04T11:50:00Z"));
        assert_eq!(at("13:00").as_deref(), Ok("2026-05-04T11:00:00Z"));
        assert_eq!(at("15:00").as_deref(), Ok("2026-05-03T13:00:00Z"));
        assert_eq!(at("2026-05-01").as_deref(), Ok("2026-04-30T22:00:00Z"));
        assert_eq!(at("2026-05-01 08:30").as_deref(), Ok("2026-05-01T06:30:00Z"));
        assert_eq!(at("2026-05-01T06:30:00Z").as_deref(), Ok("2026-05-01T06:30:00Z"));
        assert!(at("yesterday").is_err() && at("25:00").is_err() && at("-10m").is_err());
    }
}
