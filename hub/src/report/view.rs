//! What people look at: status, one task, and how a stored task is shown. Reads only.

use dhub_proto::wire;

use crate::dialect::native::{info, phase};
use crate::engine::message::{AttemptRow, State, TaskView};
use crate::engine::scheduler::Scheduler;
use crate::report::monitor::group_failures;
use crate::report::roster::Roster;
use crate::store::{Store, StoreError};

const WORKERS_MAX: usize = 1_000;
const NAMES_MAX: usize = 10;
const FAILURES_MAX: usize = 1_000;
const NEIGHBOURS_MAX: usize = 1_000;
const ATTEMPTS_MAX: usize = 100;

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
        Some((running, ..)) => {
            store.task_by_id(running.id)?.map(|row| info::task(TaskView::new(scheduler, row)))
        }
        None => None,
    };
    let failures = match scheduler.counts().of(State::Failed) {
        0 => Vec::new(),
        _ => group_failures(store.failures(FAILURES_MAX)?),
    };
    let (room_for, room_by) = room(scheduler);
    Ok(wire::StatusReport {
        counts: Some(info::counts(scheduler.counts(), scheduler.held())),
        phase: phase(scheduler.phase()).into(),
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
        room_for,
        room_by,
    })
}

/// What waits for a worker that runs nothing, and who makes room for it: their names, which may be empty.
fn room(scheduler: &Scheduler) -> (String, String) {
    let Some((task, worker)) = scheduler.room() else {
        return (String::new(), String::new());
    };
    let worker = worker.map(|worker| worker.who.name.to_string());
    (task.name.to_string(), worker.unwrap_or_default())
}

/// All about one task; None if there is none of this name.
pub fn show(roster: &Roster, store: &Store, name: &str) -> Result<Option<wire::Shown>, StoreError> {
    let scheduler = roster.scheduler;
    let Some(mut row) = store.task(name)? else {
        return Ok(None);
    };
    // Thousands of commands would not fit into the reply.
    let info = |id| -> Result<Option<wire::TaskInfo>, StoreError> {
        Ok(store.neighbour(id)?.map(|row| info::task(TaskView::new(scheduler, row))))
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
        store.attempts(row.id, ATTEMPTS_MAX)?.into_iter().map(info::attempt).collect();
    if let Some(run_ms) = scheduler.running_ms(name) {
        row.run_ms = run_ms;
        let there = roster.running_at(name);
        let running = info::attempt(AttemptRow::running(&row));
        attempts.push(wire::AttemptInfo {
            host: there.host,
            key: there.key,
            output_file: there.output_file,
            ..running
        });
    }
    let mut task = info::task(TaskView::new(scheduler, row));
    if task.effective_priority.is_some() {
        let of = scheduler.urgent_for(name);
        task.priority_of = of.map(|task| task.name.to_string()).unwrap_or_default();
    }
    let (room_for, room_by) = match task.state() {
        wire::State::Ready => room(scheduler),
        _ => Default::default(),
    };
    Ok(Some(wire::Shown { task: Some(task), needs, needed_by, attempts, room_for, room_by }))
}
