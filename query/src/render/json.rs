//! Replies as JSON. The names of the fields are a promise to scripts: add, never rename.

use dhub_proto::wire::{
    Attempt, AttemptInfo, Counts, ExportedTask, FailureGroup, Lease, Refused, Shown, StatusReport,
    Stolen, TaskInfo, WorkerInfo,
};
use serde_json::{Value, json};

use super::words::{phase, state};
use crate::run::host;

pub fn counts(counts: &Counts) -> Value {
    json!({
        "waiting": counts.waiting,
        "ready": counts.ready,
        "running": counts.running,
        "done": counts.done,
        "failed": counts.failed,
        "skipped": counts.skipped,
        "cancelled": counts.cancelled,
        "missing": counts.missing,
        "held": counts.held,
    })
}

pub fn task(task: &TaskInfo) -> Value {
    json!({
        "name": task.name,
        "state": state(task.state()),
        "priority": task.priority,
        "effective_priority": task.effective_priority.unwrap_or(task.priority),
        "retries": task.retries,
        "attempt": task.attempt,
        "failures": task.failures,
        "reclaims": task.reclaims,
        "worker": task.worker,
        "run_ms": task.run_ms,
        "exit_code": task.exit_code,
        "reason": task.reason,
        "command": task.command,
        "time_limit_ms": task.time_limit_ms,
        "created_unix_ms": task.created_unix_ms,
        "ended_unix_ms": task.ended_unix_ms,
        "retry_in_ms": task.retry_in_ms,
        "dir": task.dir,
        "env": task.env,
        "stdin_bytes": task.stdin_bytes,
        "held": task.held,
        "left_behind": task.left_behind,
        "id": task.id,
    })
}

/// A task with all of its attempts; `needs` are names.
pub fn exported(exported: &ExportedTask, needs: &[&str]) -> Value {
    let mut value = task(exported.task.as_ref().unwrap_or(&TaskInfo::default()));
    let attempts = exported.attempts.iter().map(|attempt| {
        let mut value = attempt_info(attempt);
        if let Value::Object(fields) = &mut value {
            fields.remove("output");
        }
        value["host"] = host(attempt).into();
        value
    });
    value["id"] = exported.id.into();
    value["needs"] = needs.into();
    value["attempts"] = attempts.collect();
    value
}

fn attempt_info(attempt: &AttemptInfo) -> Value {
    json!({
        "attempt": attempt.attempt,
        "worker": attempt.worker,
        "started_unix_ms": attempt.started_unix_ms,
        "ended_unix_ms": attempt.ended_unix_ms,
        "outcome": attempt.outcome,
        "exit_code": attempt.exit_code,
        "reason": attempt.reason,
        // Output need not be UTF-8; JSON must.
        "output": String::from_utf8_lossy(&attempt.output),
        "host": attempt.host,
        "output_file": attempt.output_file,
        "key": attempt.key,
        "left_behind": attempt.left_behind,
    })
}

pub fn shown(shown: &Shown) -> Value {
    let list = |tasks: &[TaskInfo]| tasks.iter().map(task).collect::<Vec<_>>();
    json!({
        "task": shown.task.as_ref().map(task),
        "needs": list(&shown.needs),
        "needed_by": list(&shown.needed_by),
        "attempts": shown.attempts.iter().map(attempt_info).collect::<Vec<_>>(),
        "room_for": shown.room_for,
        "room_by": shown.room_by,
    })
}

pub fn attempts(attempts: &[Attempt]) -> Value {
    attempts.iter().map(|it| json!({ "name": it.name, "attempt": it.attempt })).collect()
}

pub fn refused(refused: &[Refused]) -> Value {
    refused
        .iter()
        .map(|it| {
            // "ERROR_STALE" is "stale" in JSON.
            let code = it.code().as_str_name().trim_start_matches("ERROR_").to_lowercase();
            json!({ "name": it.name, "attempt": it.attempt, "code": code, "message": it.message })
        })
        .collect()
}

fn lease(lease: &Lease) -> Value {
    json!({
        "name": lease.name,
        "attempt": lease.attempt,
        "command": lease.command,
        "time_limit_ms": lease.time_limit_ms,
        "dir": lease.dir,
        "env": lease.env,
        // It need not be UTF-8; JSON must.
        "stdin": String::from_utf8_lossy(&lease.stdin),
        "lease_ms": lease.term_ms,
    })
}

