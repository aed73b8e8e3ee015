//! Rows as people see them, and how they are read.

use rusqlite::{Connection, Row};

use crate::engine::archive::Page;
use crate::engine::keyname;
use crate::engine::message::{AttemptRow, Need, TaskId, TaskRow};
use crate::engine::scheduler::State;
use crate::store::OPEN;

#[derive(Clone, Debug)]
pub struct FailureRow {
    pub name: String,
    pub exit_code: i32,
    pub reason: String,
}

/// What may be large comes first, so that the rest can be read without it.
pub(crate) const TASK_LARGE: &str = "t.command, t.dir, t.env";
pub(crate) const TASK_BRIEF: &str = "NULL, NULL, NULL";
pub(crate) const TASK_ROW: &str = "t.id, t.name, t.state, t.priority, t.retries, coalesce(l.attempt, t.attempt),
        t.failures, t.reclaims, w.name, coalesce(?1 - l.started_ms, a.run_ms), a.exit_code, a.reason,
        t.time_limit_ms, t.created_ms, a.started_ms + a.run_ms, t.blame, octet_length(t.stdin), t.held, coalesce(a.left_behind, 0),
        l.started_ms
    FROM tasks t
        LEFT JOIN leases l ON l.task = t.id
        LEFT JOIN attempts a ON a.task = t.id
            AND a.attempt = (SELECT max(b.attempt) FROM attempts b WHERE b.task = t.id)
        LEFT JOIN workers w ON w.id = coalesce(l.worker, a.worker)";

pub(crate) fn state(number: i64) -> Option<State> {
    Some(match number {
        1 => State::Missing,
        5 => State::Done,
        6 => State::Failed,
        7 => State::Skipped,
        8 => State::Cancelled,
        _ => return None,
    })
}

pub(crate) fn task_row(row: &Row) -> rusqlite::Result<TaskRow> {
    let text = |index| row.get::<_, Option<String>>(index).map(Option::unwrap_or_default);
    let ms = |index| {
        Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(index)?.unwrap_or(0).max(0) as u64)
    };
    Ok(TaskRow {
        command: text(0)?,
        dir: text(1)?,
        env: text(2)?,
        id: row.get::<_, i64>(3)? as TaskId,
        name: row.get(4)?,
        finished: state(row.get(5)?),
        priority: row.get(6)?,
        retries: row.get(7)?,
        attempt: row.get(8)?,
        failures: row.get(9)?,
        reclaims: row.get(10)?,
        worker: text(11)?,
        run_ms: ms(12)?,
        exit_code: row.get::<_, Option<i32>>(13)?.unwrap_or(0),
        reason: text(14)?,
        time_limit_ms: ms(15)?,
        created_ms: ms(16)?,
        ended_ms: ms(17)?,
        blame: row.get::<_, Option<i64>>(18)?.map(|id| id as TaskId),
        stdin_bytes: ms(19)?,
        held: row.get(20)?,
        left_behind: row.get(21)?,
        started_ms: ms(22)?,
        is_lost: false,
    })
}

/// After its output, or NULL without that.
pub(crate) const ATTEMPT_ROW: &str =
    "a.attempt, w.name, a.started_ms, a.run_ms, a.outcome, a.exit_code, a.reason,
        w.host, a.output_file, coalesce(w.key, '?'), a.left_behind
    FROM attempts a LEFT JOIN workers w ON w.id = a.worker";

pub(crate) fn attempt_row(row: &Row) -> rusqlite::Result<AttemptRow> {
    let text = |index| row.get::<_, Option<String>>(index).map(Option::unwrap_or_default);
    let started = row.get::<_, i64>(3)?.max(0) as u64;
    Ok(AttemptRow {
        output: row.get::<_, Option<Vec<u8>>>(0)?.unwrap_or_default(),
        attempt: row.get(1)?,
        worker: text(2)?,
        started_ms: started,
        ended_ms: started + row.get::<_, i64>(4)?.max(0) as u64,
        outcome: match row.get::<_, i64>(5)? {
            1 => "done",
            2 => "failed",
            3 => "reclaimed",
            _ => "cancelled",
        },
        exit_code: row.get(6)?,
        reason: text(7)?,
        host: text(8)?,
        output_file: text(9)?,
        key: keyname::shown(&text(10)?).into(),
        left_behind: row.get(11)?,
    })
}

/// What a row needs; None: the row is damaged.
pub(crate) fn parse_ids(list: Option<&str>) -> Option<Vec<TaskId>> {
    list.map_or(Some(Vec::new()), |list| list.split(',').map(|id| id.parse().ok()).collect())
}

/// A dependency of a task.
pub(crate) fn try_need(db: &Connection, id: TaskId) -> rusqlite::Result<Need> {
    db.prepare_cached("SELECT name, state, blame FROM tasks WHERE id = ?1")?.query_row(
        [id as i64],
        |row| {
            Ok(Need {
                id,
                name: row.get::<_, String>(0)?.into(),
                // An open one counts as missing until memory says otherwise.
                state: state(row.get(1)?).unwrap_or(State::Missing),
                blame: row.get::<_, Option<i64>>(2)?.map_or(id, |blame| blame as TaskId),
            })
        },
    )
}

/// As SQL. What the indices of states are for is said as they say it.
pub(crate) fn filter(page: Page) -> String {
    match page {
        Page::Any => "1".into(),
        Page::All => format!("t.state <> {}", State::Missing as i64),
        Page::Open => format!("t.state = {OPEN} AND t.state <> 5"),
        Page::Dead(state) => format!("t.state = {} AND t.state <> 5", state as i64),
    }
}
