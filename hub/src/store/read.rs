//! What is read back: at the start, by name, in pages.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{OPEN, Store, StoreError, unix_ms};
use crate::scheduler::message::*;
use crate::scheduler::{Scheduler, State};

/// A task as people see it.
#[derive(Clone, Debug, Default)]
pub struct TaskRow {
    pub id: TaskId,
    pub name: String,
    /// None: open; the scheduler knows more.
    pub finished: Option<State>,
    pub priority: i32,
    pub retries: u32,
    pub attempt: u32,
    pub failures: u32,
    pub reclaims: u32,
    pub worker: String,
    pub run_ms: u64,
    pub exit_code: i32,
    pub reason: String,
    pub command: String,
    pub time_limit_ms: u64,
    pub created_ms: u64,
    pub ended_ms: u64,
    pub blame: Option<TaskId>,
    pub dir: String,
    /// A JSON array of NAME=VALUE; empty: none.
    pub env: String,
    pub stdin_bytes: u64,
}

impl TaskRow {
    /// What it takes in a message, about.
    pub fn bytes(&self) -> usize {
        let texts = [&self.name, &self.worker, &self.reason, &self.command, &self.dir, &self.env];
        128 + texts.map(String::len).iter().sum::<usize>()
    }
}

#[derive(Clone, Debug, Default)]
pub struct AttemptRow {
    pub attempt: u32,
    pub worker: String,
    pub started_ms: u64,
    pub ended_ms: u64,
    pub outcome: &'static str,
    pub exit_code: i32,
    pub reason: String,
    pub output: Vec<u8>,
    pub host: String,
    pub output_file: String,
}

#[derive(Clone, Debug)]
pub struct FailureRow {
    pub name: String,
    pub exit_code: i32,
    pub reason: String,
}

/// Rows of a page are read until they have so much.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

const TASK_ROW: &str = "SELECT t.id, t.name, t.state, t.priority, t.retries, coalesce(l.attempt, t.attempt),
        t.failures, t.reclaims, w.name, coalesce(?1 - l.started_ms, a.run_ms), a.exit_code, a.reason,
        t.command, t.time_limit_ms, t.created_ms, a.started_ms + a.run_ms, t.blame,
        t.dir, t.env, octet_length(t.stdin)
    FROM tasks t
        LEFT JOIN leases l ON l.task = t.id
        LEFT JOIN attempts a ON a.task = t.id AND a.attempt = t.attempt
        LEFT JOIN workers w ON w.id = coalesce(l.worker, a.worker)";

/// What a task adds to a lease; `Details::bytes` counts in the same way.
const DETAILS_BYTES: &str = "iif(t.command IS NOT NULL OR t.time_limit_ms > 0 OR t.dir IS NOT NULL OR t.env IS NOT NULL
        OR t.stdin IS NOT NULL,
    16 + coalesce(octet_length(t.command), 0) + coalesce(octet_length(t.dir), 0) + coalesce(octet_length(t.env), 0)
       + coalesce(octet_length(t.stdin), 0), 0)";
/// Of a file that is only looked at, and stays as it is.
const DETAILS_BYTES_BEFORE_3: &str = "iif(t.command IS NOT NULL OR t.time_limit_ms > 0, 16 + coalesce(octet_length(t.command), 0), 0)";

fn state(number: i64) -> Option<State> {
    Some(match number {
        1 => State::Missing,
        5 => State::Done,
        6 => State::Failed,
        7 => State::Skipped,
        8 => State::Cancelled,
        _ => return None,
    })
}

