//! The fields that many requests have, each within its limits.

use dhub_proto::limits::*;
use dhub_proto::wire;
use hashbrown::HashSet;

use crate::engine::message::Selection;
use crate::engine::message::*;
use crate::engine::scheduler::State;

pub type Checked<T> = Result<T, wire::Error>;

pub fn error(code: wire::ErrorCode, message: impl Into<String>) -> wire::Error {
    wire::Error { code: code.into(), message: message.into(), names: Vec::new() }
}

pub fn invalid(message: impl Into<String>) -> wire::Error {
    error(wire::ErrorCode::ErrorInvalid, message)
}

pub fn over(what: &str, has: usize, limit: usize) -> wire::Error {
    error(wire::ErrorCode::ErrorLimit, format!("{what}: {has}, the limit is {limit}"))
}

/// The name of a task, checked.
pub fn name(name: &str) -> Checked<()> {
    match name.len() {
        0 => Err(invalid("a task needs a name")),
        n if n > NAME_BYTES_MAX => {
            let start: String = name.chars().take(40).collect();
            Err(over(&format!("bytes in the name '{start}...'"), n, NAME_BYTES_MAX))
        }
        _ if name.contains('\0') => Err(invalid("a name must not contain a NUL")),
        _ => Ok(()),
    }
}

/// All names of a request: those that are refused go back in the reply, which has its limit too.
pub fn names_fit<'a>(names: impl Iterator<Item = &'a str>) -> Checked<()> {
    match names.map(str::len).sum() {
        bytes if bytes > NAMES_BYTES_MAX => {
            Err(over("bytes of names in one request", bytes, NAMES_BYTES_MAX))
        }
        _ => Ok(()),
    }
}

/// Fewer names are compared with each other, without a table.
const FEW_NAMES: usize = 16;

/// In the order of the first mention.
pub fn without_repeats(names: &mut Vec<Name>) {
    if names.len() <= FEW_NAMES {
        let is_repeat = |i: usize| names[..i].contains(&names[i]);
        if !(1..names.len()).any(is_repeat) {
            return;
        }
    }
    let mut seen = HashSet::with_capacity(names.len());
    let first: Vec<bool> = names.iter().map(|name| seen.insert(&**name)).collect();
    drop(seen);
    let mut first = first.into_iter();
    names.retain(|_| first.next() == Some(true));
}

pub fn who(worker: Option<wire::Worker>) -> Checked<Who> {
    let worker =
        worker.ok_or_else(|| invalid("the request does not say which worker it is from"))?;
    match worker.name.len() {
        0 => return Err(invalid("a worker needs a name")),
        n if n > WORKER_NAME_BYTES_MAX => {
            return Err(over("bytes in the name of the worker", n, WORKER_NAME_BYTES_MAX));
        }
        _ if worker.name.contains('\0') => return Err(invalid("a name must not contain a NUL")),
        _ => {}
    }
    if worker.host.len() > WORKER_NAME_BYTES_MAX || worker.host.contains('\0') {
        return Err(over(
            "bytes in the host of the worker",
            worker.host.len(),
            WORKER_NAME_BYTES_MAX,
        ));
    }
    Ok(Who {
        name: worker.name.into(),
        id: client(&worker.id)?,
        host: worker.host.into(),
        ..Who::default()
    })
}

pub fn client(id: &[u8]) -> Checked<Option<ClientId>> {
    if id.is_empty() {
        return Ok(None);
    }
    match id.try_into() {
        Ok(id) => Ok(Some(id)),
        Err(_) => {
            Err(invalid(format!("an id has {CLIENT_ID_BYTES} bytes, this one has {}", id.len())))
        }
    }
}

pub fn lease_ms(ms: u64) -> Checked<u64> {
    match ms {
        0 => Ok(0),
        1..1000 => Err(invalid("a lease lasts at least 1,000 ms")),
        ms if ms > LEASE_MS_MAX => {
            Err(over("milliseconds of the lease", ms as usize, LEASE_MS_MAX as usize))
        }
        ms => Ok(ms),
    }
}

