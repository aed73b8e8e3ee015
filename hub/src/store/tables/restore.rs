//! What a hub that starts reads: every open task, what it needs, and who holds it.

use std::path::Path;

use dhub_proto::shell;
use rusqlite::{Connection, Row};

use super::lost::{count_finished, name_lost};
use super::sum::{fits_needs, fits_run, of_run};
use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;
use crate::engine::told::Kept;
use crate::store::damage::unless_damaged;
use crate::store::tables::meta::version;
use crate::store::tables::row::parse_ids;
use crate::store::{Store, StoreError, unix_ms};

/// What a task adds to a lease; `Details::bytes` counts in the same way.
pub(crate) const DETAILS_BYTES: &str = "iif(t.command IS NOT NULL OR t.time_limit_ms > 0 OR t.dir IS NOT NULL OR t.env IS NOT NULL
        OR t.stdin IS NOT NULL,
    16 + coalesce(octet_length(t.command), 0) + coalesce(octet_length(t.dir), 0) + coalesce(octet_length(t.env), 0)
       + coalesce(octet_length(t.stdin), 0), 0)";

/// Of a file that is only looked at, and stays as it is.
pub(crate) const DETAILS_BYTES_BEFORE_3: &str = "iif(t.command IS NOT NULL OR t.time_limit_ms > 0, 16 + coalesce(octet_length(t.command), 0), 0)";

/// Whose a worker is, such a file does not say (`UNKNOWN`).
const KEY_BEFORE_5: &str = "'?'";

impl Store {
    /// Fills an empty scheduler with what the file has. The tasks that are not as they were written, by name; those that
    /// cannot be read at all count as failed, and that is said.
    pub fn restore(&self, now: Millis, scheduler: &mut Scheduler) -> Result<Vec<Name>, StoreError> {
        let db = self.db()?;
        let last = |sql| db.query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
        let last_task = last("SELECT max(id) FROM tasks")?.unwrap_or(0) as TaskId;
        let last_worker = last("SELECT max(id) FROM workers")?.unwrap_or(0) as WorkerId;
        let finished: Vec<_> =
            crate::store::FINISHED.iter().map(|&state| (state, self.totals.of(state))).collect();
        scheduler.restore_totals(&finished, last_task, last_worker);
        let leases = self.leases(now, scheduler)?;
        let mut tasks = OpenTasks::new(&db)?;
        scheduler.restore_tasks(now, &mut tasks, leases, |id| self.need_or_lost(&db, id))?;
        if !tasks.lost.is_empty() {
            for (state, count) in count_finished(&db)? {
                scheduler.correct_total(state, self.totals.of(state), count);
            }
            scheduler.add_lost(tasks.lost.len() as u64);
        }
        *self.lost.borrow_mut() = name_lost(&db, &tasks.lost)?;
        if let Some(first) = self.lost_names(1).first() {
            let count = self.lost_count();
            let page = dhub_checksum::last_damage().map_or(String::new(), |it| format!(": {it}"));
            let file = self.file().unwrap_or(Path::new("FILE"));
            let (check, rescue) = (shell::file(file), shell::rescue(file));
            let tasks = match count {
                1 => format!("'{first}' cannot be read and counts as failed"),
                _ => format!("{count} tasks cannot be read and count as failed, first '{first}'"),
            };
            tracing::warn!(
                "{tasks}{page}\n  when this hub has stopped: dhub check {check} says which they are; {rescue} saves the rest into a new file"
            );
        }
        Ok(tasks.damaged)
    }

    /// The names of open tasks that cannot be read.
    pub(crate) fn find_lost(&self) -> Result<Vec<String>, StoreError> {
        let db = self.db()?;
        let mut tasks = OpenTasks::new(&db)?;
        for task in &mut tasks {
            task?;
        }
        *self.lost.borrow_mut() = name_lost(&db, &tasks.lost)?;
        Ok(self.lost_names(usize::MAX))
    }

