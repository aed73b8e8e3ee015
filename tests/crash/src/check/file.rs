//! What the file of a dead hub holds. Read by SQLite itself: none of the hub's code takes part.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rusqlite::{Connection, Row};

use crate::journal::{Fault, Journal, Kind, Record, parse_line};
use crate::plan::{Group, Key};

const MISSING: i64 = 1;
const OPEN: i64 = 2;
const DONE: i64 = 5;
const FAILED: i64 = 6;
const SKIPPED: i64 = 7;
const CANCELLED: i64 = 8;
/// Outcomes of attempts.
const ENDED_DONE: i64 = 1;
const ENDED_FAILED: i64 = 2;
/// A task that was taken from silent workers so often fails.
const RECLAIMS_MAX: i64 = 5;
/// Faults that are told one by one.
const FAULTS_MAX: usize = 50;

/// A file, and what it must fit to.
pub struct File<'a> {
    pub db: &'a Path,
    /// To which pools wrote what they ran.
    pub log: &'a Path,
    /// Nothing may be left to do.
    pub finished: bool,
}

struct Task {
    key: Key,
    state: i64,
    attempt: u32,
    /// The running one; 0: none.
    lease: u32,
    retries: u32,
    failures: i64,
    reclaims: i64,
    needs: Vec<i64>,
}

/// What contradicts the journal, or itself.
pub fn check_file(file: &File, journal: &Journal) -> rusqlite::Result<Vec<Fault>> {
    let db = Connection::open(file.db)?;
    let mut check = Check { journal, tasks: HashMap::new(), faults: Vec::new() };
    check.read_tasks(&db)?;
    check.tasks(file.finished);
    check.attempts(&db, file)?;
    check.faults.truncate(FAULTS_MAX);
    Ok(check.faults)
}

struct Check<'a> {
    journal: &'a Journal,
    tasks: HashMap<i64, Task>,
    faults: Vec<Fault>,
}

impl Check<'_> {
    fn fault(&mut self, kind: Kind, text: String) {
        self.faults.push(Fault { kind, text });
    }

    fn read_tasks(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let mut select = db.prepare(
            "SELECT t.id, t.name, t.state, t.attempt, coalesce(l.attempt, 0), t.retries, t.failures,
                t.reclaims, t.needs
             FROM tasks t LEFT JOIN leases l ON l.task = t.id",
        )?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let name: String = row.get(1)?;
            match Key::parse(&name) {
                Some(key) => {
                    self.tasks.insert(row.get(0)?, task(row, key)?);
                }
                None => self.fault(Kind::Wrong, format!("nobody added {name}")),
            }
        }
        Ok(())
    }

    fn tasks(&mut self, finished: bool) {
        let mut faults = Vec::new();
        let mut there = HashSet::with_capacity(self.tasks.len());
        for task in self.tasks.values() {
            there.insert(task.key);
            let record = self.journal.record(task.key);
            let name = task.key.name();
            for (kind, text) in contradictions(task, record, finished) {
                faults.push(Fault { kind, text: format!("{name} {text}") });
            }
            faults.extend(self.against_needs(task));
        }
        for (key, record) in self.journal.records() {
            if record.created && !there.contains(&key) {
                let text = format!("{} was acknowledged and is not in the file", key.name());
                faults.push(Fault { kind: Kind::Lost, text });
            }
        }
        self.faults.append(&mut faults);
    }

    fn against_needs(&self, task: &Task) -> Vec<Fault> {
        if task.state == MISSING {
            return Vec::new();
        }
        let mut faults = Vec::new();
        let mut fault = |kind, text: String| {
            faults.push(Fault { kind, text: format!("{} {text}", task.key.name()) });
        };
        let needs: Vec<&Task> = task.needs.iter().filter_map(|id| self.tasks.get(id)).collect();
        let mut keys: Vec<Key> = needs.iter().map(|need| need.key).collect();
        keys.sort();
        if keys != task.key.needs() {
            let names: Vec<String> = keys.into_iter().map(Key::name).collect();
            fault(Kind::Changed, format!("needs {names:?}, which is not what was added"));
        }
        let began = task.attempt > 0 || task.lease > 0;
        if let (true, Some(need)) = (began, needs.iter().find(|need| need.state != DONE)) {
            fault(Kind::Early, format!("was given out, and {} is not done", need.key.name()));
        }
        let dead = [FAILED, SKIPPED, CANCELLED];
        if task.state == SKIPPED && !needs.iter().any(|need| dead.contains(&need.state)) {
            fault(Kind::Wrong, "is skipped and all that it needs is well".into());
        }
        faults
    }

    fn attempts(&mut self, db: &Connection, file: &File) -> rusqlite::Result<()> {
        let mut select = db.prepare("SELECT task, attempt, outcome FROM attempts ORDER BY task")?;
        let mut rows = select.query([])?;
        let mut failures = self.journal.failures().clone();
        let mut ended: HashSet<(Key, u32)> = HashSet::new();
        let mut done: HashMap<Key, u32> = HashMap::new();
        let mut faults = Vec::new();
        while let Some(row) = rows.next()? {
            let (id, attempt, outcome): (i64, u32, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let Some(task) = self.tasks.get(&id) else {
                let text = format!("an attempt at task {id}, which is not there");
                faults.push(Fault { kind: Kind::Wrong, text });
                continue;
            };
            ended.insert((task.key, attempt));
            if outcome == ENDED_FAILED {
                failures.remove(&(task.key, attempt));
            }
            if outcome == ENDED_DONE
                && let Some(before) = done.insert(task.key, attempt)
            {
                let name = task.key.name();
                let text = format!("{name} was done in attempt {before} and again in {attempt}");
                faults.push(Fault { kind: Kind::Repeated, text });
            }
        }
        for task in self.tasks.values().filter(|task| task.state == DONE) {
            if done.get(&task.key) != Some(&task.attempt) {
                let text = format!("{} is done without the attempt that did it", task.key.name());
                faults.push(Fault { kind: Kind::Changed, text });
            }
        }
        for (key, attempt) in failures {
            // The dialects without attempts report no failures.
            let text = format!("{} attempt {attempt}: its failure was acknowledged", key.name());
            faults.push(Fault { kind: Kind::Lost, text: text + " and is not recorded" });
        }
        let running: HashSet<(Key, u32)> =
            self.tasks.values().map(|task| (task.key, task.lease)).collect();
        let log = std::fs::read_to_string(file.log).unwrap_or_default();
        for ran in log.lines().filter_map(parse_line) {
            if !ended.contains(&ran) && !running.contains(&ran) {
                let text = format!("{} attempt {} ran and is not recorded", ran.0.name(), ran.1);
                faults.push(Fault { kind: Kind::Lost, text });
            }
        }
        self.faults.append(&mut faults);
        Ok(())
    }
}

