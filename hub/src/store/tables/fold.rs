//! Folding: committed changes become rows.
//!
//! Many turns at once, so that what came and went in between is never written: most leases are not.
//! The number of the last turn goes into the same transaction.

use std::collections::BTreeMap;

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::sum::{self, of_run};
use crate::engine::message::*;
use crate::engine::scheduler::{Counts, State};
use crate::store::damage::{can_be_left, is_damage};
use crate::store::disk::or_in_hook;
use crate::store::files::mark::begin_log;
use crate::store::tables::meta::{set, version};
use crate::store::{FINISHED, OPEN};

/// The changes of one turn.
#[derive(Debug)]
pub struct Batch {
    pub turn: Turn,
    /// Wall time, since 1970.
    pub at_ms: i64,
    pub changes: Vec<Change>,
    /// Tasks by state after it.
    pub counts: Counts,
}

/// All of it in one transaction; but for what is of rows that are damaged, if that can be left.
pub fn fold(db: &Connection, batches: &[Batch]) -> rusqlite::Result<()> {
    match fold_all(db, batches, Rows::write) {
        Err(error) if is_damage(&error) => fold_all(db, batches, Rows::write_or_leave),
        folded => folded,
    }
}

type Write<'a, 'db> = fn(&mut Rows<'a, 'db>, &'a Change, i64) -> rusqlite::Result<()>;

fn fold_all<'a, 'db>(
    db: &'db Connection,
    batches: &'a [Batch],
    write: Write<'a, 'db>,
) -> rusqlite::Result<()> {
    let Some(last) = batches.last() else {
        return Ok(());
    };
    let transaction = db.unchecked_transaction()?;
    if dhub_checksum::log_is_empty(db) {
        begin_log(db)?;
    }
    let mut rows = Rows::new(db)?;
    for batch in batches {
        for change in &batch.changes {
            write(&mut rows, change, batch.at_ms)?;
        }
    }
    rows.write_leases()?;
    rows.write_told()?;
    let mut total = db.prepare_cached("UPDATE totals SET count = ?2 WHERE state = ?1")?;
    for state in FINISHED {
        total.execute(params![state as i64, last.counts.of(state) as i64])?;
    }
    set(db, "turn", last.turn)?;
    transaction.commit().map_err(or_in_hook)
}

struct Lease<'a> {
    attempt: u32,
    worker: WorkerId,
    client: &'a Option<ClientId>,
    number: u64,
    term_ms: u64,
    started_ms: i64,
}

/// A thousand years: with the time of its start it still is a number of the file.
const RUN_MS_MAX: u64 = 1_000 * 365 * 86_400_000;

const ADD: &str =
    "INSERT INTO tasks (id, name, state, definition, priority, retries, time_limit_ms,
        created_ms, needs, command, dir, env, stdin, sum)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";

const ADOPT: &str =
    "UPDATE tasks SET name = ?2, state = ?3, definition = ?4, priority = ?5, retries = ?6,
        time_limit_ms = ?7, created_ms = ?8, needs = ?9, command = ?10, dir = ?11, env = ?12, stdin = ?13,
        sum = ?14
     WHERE id = ?1";

/// The same values, of which the last has no column yet.
const ADD_BEFORE_6: &str =
    "INSERT INTO tasks (id, name, state, definition, priority, retries, time_limit_ms,
        created_ms, needs, command, dir, env, stdin)
     SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13 WHERE ?14 IS NOT NULL";

const ADOPT_BEFORE_6: &str =
    "UPDATE tasks SET name = ?2, state = ?3, definition = ?4, priority = ?5, retries = ?6,
        time_limit_ms = ?7, created_ms = ?8, needs = ?9, command = ?10, dir = ?11, env = ?12, stdin = ?13
     WHERE id = ?1 AND ?14 IS NOT NULL";

/// The statements, and what has no row yet: leases, and requests that may be sent again.
struct Rows<'a, 'db> {
    db: &'db Connection,
    leases: BTreeMap<TaskId, Lease<'a>>,
    /// By number.
    told: BTreeMap<u64, &'a Change>,
    add: CachedStatement<'db>,
    has_sums: bool,
    end: CachedStatement<'db>,
    finish: CachedStatement<'db>,
    end_lease: CachedStatement<'db>,
}