pub fn steal_tasks(n: u32) -> Checked<u32> {
    if n as usize > STEAL_TASKS_MAX {
        return Err(over("tasks to steal at once", n as usize, STEAL_TASKS_MAX));
    }
    Ok(n)
}

/// Numbers are stored, and SQLite's are signed.
pub fn number(number: u64) -> Checked<u64> {
    if i64::try_from(number).is_err() {
        return Err(invalid("the number of a steal is at most 2^63 - 1"));
    }
    Ok(number)
}

pub fn attempts(attempts: Vec<wire::Attempt>) -> Checked<Vec<AttemptRef>> {
    if attempts.len() > BATCH_TASKS_MAX {
        return Err(over("attempts in one request", attempts.len(), BATCH_TASKS_MAX));
    }
    names_fit(attempts.iter().map(|attempt| attempt.name.as_str()))?;
    let attempt = |attempt: wire::Attempt| {
        name(&attempt.name)?;
        Ok(AttemptRef {
            name: attempt.name.into(),
            attempt: attempt.attempt,
            started: attempt.started,
        })
    };
    attempts.into_iter().map(attempt).collect()
}

/// Names of tasks.
pub fn names(names: Vec<String>) -> Checked<Vec<Name>> {
    if names.len() > BATCH_TASKS_MAX {
        return Err(over("names in one request", names.len(), BATCH_TASKS_MAX));
    }
    names_fit(names.iter().map(String::as_str))?;
    names.iter().try_for_each(|one| name(one))?;
    Ok(names.into_iter().map(Name::from).collect())
}

/// Patterns of names of tasks or workers.
fn patterns(patterns: Vec<String>) -> Checked<Vec<Name>> {
    if patterns.len() > PATTERNS_MAX {
        return Err(over("patterns in one request", patterns.len(), PATTERNS_MAX));
    }
    let bytes = patterns.iter().map(String::len).sum();
    if bytes > PATTERNS_BYTES_MAX {
        return Err(over("bytes of patterns in one request", bytes, PATTERNS_BYTES_MAX));
    }
    patterns.iter().try_for_each(|one| name(one))?;
    Ok(patterns.into_iter().map(Name::from).collect())
}

pub fn selection(selection: Option<wire::Selection>) -> Checked<Selection> {
    let selection = selection.unwrap_or_default();
    let state = |number: i32| {
        from_wire(number).ok_or_else(|| invalid(format!("there is no state {number}")))
    };
    if selection.states.len() > STATES_MAX {
        return Err(over("states in one request", selection.states.len(), STATES_MAX));
    }
    if selection.exit_codes.len() > PATTERNS_MAX {
        return Err(over("exit codes in one request", selection.exit_codes.len(), PATTERNS_MAX));
    }
    let mut states = selection.states.into_iter().map(state).collect::<Checked<Vec<_>>>()?;
    states.sort_unstable_by_key(|&state| state as u8);
    states.dedup();
    Ok(Selection {
        names: names(selection.names)?,
        patterns: patterns(selection.patterns)?,
        states,
        workers: patterns(selection.workers)?,
        since_unix_ms: selection.since_unix_ms,
        exit_codes: selection.exit_codes,
        held: selection.held,
    })
}

/// Of a request that changes tasks: it must say which.
pub fn some_of(asked: Option<wire::Selection>) -> Checked<Selection> {
    let mut selection = selection(asked)?;
    if selection.is_empty() {
        return Err(invalid("which tasks? name them, or their states or what else they have"));
    }
    without_repeats(&mut selection.names);
    Ok(selection)
}

fn from_wire(state: i32) -> Option<State> {
    use State::*;
    [Missing, Waiting, Ready, Running, Done, Failed, Skipped, Cancelled]
        .into_iter()
        .find(|known| *known as i32 == state)
}