    /// Requests that may be sent again, in the order of their numbers; of a file of this version.
    pub fn told(&self) -> Result<Vec<(u64, Kept)>, StoreError> {
        let db = self.db()?;
        let mut select = db.prepare(
            "SELECT number, key, token, sum, upto, done, more, reply FROM requests ORDER BY number",
        )?;
        let number = |row: &Row, column| row.get::<_, i64>(column).map(|number| number as u64);
        let rows = select.query_map([], |row| {
            let key = row.get::<_, String>(1)?.into();
            let tag = Tag { key, token: row.get(2)?, sum: number(row, 3)? };
            let counts = [number(row, 5)?, number(row, 6)?];
            let progress = Progress { after: number(row, 4)?, counts };
            let reply = row.get::<_, Option<Vec<u8>>>(7)?.map(Vec::into);
            Ok((number(row, 0)?, Kept { tag, progress, reply }))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn leases(
        &self,
        now: Millis,
        scheduler: &mut Scheduler,
    ) -> Result<Vec<StoredLease>, StoreError> {
        let db = self.db()?;
        let version = version(&db)?;
        let host = if version < 3 { "NULL" } else { "w.host" };
        let key = if version < 5 { KEY_BEFORE_5 } else { "w.key" };
        let mut select = db.prepare(
            &format!(
                "SELECT l.task, l.attempt, l.worker, l.client, l.number, l.term_ms, l.started_ms, w.name, w.client,
                    {host}, {key}
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
                let key = row.get::<_, String>(10)?.into();
                scheduler.restore_worker(now, worker, Who { name: name.into(), id, host, key });
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
}

/// Rows read at a time, so that what follows one that cannot be read is read all the same.
const ROWS: usize = 1_000;

type OpenTask = (StoredTask, Vec<TaskId>);

/// All open tasks that can be read, by ascending id.
struct OpenTasks<'a> {
    db: &'a Connection,
    sql: String,
    upto: i64,
    page: std::vec::IntoIter<OpenTask>,
    all: bool,
    /// Those whose rows do not have their sum.
    damaged: Vec<Name>,
    lost: Vec<i64>,
}

impl<'a> OpenTasks<'a> {
    fn new(db: &'a Connection) -> rusqlite::Result<Self> {
        let version = version(db)?;
        let details_bytes = if version < 3 { DETAILS_BYTES_BEFORE_3 } else { DETAILS_BYTES };
        let held = if version < 4 { "0" } else { "t.held" };
        let sum = if version < 6 { "NULL" } else { "t.sum" };
        let sql = format!(
            "SELECT t.id, t.name, t.definition, t.priority, t.retries, t.failures, t.reclaims, t.attempt,
                {details_bytes}, t.needs, a.worker, a.outcome, {held}, {sum}
             FROM tasks t LEFT JOIN attempts a ON a.task = t.id AND a.attempt = t.attempt AND t.attempt > 0
             WHERE t.state = 2 AND t.state <> 5 AND t.id > ?1 ORDER BY t.id LIMIT {ROWS}"
        );
        let page = Vec::new().into_iter();
        let (damaged, lost) = (Vec::new(), Vec::new());
        Ok(Self { db, sql, upto: 0, page, all: false, damaged, lost })
    }

    fn read(&mut self) -> rusqlite::Result<()> {
        let mut select = self.db.prepare_cached(&self.sql)?;
        let mut page = Vec::with_capacity(ROWS);
        let rows = select.query_map([self.upto], |row| {
            let needs = parse_ids(row.get_ref(9)?.as_str_or_null()?);
            Ok((stored_task(row, Vec::new())?, needs, row.get::<_, Option<i64>>(13)?))
        })?;
        for row in rows {
            let Some((task, needs, stored)) = unless_damaged(row)? else {
                let upto = page.last().map_or(self.upto, |(task, _): &OpenTask| task.id as i64);
                // By the index alone, which is not damaged, or there is no way on.
                let next = "SELECT min(id) FROM tasks WHERE state = 2 AND state <> 5 AND id > ?1";
                self.upto = self.db.query_row(next, [upto], |row| row.get(0))?;
                self.lost.push(self.upto);
                self.page = page.into_iter();
                return Ok(());
            };
            let needs = needs.filter(|needs| is_sound(&task, needs, stored));
            if needs.is_none() {
                self.damaged.push(task.name.clone());
            }
            page.push((task, needs.unwrap_or_default()));
        }
        self.all = page.len() < ROWS;
        self.upto = page.last().map_or(self.upto, |(task, _)| task.id as i64);
        self.page = page.into_iter();
        Ok(())
    }
}

/// What is run of tasks with more than a name is looked at when they are given out.
fn is_sound(task: &StoredTask, needs: &[TaskId], stored: Option<i64>) -> bool {
    let run = || of_run(task.id, &task.name, task.definition, task.retries, None);
    stored.is_none_or(|stored| {
        let is_run = task.details_bytes > 0 || fits_run(stored, run());
        is_run && fits_needs(stored, task.id, needs)
    })
}

impl Iterator for OpenTasks<'_> {
    type Item = rusqlite::Result<OpenTask>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(task) = self.page.next() {
                return Some(Ok(task));
            }
            if self.all {
                return None;
            }
            if let Err(error) = self.read() {
                self.all = true;
                return Some(Err(error));
            }
        }
    }
}

/// The first thirteen columns of an open task; the last attempt's worker and outcome come late.
pub(crate) fn stored_task(row: &Row, needs: Vec<Need>) -> rusqlite::Result<StoredTask> {
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
        held: row.get(12)?,
        needs,
    })
}