pub fn stolen(stolen: &Stolen) -> Value {
    json!({
        "phase": phase(stolen.phase()),
        "not_done": stolen.not_done,
        "drain": stolen.drain,
        "stop": stolen.stop,
        "tasks": stolen.leases.iter().map(lease).collect::<Vec<_>>(),
    })
}

fn worker(worker: &WorkerInfo) -> Value {
    let id: String = worker.id.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "name": worker.name,
        "id": id,
        "key": worker.key,
        "leases": worker.leases,
        "started": worker.started,
        "done": worker.done,
        "failed": worker.failed,
        "last_seen_ago_ms": worker.last_seen_ago_ms,
        "lost": worker.lost,
        "away": worker.away,
        "host": worker.host,
        "output_files": worker.output_files,
        "note": worker.note,
        "sample": worker.sample.as_ref().map(|sample| json!({
            "slots": sample.slots,
            "running": sample.running,
            "cpu_percent": sample.cpu_percent,
            "memory_used_bytes": sample.memory_used_bytes,
            "memory_total_bytes": sample.memory_total_bytes,
            "load_1m": sample.load_1m,
            "disk_free_bytes": sample.disk_free_bytes,
        })),
    })
}

/// One of a list, with what the list says of it.
pub fn worker_line(info: &WorkerInfo, standing: &str) -> Value {
    let mut value = worker(info);
    value["state"] = standing.into();
    value
}

pub fn failures(failures: &[FailureGroup]) -> Value {
    failures
        .iter()
        .map(|it| json!({ "reason": it.reason, "count": it.count, "names": it.names }))
        .collect()
}

pub fn status(report: &StatusReport) -> Value {
    json!({
        "phase": phase(report.phase()),
        "counts": counts(&report.counts.unwrap_or_default()),
        "done_per_s": report.done_per_s,
        "done_per_s_overall": report.done_per_s_overall,
        "workers": report.workers.iter().map(worker).collect::<Vec<_>>(),
        "workers_total": report.workers_total,
        "missing": report.missing,
        "retrying": report.retrying,
        "lost": report.lost,
        "lost_names": report.lost_names,
        "damaged_pages": report.damaged_pages,
        "room_for": report.room_for,
        "room_by": report.room_by,
        "failures": failures(&report.failures),
        "slowest": report.slowest.as_ref().map(task),
        "hub": report.hub.as_ref().map(|hub| json!({
            "version": hub.version,
            "file": hub.file,
            "endpoints": hub.endpoints,
            "host": hub.host,
            "process": hub.process,
            "uptime_ms": hub.uptime_ms,
            "commit_us": hub.commit_us,
            "file_bytes": hub.file_bytes,
            "insecure": hub.insecure,
            "handshakes_failed": hub.handshakes_failed,
            "requests_denied": hub.requests_denied,
            "long_requests": hub.long_requests,
            "parked": hub.parked,
            "connections_refused": hub.connections_refused,
            "workers_max": hub.workers_max,
            "workers_kept": hub.workers_kept,
        })),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhub_proto::wire::{HubInfo, Sample};

    const DOCS: &str = include_str!("../../../docs/operations.md");

    /// Names of all fields, also of those within.
    fn fields(value: &Value, names: &mut Vec<String>) {
        match value {
            Value::Object(fields_of) => {
                for (name, value) in fields_of {
                    names.push(name.clone());
                    fields(value, names);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| fields(value, names)),
            _ => {}
        }
    }

    #[test]
    fn every_field_is_described_for_those_who_write_scripts() {
        let info = WorkerInfo { sample: Some(Sample::default()), ..WorkerInfo::default() };
        let report = StatusReport {
            workers: vec![info.clone()],
            failures: vec![FailureGroup::default()],
            slowest: Some(TaskInfo::default()),
            hub: Some(HubInfo::default()),
            ..StatusReport::default()
        };
        let shown_task = Shown {
            task: Some(TaskInfo::default()),
            attempts: vec![AttemptInfo::default()],
            ..Shown::default()
        };
        let mut names = Vec::new();
        for value in [status(&report), worker_line(&info, "alive"), shown(&shown_task)] {
            fields(&value, &mut names);
        }
        assert!(names.len() > 60, "{names:?}");
        let section = DOCS.split("**JSON.**").nth(1).expect("a section");
        let section = section.split("## Exit codes").next().expect("a section");
        for name in names {
            assert!(section.contains(&format!("`{name}`")), "`{name}` is not in the page");
        }
    }
}
