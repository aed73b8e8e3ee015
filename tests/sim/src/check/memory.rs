//! The scheduler's memory beside the store, after each command and after each commit.

use dhub::engine::message::Millis;
use dhub::engine::scheduler::{Counts, Scheduler, State};

use super::{Check, all_done, is_dead_need};
use crate::store::{Row, Rows};

/// After each command: `rows` are what is committed and what is not yet.
pub fn after_command(scheduler: &Scheduler, rows: &Rows) -> Check {
    counts_match(scheduler, rows)
}

/// At the end of a turn's changes, before the commit.
pub fn before_commit(
    scheduler: &Scheduler,
    current: &Rows,
    committed: &Rows,
    now: Millis,
) -> Check {
    tasks_leave_after_their_commit(scheduler, committed)?;
    ready_iff_nothing_to_wait_for(scheduler, current, now)?;
    lease_iff_running(scheduler, current, now)?;
    memory_agrees(scheduler, current)?;
    expired_leases_are_reclaimed(current, now)
}

pub fn after_commit(scheduler: &Scheduler, committed: &Rows) -> Check {
    counts_match(scheduler, committed)?;
    memory_agrees(scheduler, committed)
}

/// Memory holds what is not finished, and what the tables do not know to be, nothing else.
pub fn after_fold(scheduler: &Scheduler, tables: &Rows, committed: &Rows) -> Check {
    finished_tasks_are_gone(scheduler, tables, committed)?;
    tasks_leave_after_their_fold(scheduler, tables, committed)
}

fn counts_match(scheduler: &Scheduler, rows: &Rows) -> Check {
    let mut counts = Counts::default();
    let mut add = |state| counts.set(state, counts.of(state) + 1);
    for (_, task) in scheduler.tasks_from(0) {
        if !task.state.is_finished() {
            add(task.state);
        }
    }
    for row in rows.iter().filter(|row| row.state.is_finished()) {
        add(row.state);
    }
    let held = rows.iter().filter(|row| row.held).count() as u64;
    if held != scheduler.held() {
        return Err(format!("{} are held, recounted {held}", scheduler.held()));
    }
    if counts != *scheduler.counts() {
        return Err(format!("counts are {:?}, recounted {counts:?}", scheduler.counts()));
    }
    Ok(())
}

/// What is told finished exists nowhere but in memory until it is committed: it must stay there.
fn tasks_leave_after_their_commit(scheduler: &Scheduler, committed: &Rows) -> Check {
    match committed.iter().find(|row| row.is_open() && !scheduler.holds(&row.name)) {
        Some(row) => Err(format!("'{}' left memory before its end was committed", row.name)),
        None => Ok(()),
    }
}

/// Who asks for a task finds it in memory or else in the tables, as it is.
fn tasks_leave_after_their_fold(scheduler: &Scheduler, tables: &Rows, committed: &Rows) -> Check {
    let is_found = |row: &&Row| tables.get(row.id).is_some_and(|found| is_same_end(found, row));
    let finished = committed.iter().filter(|row| row.state.is_finished());
    match finished.filter(|row| !is_found(row)).find(|row| !scheduler.holds(&row.name)) {
        Some(row) => Err(format!("'{}' left memory before the tables had its end", row.name)),
        None => Ok(()),
    }
}

fn is_same_end(one: &Row, other: &Row) -> bool {
    (one.state, one.reopens) == (other.state, other.reopens)
}

/// Twice as long after each failure, at most five minutes.
fn is_put_off(scheduler: &Scheduler, row: &Row, now: Millis) -> bool {
    let first = scheduler.config().retry_delay_ms;
    let delay = (1..row.failures).fold(first, |delay, _| (2 * delay).min(300_000));
    row.failed_at.is_some_and(|at| now < at + delay)
}

/// Ready if and only if dependencies are done, and the time after a failure is over.
fn ready_iff_nothing_to_wait_for(scheduler: &Scheduler, rows: &Rows, now: Millis) -> Check {
    for (_, task) in scheduler.tasks_from(0) {
        let Some(row) = rows.get(task.id) else { continue };
        let done = all_done(rows.needs(row));
        let redone = rows.needs(row).any(|need| need.redone);
        let leased = rows.leases.contains_key(&row.id);
        let put_off = is_put_off(scheduler, row, now);
        let held = row.held;
        let fits = match task.state {
            State::Ready => (done || redone) && !leased && !put_off && !held,
            State::Waiting => (!done || put_off || held) && !leased,
            _ => true,
        };
        if !fits {
            return Err(format!(
                "'{}' is {:?}; dependencies done: {done}, leased: {leased}, put off: {put_off}, held: {held}",
                task.name, task.state
            ));
        }
        // Skips come a few at a time: the next turn follows at once.
        if scheduler.deadline() != Some(0)
            && !task.state.is_finished()
            && let Some(dead) = rows.needs(row).find(|need| is_dead_need(need))
        {
            return Err(format!(
                "'{}' is {:?}, yet '{}' is {:?}",
                task.name, task.state, dead.name, dead.state
            ));
        }
    }
    Ok(())
}

