//! How tasks, attempts, counts and workers' loads are told.

use dhub_proto::wire;

use crate::engine::message::{AttemptRow, Sample, State, TaskRow, TaskView};
use crate::engine::scheduler::Counts;

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

pub fn task(task: TaskView) -> wire::TaskInfo {
    let TaskView { row, state, run_ms, retry_in_ms, effective, is_damaged } = task;
    let TaskRow { env, .. } = &row;
    wire::TaskInfo {
        env: environment(Some(env.as_str()).filter(|env| !env.is_empty())),
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
        stdin_bytes: row.stdin_bytes,
        id: row.id,
        held: row.held,
        effective_priority: effective,
        priority_of: String::new(),
        left_behind: row.left_behind,
        damaged: is_damaged,
        reason: row.reason,
    }
}

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

pub fn sample(it: Sample) -> wire::Sample {
    wire::Sample {
        slots: it.slots,
        running: it.running,
        cpu_percent: it.cpu_percent,
        memory_used_bytes: it.memory_used_bytes,
        memory_total_bytes: it.memory_total_bytes,
        load_1m: it.load_1m,
        disk_free_bytes: it.disk_free_bytes,
    }
}

pub fn read_sample(it: wire::Sample) -> Sample {
    Sample {
        slots: it.slots,
        running: it.running,
        cpu_percent: it.cpu_percent,
        memory_used_bytes: it.memory_used_bytes,
        memory_total_bytes: it.memory_total_bytes,
        load_1m: it.load_1m,
        disk_free_bytes: it.disk_free_bytes,
    }
}

/// As it is stored: a JSON array of NAME=VALUE.
pub fn environment(stored: Option<&str>) -> Vec<String> {
    stored.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}