fn task_row(row: &Row) -> rusqlite::Result<TaskRow> {
    let text = |index| row.get::<_, Option<String>>(index).map(Option::unwrap_or_default);
    let ms = |index| {
        Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(index)?.unwrap_or(0).max(0) as u64)
    };
    Ok(TaskRow {
        id: row.get::<_, i64>(0)? as TaskId,
        name: row.get(1)?,
        finished: state(row.get(2)?),
        priority: row.get(3)?,
        retries: row.get(4)?,
        attempt: row.get(5)?,
        failures: row.get(6)?,
        reclaims: row.get(7)?,
        worker: text(8)?,
        run_ms: ms(9)?,
        exit_code: row.get::<_, Option<i32>>(10)?.unwrap_or(0),
        reason: text(11)?,
        command: text(12)?,
        time_limit_ms: ms(13)?,
        created_ms: ms(14)?,
        ended_ms: ms(15)?,
        blame: row.get::<_, Option<i64>>(16)?.map(|id| id as TaskId),
        dir: text(17)?,
        env: text(18)?,
        stdin_bytes: ms(19)?,
    })
}

const ATTEMPT_ROW: &str =
    "SELECT a.attempt, w.name, a.started_ms, a.run_ms, a.outcome, a.exit_code, a.reason, a.output,
        w.host, a.output_file
    FROM attempts a LEFT JOIN workers w ON w.id = a.worker";

fn attempt_row(row: &Row) -> rusqlite::Result<AttemptRow> {
    let started = row.get::<_, i64>(2)?.max(0) as u64;
    Ok(AttemptRow {
        attempt: row.get(0)?,
        worker: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
        started_ms: started,
        ended_ms: started + row.get::<_, i64>(3)?.max(0) as u64,
        outcome: match row.get::<_, i64>(4)? {
            1 => "done",
            2 => "failed",
            3 => "reclaimed",
            _ => "cancelled",
        },
        exit_code: row.get(5)?,
        reason: row.get::<_, Option<String>>(6)?.unwrap_or_default(),
        output: row.get::<_, Option<Vec<u8>>>(7)?.unwrap_or_default(),
        host: row.get::<_, Option<String>>(8)?.unwrap_or_default(),
        output_file: row.get::<_, Option<String>>(9)?.unwrap_or_default(),
    })
}

fn parse_ids(list: Option<&str>) -> Vec<TaskId> {
    list.map_or_else(Vec::new, |list| list.split(',').filter_map(|id| id.parse().ok()).collect())
}

impl Store {
    /// Fills an empty scheduler with what the file has.
    pub fn restore(&self, now: Millis, scheduler: &mut Scheduler) -> Result<(), StoreError> {
        let db = self.db()?;
        let last = |sql| db.query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
        let last_task = last("SELECT max(id) FROM tasks")?.unwrap_or(0) as TaskId;
        let last_worker = last("SELECT max(id) FROM workers")?.unwrap_or(0) as WorkerId;
        let finished: Vec<_> =
            super::FINISHED.iter().map(|&state| (state, self.totals.of(state))).collect();
        scheduler.restore_totals(&finished, last_task, last_worker);
        let leases = self.leases(now, scheduler)?;
        let details_bytes = match super::open::is_of_now(&db)? {
            true => DETAILS_BYTES,
            false => DETAILS_BYTES_BEFORE_3,
        };
        let mut select = db.prepare(&format!(
            "SELECT t.id, t.name, t.definition, t.priority, t.retries, t.failures, t.reclaims, t.attempt,
                {details_bytes}, t.needs, a.worker, a.outcome
             FROM tasks t LEFT JOIN attempts a ON a.task = t.id AND a.attempt = t.attempt AND t.attempt > 0
             WHERE t.state = 2 AND t.state <> 5 ORDER BY t.id"
        ))?;
        let tasks = select.query_map([], |row| {
            let needs = parse_ids(row.get_ref(9)?.as_str_or_null()?);
            Ok((stored_task(row, Vec::new())?, needs))
        })?;
        scheduler.restore_tasks(now, tasks, leases, |id| try_need(&db, id))?;
        Ok(())
    }

