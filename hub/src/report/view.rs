//! What people look at: status, one task, and how a stored task is shown. Reads only.

use dhub_proto::wire;

use crate::dialect::native;
use crate::engine::scheduler::{Counts, DAMAGED, Scheduler, State};
use crate::report::monitor::group_failures;
use crate::report::roster::Roster;
use crate::store::{AttemptRow, Store, StoreError, TaskRow, unix_ms};

const WORKERS_MAX: usize = 1_000;
const NAMES_MAX: usize = 10;
const FAILURES_MAX: usize = 1_000;
const NEIGHBOURS_MAX: usize = 1_000;
const ATTEMPTS_MAX: usize = 100;

pub fn counts(counts: &Counts, held: u64) -> wire::Counts {
    wire::Counts {
        waiting: counts.of(State::Waiting),
        ready: counts.of(State::Ready),
        running: counts.of(State::Running),
        done: counts.of(State::Done),
        failed: counts.of(State::Failed),
        skipped: counts.of(State::Skipped),
        cancelled: counts.of(State::Cancelled),
        missing: counts.of(State::Missing),
        held,
    }
}

/// The scheduler knows the state of open tasks, the store that of the others.
pub fn state(scheduler: &Scheduler, row: &TaskRow) -> State {
    match (row.finished, scheduler.find(&row.name)) {
        (_, Some(task)) => task.state,
        (Some(state), None) => state,
        (None, None) => State::Waiting,
    }
}

pub fn task(scheduler: &Scheduler, row: TaskRow) -> wire::TaskInfo {
    let state = state(scheduler, &row);
    let run_ms = scheduler.running_ms(&row.name).unwrap_or(row.run_ms);
    let retry_in_ms = scheduler.retry_in_ms(&row.name).unwrap_or(0);
    let open = scheduler.find(&row.name).filter(|task| task.state.is_unfinished());
    let effective = open.map(|task| task.effective).filter(|&effective| effective > row.priority);
    wire::TaskInfo {
        name: row.name,
        state: state as i32,
        priority: row.priority,
        retries: row.retries,
        attempt: row.attempt,
        failures: row.failures,
        reclaims: row.reclaims,
        worker: row.worker,
        run_ms,
        exit_code: row.exit_code,
        command: row.command,
        time_limit_ms: row.time_limit_ms,
        created_unix_ms: row.created_ms,
        ended_unix_ms: row.ended_ms,
        retry_in_ms,
        dir: row.dir,
        env: native::environment(Some(&row.env).filter(|env| !env.is_empty()).map(String::as_str)),
        stdin_bytes: row.stdin_bytes,
        id: row.id,
        held: row.held,
        effective_priority: effective,
        priority_of: String::new(),
        left_behind: row.left_behind,
        damaged: row.is_lost || (state == State::Failed && row.reason == DAMAGED),
        reason: row.reason,
    }
}

/// An attempt that ended.
pub fn attempt(row: AttemptRow) -> wire::AttemptInfo {
    wire::AttemptInfo {
        attempt: row.attempt,
        worker: row.worker,
        started_unix_ms: row.started_ms,
        ended_unix_ms: row.ended_ms,
        outcome: row.outcome.into(),
        exit_code: row.exit_code,
        reason: row.reason,
        output: row.output,
        host: row.host,
        output_file: row.output_file,
        key: row.key,
        left_behind: row.left_behind,
    }
}

/// The attempt of a task that runs, there.
pub fn running(row: &TaskRow, there: wire::AttemptInfo) -> wire::AttemptInfo {
    wire::AttemptInfo {
        attempt: row.attempt,
        worker: row.worker.clone(),
        started_unix_ms: (unix_ms() as u64).saturating_sub(row.run_ms),
        outcome: "running".into(),
        ..there
    }
}

pub fn status(
    roster: &Roster,
    store: &Store,
    hub: wire::HubInfo,
) -> Result<wire::StatusReport, StoreError> {
    let Roster { now, scheduler, monitor, .. } = *roster;
    let done = scheduler.counts().of(State::Done);
    let (workers, workers_total) = roster.first(WORKERS_MAX);
    let longest = scheduler.running(now).max_by_key(|&(_, _, ms, _)| ms);
    let slowest = match longest {
        Some((running, ..)) => store.task_by_id(running.id)?.map(|row| task(scheduler, row)),
        None => None,
    };
    let failures = match scheduler.counts().of(State::Failed) {
        0 => Vec::new(),
        _ => group_failures(store.failures(FAILURES_MAX)?),
    };
    Ok(wire::StatusReport {
        counts: Some(counts(scheduler.counts(), scheduler.held())),
        phase: native::phase(scheduler.phase()).into(),
        done_per_s: monitor.rate(now, done),
        done_per_s_overall: monitor.rate_overall(now, done),
        workers,
        workers_total,
        missing: scheduler.missing().take(NAMES_MAX).map(|task| task.name.to_string()).collect(),
        hub: Some(hub),
        failures,
        slowest,
        retrying: scheduler.retrying(),
        lost: store.lost_count() as u64,
        lost_names: store.lost_names(NAMES_MAX),
        damaged_pages: store.damaged_pages(),
    })
}

/// All about one task; None if there is none of this name.
pub fn show(roster: &Roster, store: &Store, name: &str) -> Result<Option<wire::Shown>, StoreError> {
    let scheduler = roster.scheduler;
    let Some(mut row) = store.task(name)? else {
        return Ok(None);
    };
    // Thousands of commands would not fit into the reply.
    let info = |id| -> Result<Option<wire::TaskInfo>, StoreError> {
        Ok(store.neighbour(id)?.map(|row| task(scheduler, row)))
    };
    let mut needs = Vec::new();
    for id in store.needs(row.id)?.into_iter().take(NEIGHBOURS_MAX) {
        needs.extend(info(id)?);
    }
    let mut needed_by = Vec::new();
    for succ in scheduler.neighbours(name).0.into_iter().take(NEIGHBOURS_MAX) {
        needed_by.extend(info(succ.id)?);
    }
    for (id, _) in store.skipped_for(row.id, 0, NEIGHBOURS_MAX)? {
        needed_by.extend(info(id)?);
    }
    needed_by.truncate(NEIGHBOURS_MAX);
    let mut attempts: Vec<wire::AttemptInfo> =
        store.attempts(row.id, ATTEMPTS_MAX)?.into_iter().map(attempt).collect();
    if let Some(run_ms) = scheduler.running_ms(name) {
        row.run_ms = run_ms;
        attempts.push(running(&row, roster.running_at(name)));
    }
    let mut task = task(scheduler, row);
    if task.effective_priority.is_some() {
        let of = scheduler.urgent_for(name);
        task.priority_of = of.map(|task| task.name.to_string()).unwrap_or_default();
    }
    Ok(Some(wire::Shown { task: Some(task), needs, needed_by, attempts }))
}