impl<'a, 'db> Rows<'a, 'db> {
    fn new(db: &'db Connection) -> rusqlite::Result<Self> {
        // What a hub left is folded before its file is brought to this version.
        let has_sums = version(db)? >= 6;
        Ok(Self {
            db,
            leases: BTreeMap::new(),
            told: BTreeMap::new(),
            add: db.prepare_cached(if has_sums { ADD } else { ADD_BEFORE_6 })?,
            has_sums,
            end: db.prepare_cached(
                "INSERT OR REPLACE INTO attempts
                    (task, attempt, worker, started_ms, run_ms, outcome, exit_code, reason, output,
                     output_file)
                 VALUES (?1, ?2, ?3, ?4, coalesce(?11, max(0, ?5 - ?4)), ?6, ?7, ?8, ?9, ?10)",
            )?,
            finish: db.prepare_cached(
                "UPDATE tasks SET state = ?2, attempt = ?3, failures = ?4, reclaims = ?5, blame = ?6
                 WHERE id = ?1",
            )?,
            end_lease: db.prepare_cached("DELETE FROM leases WHERE task = ?1")?,
        })
    }

    /// Leaves the rows of a damaged task as they are, and says so.
    fn write_or_leave(&mut self, change: &'a Change, now: i64) -> rusqlite::Result<()> {
        self.db.execute_batch("SAVEPOINT change")?;
        match self.write(change, now) {
            Err(error) if is_damage(&error) && can_be_left(change) => {
                tracing::warn!("left out, as its row is damaged: {change:?}");
                self.db.execute_batch("ROLLBACK TO change")?;
            }
            written => written?,
        }
        self.db.execute_batch("RELEASE change")
    }

    fn write(&mut self, change: &'a Change, now: i64) -> rusqlite::Result<()> {
        match change {
            Change::Added { id, task, needs, adopted } => {
                self.added(*id, task, needs, *adopted, now)?
            }
            Change::Missing { id, name } => {
                self.change(
                    "INSERT INTO tasks (id, name, state, created_ms) VALUES (?1, ?2, ?3, ?4)",
                    params![*id as i64, &**name, State::Missing as i64, now],
                )?;
            }
            Change::Needs { task, needs } => {
                self.more_needs(*task, needs)?;
            }
            Change::Worker { id, who } => {
                self.change(
                    "INSERT INTO workers (id, name, client, seen_ms, host, key)
                     VALUES (?1, ?2, ?3, ?4, nullif(?5, ''), ?6)",
                    params![id, &*who.name, who.id, now, &*who.host, &*who.key],
                )?;
            }
            Change::Host { id, host } => {
                self.change("UPDATE workers SET host = ?2 WHERE id = ?1", params![id, &**host])?;
            }
            Change::Key { id, key } => {
                // Where the key has a worker that is called so already, it stays as it is.
                self.change(
                    "UPDATE OR IGNORE workers SET key = ?2 WHERE id = ?1",
                    params![id, &**key],
                )?;
            }
            Change::Leased { task, attempt, worker, client, number, term_ms } => {
                let (attempt, worker, number, term_ms) = (*attempt, *worker, *number, *term_ms);
                let lease = Lease { attempt, worker, client, number, term_ms, started_ms: now };
                self.leases.insert(*task, lease);
            }
            Change::Back { task, attempt, failures, reclaims } => {
                self.end_lease(*task)?;
                self.change(
                    "UPDATE tasks SET attempt = ?2, failures = ?3, reclaims = ?4 WHERE id = ?1",
                    params![*task as i64, attempt, failures, reclaims],
                )?;
            }
            Change::Ended { task, attempt, worker, how, report } => {
                let began = self.began(*task, *attempt)?.unwrap_or(now);
                self.end.execute(params![
                    *task as i64,
                    attempt,
                    worker,
                    began,
                    now,
                    *how as i64,
                    report.exit_code,
                    report.reason.as_deref(),
                    report.output,
                    report.output_file.as_deref(),
                    report.run_ms.map(|ms| ms.min(RUN_MS_MAX) as i64)
                ])?;
                // Rare; and a file of an older version has no place for it.
                if report.left_behind > 0 {
                    self.change(
                        "UPDATE attempts SET left_behind = ?3 WHERE task = ?1 AND attempt = ?2",
                        params![*task as i64, attempt, report.left_behind],
                    )?;
                }
            }
            Change::Finished { task, state, attempt, failures, reclaims, blame } => {
                if *attempt > 0 {
                    self.end_lease(*task)?;
                }
                let blame = (*state == State::Skipped).then_some(*blame as i64);
                self.finish.execute(params![
                    *task as i64,
                    *state as i64,
                    attempt,
                    failures,
                    reclaims,
                    blame
                ])?;
            }
            Change::Reopened { task } => {
                self.change(
                    "UPDATE tasks SET state = ?2, failures = 0, reclaims = 0, blame = NULL WHERE id = ?1",
                    params![*task as i64, OPEN],
                )?;
            }
            Change::Adjusted { task, held, priority } => {
                self.change(
                    "UPDATE tasks SET held = ?2, priority = ?3 WHERE id = ?1",
                    params![*task as i64, held, priority],
                )?;
            }
            Change::Blamed { task, blame } => {
                self.change(
                    "UPDATE tasks SET blame = ?2 WHERE id = ?1",
                    params![*task as i64, *blame as i64],
                )?;
            }
            Change::Told { number, .. } => {
                self.told.insert(*number, change);
            }
            Change::Untold { number } => {
                if self.told.remove(number).is_none() {
                    self.change("DELETE FROM requests WHERE number = ?1", params![*number as i64])?;
                }
            }
        }
        Ok(())
    }