    fn leases(
        &self,
        now: Millis,
        scheduler: &mut Scheduler,
    ) -> Result<Vec<StoredLease>, StoreError> {
        let db = self.db()?;
        let host = if super::open::is_of_now(&db)? { "w.host" } else { "NULL" };
        let mut select = db.prepare(
            &format!(
                "SELECT l.task, l.attempt, l.worker, l.client, l.number, l.term_ms, l.started_ms, w.name, w.client,
                    {host}
                 FROM leases l JOIN workers w ON w.id = l.worker"
            ),
        )?;
        let wall = unix_ms();
        let mut leases = Vec::new();
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let worker: WorkerId = row.get(2)?;
            let id: Option<ClientId> = row.get(8)?;
            if scheduler.worker(worker).is_none() {
                let name: String = row.get(7)?;
                let host: Option<String> = row.get(9)?;
                let host = host.unwrap_or_default().into();
                scheduler.restore_worker(now, worker, Who { name: name.into(), id, host });
            }
            leases.push(StoredLease {
                task: row.get::<_, i64>(0)? as TaskId,
                attempt: row.get(1)?,
                worker,
                client: row.get(3)?,
                number: row.get::<_, i64>(4)? as u64,
                term_ms: row.get::<_, i64>(5)? as u64,
                age_ms: (wall - row.get::<_, i64>(6)?).max(0) as u64,
            });
        }
        Ok(leases)
    }

    /// A worker that memory has forgotten or never knew in this life of the hub, and its host.
    pub fn find_worker(&self, who: &Who) -> Result<Option<(WorkerId, Name)>, StoreError> {
        let db = self.db()?;
        let mut select =
            db.prepare_cached("SELECT id, host FROM workers WHERE coalesce(client, name) = ?1")?;
        let known = |row: &Row| {
            let host: Option<String> = row.get(1)?;
            Ok((row.get(0)?, host.unwrap_or_default().into()))
        };
        let id = match who.id {
            Some(client) => select.query_row([client], known).optional()?,
            None => select.query_row([&*who.name], known).optional()?,
        };
        Ok(id)
    }

    /// A task that memory lacks: finished, or a name that nothing waits for any more.
    pub fn look_up(&self, name: &str) -> Result<Option<PastTask>, StoreError> {
        let db = self.db()?;
        let past = db
            .prepare_cached(
                "SELECT t.id, t.state, t.definition, t.attempt, t.blame, a.worker
                 FROM tasks t LEFT JOIN attempts a ON a.task = t.id AND a.attempt = t.attempt
                 WHERE t.name = ?1",
            )?
            .query_row([name], |row| {
                let id = row.get::<_, i64>(0)? as TaskId;
                Ok(PastTask {
                    id,
                    // Open ones are in memory and are not asked for.
                    state: state(row.get(1)?).unwrap_or(State::Missing),
                    definition: row.get::<_, i64>(2)? as u64,
                    attempt: row.get(3)?,
                    blame: row.get::<_, Option<i64>>(4)?.map_or(id, |blame| blame as TaskId),
                    holder: row.get(5)?,
                })
            })
            .optional()?;
        Ok(past)
    }

    /// What a worker needs besides the name.
    pub fn details(&self, id: TaskId) -> Result<Details, StoreError> {
        if let Some((_, details)) = self.details.get(&id) {
            return Ok(details.clone());
        }
        let db = self.db()?;
        let details = db
            .prepare_cached(
                "SELECT command, time_limit_ms, dir, env, stdin FROM tasks WHERE id = ?1",
            )?
            .query_row([id as i64], |row| {
                let text = |index| {
                    Ok::<_, rusqlite::Error>(row.get::<_, Option<String>>(index)?.map(Name::from))
                };
                Ok(Details {
                    command: text(0)?,
                    time_limit_ms: row.get::<_, i64>(1)?.max(0) as u64,
                    dir: text(2)?,
                    env: text(3)?,
                    stdin: row.get::<_, Option<Vec<u8>>>(4)?.map(Vec::into_boxed_slice),
                })
            })?;
        Ok(details)
    }

    pub fn name(&self, id: TaskId) -> Result<String, StoreError> {
        let db = self.db()?;
        Ok(try_need(&db, id)?.name.into())
    }

    /// A finished task, with all that its retry needs.
    pub fn revived(&self, id: TaskId, dependent: bool) -> Result<Option<Revived>, StoreError> {
        let db = self.db()?;
        let found = db
            .prepare_cached(&format!(
                "SELECT t.id, t.name, t.definition, t.priority, t.retries, t.failures, t.reclaims, t.attempt,
                    {DETAILS_BYTES}, t.needs, NULL, NULL, t.state
                 FROM tasks t WHERE t.id = ?1 AND t.state > 2"
            ))?
            .query_row([id as i64], |row| {
                let needs = parse_ids(row.get_ref(9)?.as_str_or_null()?);
                let state = state(row.get(12)?).unwrap_or(State::Done);
                Ok((stored_task(row, Vec::new())?, needs, state))
            })
            .optional()?;
        let Some((mut task, needs, state)) = found else {
            return Ok(None);
        };
        for need in needs {
            task.needs.push(try_need(&db, need)?);
        }
        Ok(Some(Revived { task, state, dependent }))
    }

    /// Tasks skipped because of `blame`, with what they need, from an id on.
    pub fn skipped_for(
        &self,
        blame: TaskId,
        after: TaskId,
        most: usize,
    ) -> Result<Vec<(TaskId, Vec<TaskId>)>, StoreError> {
        let db = self.db()?;
        let mut select = db.prepare_cached(
            "SELECT id, needs FROM tasks WHERE blame = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
        )?;
        let rows = select.query_map(params![blame as i64, after as i64, most as i64], |row| {
            Ok((row.get::<_, i64>(0)? as TaskId, parse_ids(row.get_ref(1)?.as_str_or_null()?)))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// One task, whatever its state.
    pub fn task(&self, name: &str) -> Result<Option<TaskRow>, StoreError> {
        let db = self.db()?;
        let mut select = db.prepare_cached(&format!("{TASK_ROW} WHERE t.name = ?2"))?;
        Ok(select.query_row(params![unix_ms(), name], task_row).optional()?)
    }

    pub fn task_by_id(&self, id: TaskId) -> Result<Option<TaskRow>, StoreError> {
        let db = self.db()?;
        let mut select = db.prepare_cached(&format!("{TASK_ROW} WHERE t.id = ?2"))?;
        Ok(select.query_row(params![unix_ms(), id as i64], task_row).optional()?)
    }

    /// Beside another task: all but what may be large.
    pub fn neighbour(&self, id: TaskId) -> Result<Option<TaskRow>, StoreError> {
        let db = self.db()?;
        let brief = ["t.command", "t.dir", "t.env"]
            .iter()
            .fold(TASK_ROW.to_owned(), |sql, column| sql.replace(column, "NULL"));
        let mut select = db.prepare_cached(&format!("{brief} WHERE t.id = ?2"))?;
        Ok(select.query_row(params![unix_ms(), id as i64], task_row).optional()?)
    }

    /// Up to `most` tasks after an id: all of them, the open ones, or those dead in one way. Fewer if
    /// they are large; none if there are no more.
    pub fn page(
        &self,
        which: Page,
        after: TaskId,
        most: usize,
    ) -> Result<Vec<TaskRow>, StoreError> {
        let db = self.db()?;
        let (filter, value) = match which {
            Page::Any => ("t.state <> ?4", 0),
            Page::All => ("t.state <> ?4", State::Missing as i64),
            Page::Open => ("t.state = ?4 AND t.state <> 5", OPEN),
            Page::Dead(state) => ("t.state = ?4 AND t.state <> 5", state as i64),
        };
        let sql = format!("{TASK_ROW} WHERE t.id > ?2 AND {filter} ORDER BY t.id LIMIT ?3");
        let mut select = db.prepare_cached(&sql)?;
        let rows =
            select.query_map(params![unix_ms(), after as i64, most as i64, value], task_row)?;
        let (mut page, mut bytes) = (Vec::new(), 0);
        for row in rows {
            let row = row?;
            bytes += row.bytes();
            page.push(row);
            if bytes > PAGE_BYTES {
                break;
            }
        }
        Ok(page)
    }

    /// Ids of the tasks that a task needs.
    pub fn needs(&self, id: TaskId) -> Result<Vec<TaskId>, StoreError> {
        let db = self.db()?;
        let mut select = db.prepare_cached("SELECT needs FROM tasks WHERE id = ?1")?;
        Ok(select.query_row([id as i64], |row| Ok(parse_ids(row.get_ref(0)?.as_str_or_null()?)))?)
    }

    /// The last attempts of a task that ended, the oldest first.
    pub fn attempts(&self, task: TaskId, most: usize) -> Result<Vec<AttemptRow>, StoreError> {
        let db = self.db()?;
        let mut select = db.prepare_cached(&format!(
            "{ATTEMPT_ROW} WHERE a.task = ?1 ORDER BY a.attempt DESC LIMIT ?2"
        ))?;
        let rows = select.query_map(params![task as i64, most as i64], attempt_row)?;
        let mut attempts = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        attempts.reverse();
        Ok(attempts)
    }

    /// Attempts of a task that ended, from a number on, without their output.
    pub fn attempts_after(
        &self,
        task: TaskId,
        attempt: u32,
        most: usize,
    ) -> Result<Vec<AttemptRow>, StoreError> {
        let db = self.db()?;
        let brief = ATTEMPT_ROW.replace("a.output,", "NULL,");
        let mut select = db.prepare_cached(&format!(
            "{brief} WHERE a.task = ?1 AND a.attempt > ?2 ORDER BY a.attempt LIMIT ?3"
        ))?;
        let rows = select.query_map(params![task as i64, attempt, most as i64], attempt_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The newest failures, for grouping by reason.
    pub fn failures(&self, most: usize) -> Result<Vec<FailureRow>, StoreError> {
        let db = self.db()?;
        let mut select = db.prepare_cached(
            "SELECT t.name, a.exit_code, a.reason
             FROM tasks t LEFT JOIN attempts a ON a.task = t.id AND a.attempt = t.attempt
             WHERE t.state = 6 AND t.state <> 5 ORDER BY t.id DESC LIMIT ?1",
        )?;
        let rows = select.query_map([most as i64], |row| {
            Ok(FailureRow {
                name: row.get(0)?,
                exit_code: row.get::<_, Option<i32>>(1)?.unwrap_or(0),
                reason: row.get::<_, Option<String>>(2)?.unwrap_or_default(),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub fn file_bytes(&self) -> u64 {
        self.file().and_then(|file| std::fs::metadata(file).ok()).map_or(0, |meta| meta.len())
    }
}

/// Which tasks a page is of; each has an index to go along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// With the names that nobody added.
    Any,
    All,
    Open,
    /// Failed, skipped or cancelled.
    Dead(State),
}

/// The first twelve columns of an open task; the last attempt's worker and outcome come last.
fn stored_task(row: &Row, needs: Vec<Need>) -> rusqlite::Result<StoredTask> {
    let ended = match row.get::<_, Option<i64>>(11)? {
        Some(1) => Some(Ended::Done),
        Some(2) => Some(Ended::Failed),
        Some(3) => Some(Ended::Reclaimed),
        Some(_) => Some(Ended::Cancelled),
        None => None,
    };
    Ok(StoredTask {
        id: row.get::<_, i64>(0)? as TaskId,
        name: row.get::<_, String>(1)?.into(),
        definition: row.get::<_, i64>(2)? as u64,
        priority: row.get(3)?,
        retries: row.get(4)?,
        failures: row.get(5)?,
        reclaims: row.get(6)?,
        attempt: row.get(7)?,
        details_bytes: row.get(8)?,
        last: row.get::<_, Option<WorkerId>>(10)?.zip(ended),
        needs,
    })
}

/// A dependency of a task.
fn try_need(db: &Connection, id: TaskId) -> rusqlite::Result<Need> {
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
