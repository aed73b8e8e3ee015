//! Lines of JSON: one task with all that it can have.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use dhub_proto::limits::{
    COMMAND_BYTES_MAX, DIR_BYTES_MAX, ENV_BYTES_MAX, RETRIES_MAX, STDIN_BYTES_MAX,
};
use dhub_proto::options::parse_duration;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::{Details, Surroundings, TaskFile, too_long};
use crate::render::words::number;

/// A field that nobody knows is most likely a misspelt one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    needs: Vec<Name<'a>>,
    #[serde(borrow, default)]
    command: Option<Name<'a>>,
    priority: Option<i32>,
    retries: Option<u32>,
    #[serde(default, deserialize_with = "time_limit_ms")]
    time_limit: Option<u64>,
    dir: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    stdin: String,
}

/// Borrowed wherever it has no escapes, which serde does only for a field of its own.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

pub fn add<'a>(tasks: &mut TaskFile<'a>, at: u32, line: &'a str) -> Result<(), String> {
    let line: Line<'a> = serde_json::from_str(line).map_err(|error| without_line(&error))?;
    let command = line.command.map(|command| command.0).unwrap_or_default();
    if command.len() > COMMAND_BYTES_MAX {
        return Err(too_long("command", command.len()));
    }
    if command.contains('\0') {
        return Err("the command has a NUL byte".to_owned());
    }
    if line.retries.is_some_and(|retries| retries > RETRIES_MAX) {
        return Err(format!("retries is at most {}", number(RETRIES_MAX.into())));
    }
    let surroundings = surroundings(line.dir, line.env, line.stdin)?;
    let name = tasks.intern(line.name)?;
    let start = tasks.needs.len();
    for need in line.needs {
        match tasks.intern(need.0) {
            Ok(need) => tasks.needs.push(need),
            Err(problem) => {
                tasks.needs.truncate(start);
                return Err(problem);
            }
        }
    }
    tasks.add(at, name)?;
    tasks.details.push(Details {
        command,
        priority: line.priority,
        retries: line.retries,
        time_limit_ms: line.time_limit,
        surroundings,
    });
    Ok(())
}

fn surroundings(
    dir: Option<String>,
    env: BTreeMap<String, String>,
    stdin: String,
) -> Result<Option<Box<Surroundings>>, String> {
    let dir = dir.filter(|dir| !dir.is_empty());
    if dir.as_ref().is_some_and(|dir| dir.len() > DIR_BYTES_MAX || dir.contains('\0')) {
        let most = number(DIR_BYTES_MAX as u64);
        return Err(format!("dir has at most {most} bytes, and none of them is NUL"));
    }
    let is_name = |name: &String| !name.is_empty() && !name.contains('=');
    if !env.keys().all(is_name) {
        return Err("a name in env is empty or has a =".to_owned());
    }
    let env: Vec<String> = env.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    if env.iter().map(String::len).sum::<usize>() > ENV_BYTES_MAX {
        return Err(format!("env has at most {} bytes", number(ENV_BYTES_MAX as u64)));
    }
    if env.iter().any(|entry| entry.contains('\0')) {
        return Err("env has a NUL byte".to_owned());
    }
    if stdin.len() > STDIN_BYTES_MAX {
        return Err(format!("stdin has at most {} bytes", number(STDIN_BYTES_MAX as u64)));
    }
    let surroundings = Surroundings { dir, env, stdin };
    Ok((surroundings != Surroundings::default()).then(|| Box::new(surroundings)))
}

/// serde_json counts lines from the start of what it was given, which is one line.
fn without_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&place) {
        Some(what) => format!("{} (column {})", in_words(what), error.column()),
        None => text,
    }
}

/// Types and ends as people call them.
fn in_words(what: &str) -> String {
    let what = match what.strip_prefix("EOF while parsing ") {
        Some(inside) => format!("the line ends within {inside}"),
        None => what.to_owned(),
    };
    for (of, words) in [(" i32", " a whole number"), (" u32", " a whole number from 0")] {
        if let Some(what) = what.strip_suffix(&format!("expected{of}")) {
            return format!("{what}expected{words}");
        }
    }
    what
}

fn time_limit_ms<'de, D: Deserializer<'de>>(json: D) -> Result<Option<u64>, D::Error> {
    let time = match Value::deserialize(json)? {
        Value::Null => return Ok(None),
        Value::String(text) => parse_duration(&text).map_err(de::Error::custom)?,
        Value::Number(seconds) => {
            let time = seconds.as_f64().map(Duration::try_from_secs_f64);
            time.and_then(Result::ok).ok_or_else(|| {
                de::Error::custom(format!("time_limit is not a number of seconds: {seconds}"))
            })?
        }
        _ => {
            let message = "time_limit is a time like \"10m\" or a number of seconds";
            return Err(de::Error::custom(message));
        }
    };
    u64::try_from(time.as_millis()).map(Some).map_err(de::Error::custom)
}