    fn added(
        &mut self,
        id: TaskId,
        task: &NewTask,
        needs: &[TaskId],
        adopted: bool,
        now: i64,
    ) -> rusqlite::Result<()> {
        let details = task.details.as_deref();
        let command = details.and_then(|details| details.command.as_deref());
        let limit = details.map_or(0, |details| details.time_limit_ms as i64);
        let row = params![
            id as i64,
            &*task.name,
            OPEN,
            task.definition as i64,
            task.priority,
            task.retries,
            limit,
            now,
            id_list(needs),
            command,
            details.and_then(|details| details.dir.as_deref()),
            details.and_then(|details| details.env.as_deref()),
            details.and_then(|details| details.stdin.as_deref()),
            sum::column(of_run(id, &task.name, task.definition, task.retries, details), id, needs)
        ];
        if !adopted {
            return self.add.execute(row).map(drop);
        }
        self.change(if self.has_sums { ADOPT } else { ADOPT_BEFORE_6 }, row)
    }

    fn more_needs(&self, id: TaskId, more: &[TaskId]) -> rusqlite::Result<()> {
        if self.has_sums {
            let before = "SELECT sum, needs FROM tasks WHERE id = ?1 AND sum IS NOT NULL";
            let before = self.db.prepare_cached(before)?.query_row([id as i64], |row| {
                Ok(sum::with_more(row.get(0)?, id, row.get_ref(1)?.as_str_or_null()?, more))
            });
            if let Some(sum) = before.optional()? {
                self.change("UPDATE tasks SET sum = ?2 WHERE id = ?1", params![id as i64, sum])?;
            }
        }
        self.change(
            "UPDATE tasks SET needs = coalesce(needs || ',', '') || ?2 WHERE id = ?1",
            params![id as i64, id_list(more)],
        )
    }

    /// A change that is rarer than those with a statement of their own.
    fn change(&self, sql: &str, values: &[&dyn rusqlite::ToSql]) -> rusqlite::Result<()> {
        self.db.prepare_cached(sql)?.execute(values).map(drop)
    }

    /// When an attempt began; of one that was reclaimed before, its row says so.
    fn began(&self, task: TaskId, attempt: u32) -> rusqlite::Result<Option<i64>> {
        if let Some(lease) = self.leases.get(&task).filter(|lease| lease.attempt == attempt) {
            return Ok(Some(lease.started_ms));
        }
        self.db
            .prepare_cached(
                "SELECT coalesce((SELECT started_ms FROM leases WHERE task = ?1 AND attempt = ?2),
                    (SELECT started_ms FROM attempts WHERE task = ?1 AND attempt = ?2))",
            )?
            .query_row(params![task as i64, attempt], |row| row.get(0))
    }

    fn end_lease(&mut self, task: TaskId) -> rusqlite::Result<()> {
        if self.leases.remove(&task).is_none() {
            self.end_lease.execute([task as i64])?;
        }
        Ok(())
    }

    fn write_leases(&mut self) -> rusqlite::Result<()> {
        let mut add = self.db.prepare_cached(
            "INSERT INTO leases (task, attempt, worker, client, number, term_ms, started_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        for (task, lease) in std::mem::take(&mut self.leases) {
            add.execute(params![
                task as i64,
                lease.attempt,
                lease.worker,
                lease.client,
                lease.number as i64,
                lease.term_ms as i64,
                lease.started_ms
            ])?;
        }
        Ok(())
    }

    fn write_told(&mut self) -> rusqlite::Result<()> {
        for change in std::mem::take(&mut self.told).into_values() {
            let Change::Told { number, tag, progress, reply } = change else { continue };
            let [done, more] = progress.counts;
            self.change(
                "INSERT OR REPLACE INTO requests (number, key, token, sum, upto, done, more, reply)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    *number as i64,
                    &*tag.key,
                    tag.token,
                    tag.sum as i64,
                    progress.after as i64,
                    done as i64,
                    more as i64,
                    reply
                ],
            )?;
        }
        Ok(())
    }
}

fn id_list(ids: &[TaskId]) -> Option<String> {
    if ids.is_empty() {
        return None;
    }
    let mut list = String::with_capacity(ids.len() * 8);
    for id in ids {
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(&id.to_string());
    }
    Some(list)
}