fn lease_iff_running(scheduler: &Scheduler, rows: &Rows, now: Millis) -> Check {
    let mut running = 0;
    for (task, worker, ..) in scheduler.running(now) {
        running += 1;
        match rows.leases.get(&task.id) {
            Some(lease) if lease.worker == worker && lease.attempt == task.attempt => {}
            other => {
                return Err(format!(
                    "'{}' runs as attempt {} at worker {worker}; stored: {other:?}",
                    task.name, task.attempt
                ));
            }
        }
        if task.state != State::Running {
            return Err(format!("'{}' is {:?} and leased", task.name, task.state));
        }
    }
    let stored = rows.leases.len();
    if running != stored || scheduler.counts().of(State::Running) != stored as u64 {
        return Err(format!("{running} leases in memory, {stored} in the store"));
    }
    Ok(())
}

/// What a restart would find is what memory has.
fn memory_agrees(scheduler: &Scheduler, rows: &Rows) -> Check {
    for (_, task) in scheduler.tasks_from(0) {
        let Some(row) = rows.get(task.id).filter(|row| row.name == task.name) else {
            return Err(format!("memory has '{}', the store has not", task.name));
        };
        let open = matches!(task.state, State::Waiting | State::Ready | State::Running);
        if open != row.is_open() || (!open && task.state != row.state) {
            return Err(format!(
                "'{}' is {:?} in memory, {:?} in the store",
                task.name, task.state, row.state
            ));
        }
        if !open {
            continue;
        }
        let attempt = rows.leases.get(&row.id).map_or(row.attempt, |lease| lease.attempt);
        let stored = (
            attempt,
            row.failures,
            row.reclaims,
            row.definition,
            row.priority,
            row.retries,
            row.held,
        );
        let known = (
            task.attempt,
            task.failures,
            task.reclaims,
            task.definition,
            task.priority,
            task.retries,
            task.held,
        );
        if stored != known {
            return Err(format!("'{}' differs: in memory {known:?}, stored {stored:?}", task.name));
        }
    }
    match rows.iter().find(|row| row.is_open() && !scheduler.holds(&row.name)) {
        Some(row) => Err(format!("'{}' is open in the store, memory lacks it", row.name)),
        None => Ok(()),
    }
}

fn expired_leases_are_reclaimed(rows: &Rows, now: Millis) -> Check {
    let name = |row: Option<&Row>| row.map(|row| row.name.to_string()).unwrap_or_default();
    match rows.leases.iter().find(|(_, lease)| lease.expires <= now) {
        Some((&id, lease)) => Err(format!(
            "the lease of '{}' was over {} ms ago and is still there",
            name(rows.get(id)),
            now - lease.expires
        )),
        None => Ok(()),
    }
}

/// Memory grows with unfinished tasks only.
fn finished_tasks_are_gone(scheduler: &Scheduler, tables: &Rows, rows: &Rows) -> Check {
    let is_folded = |row: &Row| tables.get(row.id).is_some_and(|it| is_same_end(it, row));
    // By those that are in memory.
    let wanted = |row: &Row| {
        let waits = |other: &Row| other.is_open() || !is_folded(other);
        rows.iter().any(|other| waits(other) && other.needs.contains(&row.id))
    };
    for (_, task) in scheduler.tasks_from(0) {
        // What was skipped since the commit, when leases came back, leaves with the next one.
        let ended = rows.get(task.id).filter(|row| row.state.is_finished());
        if task.state.is_finished() && ended.is_some_and(is_folded) {
            return Err(format!("'{}' is {:?} and stays in memory", task.name, task.state));
        }
        if task.state == State::Missing && !rows.get(task.id).is_some_and(wanted) {
            return Err(format!(
                "nothing waits for '{}' any more, yet it stays in memory",
                task.name
            ));
        }
    }
    Ok(())
}