fn task(row: &Row, key: Key) -> rusqlite::Result<Task> {
    let needs: Option<String> = row.get(8)?;
    let needs = needs.unwrap_or_default();
    Ok(Task {
        key,
        state: row.get(2)?,
        attempt: row.get(3)?,
        lease: row.get(4)?,
        retries: row.get(5)?,
        failures: row.get(6)?,
        reclaims: row.get(7)?,
        needs: needs.split(',').filter_map(|id| id.parse().ok()).collect(),
    })
}

/// What the row of a task says that it must not.
fn contradictions(task: &Task, record: Record, finished: bool) -> Vec<(Kind, String)> {
    let mut found = Vec::new();
    let mut must = |holds: bool, kind, text: String| {
        if !holds {
            found.push((kind, text));
        }
    };
    let Task { key, state, attempt, lease, retries, failures, reclaims, .. } = *task;
    if state == MISSING {
        must(!record.created, Kind::Lost, "was acknowledged and is missing".into());
        must(!finished, Kind::Wrong, "is missing at the end".into());
        return found;
    }
    must(record.sent, Kind::Wrong, "was added by nobody".into());
    must(retries == key.retries(), Kind::Changed, format!("has {retries} retries"));
    must(state != OPEN || !finished, Kind::Wrong, "is not finished".into());
    let is_done = record.done_at == 0 || state == DONE;
    must(is_done, Kind::Changed, format!("was acknowledged as done, its state is {state}"));
    let known = record.done_attempt;
    if state == DONE && known != 0 {
        let text = format!("was done in attempt {known}, recorded is {attempt}");
        must(attempt == known, Kind::Changed, text);
    }
    let stays = record.cancelled_at != 0 && !record.unsure;
    let text = format!("was acknowledged as cancelled, its state is {state}");
    must(!stays || state == CANCELLED, Kind::Changed, text);
    let newest = attempt.max(lease);
    let text = format!("was given out as attempt {}, recorded is {newest}", record.attempt);
    must(newest >= record.attempt, Kind::Lost, text);
    must(lease == 0 || lease > attempt, Kind::Wrong, format!("runs as {lease} after {attempt}"));
    must(lease == 0 || state == OPEN, Kind::Wrong, format!("runs in state {state}"));
    let may_fail = failures > i64::from(retries) || reclaims >= RECLAIMS_MAX;
    let text = format!("failed after {failures} failures, {reclaims} reclaims");
    must(state != FAILED || may_fail, Kind::Wrong, text);
    let by_hand = key.group == Group::Cancel;
    must(state != CANCELLED || by_hand, Kind::Wrong, "was cancelled by nobody".into());
    found
}
