//! Is the file sound? Slow, so it is a command of its own and not part of a start.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use dhub_checksum::{Bad, PAGE_BYTES};
use rusqlite::{Connection, params};

use super::damage::unless_damaged;
use super::whose::{Whose, whose};
use super::{FINISHED, FileLock, Store, StoreError};
use crate::store::error::OpenError;
use crate::store::files::paths::{beside, wal_path};
use crate::store::files::wal::Wal;
use crate::store::tables::columns::{ATTEMPTS, LEASES, REQUESTS, TASKS, WORKERS};
use crate::store::tables::meta::{VERSION, version};
use crate::store::tables::read::damaged_rows;

/// Problems that are told one by one.
const PROBLEMS_MAX: usize = 20;

/// What must find nothing, and what it means if it does.
const RULES: [(&str, &str); 5] = [
    (
        "SELECT count(*) FROM leases l LEFT JOIN tasks t ON t.id = l.task WHERE t.state IS NOT 2",
        "leases of tasks that are not open",
    ),
    (
        "SELECT count(*) FROM leases l LEFT JOIN workers w ON w.id = l.worker WHERE w.id IS NULL",
        "leases of unknown workers",
    ),
    (
        "SELECT count(*) FROM leases l JOIN tasks t ON t.id = l.task WHERE l.attempt <= t.attempt",
        "leases of attempts that ended",
    ),
    (
        "SELECT count(*) FROM attempts a LEFT JOIN tasks t ON t.id = a.task WHERE t.id IS NULL",
        "attempts at unknown tasks",
    ),
    (
        "SELECT count(*) FROM tasks t,
            json_each(iif(json_valid('[' || t.needs || ']'), '[' || t.needs || ']', '[]')) need
         WHERE NOT EXISTS (SELECT 1 FROM tasks n WHERE n.id = need.value)",
        "dependencies on unknown tasks",
    ),
];

/// Indices of some rows only: SQLite looks for each row in them, and not the other way round.
const PARTIAL: [(&str, &str, &str); 2] = [
    (
        "tasks_undone",
        "SELECT count(*) FROM tasks i INDEXED BY tasks_undone
            LEFT JOIN tasks t NOT INDEXED ON t.id = i.id
         WHERE i.state <> 5 AND t.state IS NOT i.state",
        "tasks are otherwise in the index of those that are not done",
    ),
    (
        "tasks_skipped",
        "SELECT count(*) FROM tasks i INDEXED BY tasks_skipped
            LEFT JOIN tasks t NOT INDEXED ON t.id = i.id
         WHERE i.blame IS NOT NULL AND t.blame IS NOT i.blame",
        "tasks are otherwise in the index of those that were skipped",
    ),
];

/// The pages of a stopped hub's file that are not as they were written; before anything is done with it, for much of
/// what is done mends some. Not those that a write cut off, of which SQLite's log or journal has the whole.
pub struct Scanned {
    real: PathBuf,
    /// None: the pages have no checksums.
    bad: Option<Vec<Bad>>,
    has_journal: bool,
}

impl Scanned {
    pub fn of(file: &Path, since: &str) -> Result<Self, OpenError> {
        let io = |source: io::Error| OpenError::Io { path: file.to_owned(), source };
        let real = file.canonicalize().map_err(io)?;
        let _lock = FileLock::take(&real, since)?;
        let log = read_if_there(&wal_path(&real)).map_err(io)?;
        let has_journal = read_if_there(&beside(&real, "-journal")).map_err(io)?.is_some();
        let log = log.and_then(|bytes| Wal::read(bytes, PAGE_BYTES));
        let newer = log.as_ref().map(|log| log.pages().0).unwrap_or_default();
        let mut open = File::open(&real).map_err(io)?;
        let bad = dhub_checksum::scan(&mut open, &newer).map_err(io)?;
        Ok(Self { real, bad, has_journal })
    }

    /// Those that are bad still, once the journal was rolled back.
    fn bad(&self, store: Option<&Store>) -> Vec<Bad> {
        let mut bad = self.bad.clone().unwrap_or_default();
        if self.has_journal && store.is_some() {
            let now = File::open(&self.real)
                .and_then(|mut open| dhub_checksum::scan(&mut open, &Default::default()));
            if let Ok(Some(now)) = now {
                let now: BTreeSet<u32> = now.iter().map(|bad| bad.page).collect();
                bad.retain(|bad| now.contains(&bad.page));
            }
        }
        bad
    }

    /// What is wrong with them a hub puts right as it reads them.
    pub fn are_mended(&self) -> bool {
        self.bad.iter().flatten().all(|bad| bad.byte.is_some())
    }

    pub fn has_no_checksums(&self) -> bool {
        self.bad.is_none()
    }

    /// One line a page, with the tasks concerned if a `store` can be had.
    pub fn problems(&self, store: Option<&Store>) -> Vec<String> {
        let mut bad = self.bad(store);
        let (all, damaged) = (bad.len(), bad.iter().filter(|bad| bad.byte.is_none()).count());
        // What nobody mends comes first.
        bad.sort_by_key(|bad| (bad.byte.is_some(), bad.page));
        let told_damaged = damaged.min(PROBLEMS_MAX);
        bad.truncate(PROBLEMS_MAX);
        let owners = store.and_then(|store| store.whose(&bad).ok()).unwrap_or_default();
        let owner = |page| owners.iter().find(|(of, _)| *of == page).map_or("", |it| &it.1);
        let line = |bad: &Bad| match bad.byte {
            Some(byte) => format!(
                "page {}: byte {byte} is wrong, which a hub mends{}",
                bad.page,
                owner(bad.page)
            ),
            None => format!("page {} is damaged{}", bad.page, owner(bad.page)),
        };
        let mut lines: Vec<_> = bad.iter().map(line).collect();
        if let more @ 1.. = all - bad.len() {
            let of_them = match damaged - told_damaged {
                0 => "each with one wrong byte, which a hub mends".to_owned(),
                count => format!("{count} of them damaged"),
            };
            lines.push(format!("and {more} more pages, {of_them}"));
        }
        let lost = store.and_then(|store| store.find_lost().ok()).unwrap_or_default();
        if let [first, ..] = &lost[..] {
            let more = if lost.len() > NAMES_MAX { ", …" } else { "" };
            let names: Vec<_> = lost.iter().take(NAMES_MAX).map(String::as_str).collect();
            lines.push(match lost.len() {
                1 => format!("task '{first}' is lost: it was open and cannot be read"),
                count => format!(
                    "{count} tasks are lost, which were open and cannot be read: '{}'{more}",
                    names.join("', '")
                ),
            });
        }
        lines
    }
}

fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        bytes => Ok(Some(bytes?).filter(|bytes| !bytes.is_empty())),
    }
}

impl Store {
    /// What each of these pages is for, as the end of a line.
    fn whose(&self, bad: &[Bad]) -> Result<Vec<(u32, String)>, StoreError> {
        let (db, Some((real, _))) = (self.db()?, &self.real) else { return Ok(Vec::new()) };
        if bad.is_empty() {
            return Ok(Vec::new());
        }
        let mut select = db.prepare(
            "SELECT name, rootpage, type = 'table' FROM sqlite_schema WHERE rootpage > 0",
        )?;
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let mut roots = vec![("sqlite_schema".to_owned(), 1, true)];
        roots.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
        let pages: Vec<u32> = bad.iter().map(|bad| bad.page).collect();
        let found = File::open(real).and_then(|file| whose(&file, &roots, &pages));
        let mut lines = Vec::new();
        for (page, owner) in found.map_err(StoreError::Commit)? {
            let tree = &owner.tree;
            lines.push((
                page,
                match owner.has_rows {
                    true => format!(" ({tree}{})", tasks_of(&db, &owner)?),
                    false => format!(" (the index {tree}, which a rescue makes again)"),
                },
            ));
        }
        Ok(lines)
    }

    /// What is wrong with the file; empty if it is sound.
    pub fn check(&self) -> Result<Vec<String>, StoreError> {
        Ok(problems(&*self.db()?)?)
    }
}

/// What is wrong with these tables.
pub fn problems(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut problems = Vec::new();
    let mut select = db.prepare("PRAGMA integrity_check")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        if line != "ok" {
            // Some of what it finds has a headline of its own.
            problems.extend(line.lines().map(str::to_owned));
        }
    }
    if !problems.is_empty() {
        // The pages themselves are damaged: what they say means nothing.
        if let more @ 1.. = problems.len().saturating_sub(PROBLEMS_MAX) {
            problems.truncate(PROBLEMS_MAX);
            problems.push(format!("and at least {more} more of this kind"));
        }
        return Ok(problems);
    }
    let damaged = damaged_rows(db)?;
    if let Some((_, first)) = damaged.first() {
        let count = damaged.len();
        problems.push(format!("{count} tasks whose definition is damaged, first '{first}'"));
    }
    for table in [TASKS, WORKERS, LEASES, ATTEMPTS, REQUESTS] {
        let there = table.columns_in(db)?;
        if there.len() < table.columns.len() && version(db)? == VERSION {
            let is_missing = |(name, _): &&(&str, _)| !there.iter().any(|(it, _)| it == name);
            let missing = table.columns.iter().filter(is_missing).map(|(name, _)| *name);
            let missing = missing.collect::<Vec<_>>().join(", ");
            problems.push(format!("{} have no column {missing}", table.what));
        } else if !there.is_empty() {
            problems.extend(table.misfits(db)?);
        }
    }
    // The first version had others.
    let has = "SELECT 1 FROM sqlite_schema WHERE type = 'index' AND name = ?1";
    for (index, sql, what) in PARTIAL {
        if db.prepare(has)?.exists([index])? {
            let count: i64 = db.query_row(sql, [], |row| row.get(0))?;
            problems.extend((count > 0).then(|| format!("{count} {what}")));
        }
    }
    for (sql, what) in RULES {
        let count: i64 = db.query_row(sql, [], |row| row.get(0))?;
        if count > 0 {
            problems.push(format!("{count} {what}"));
        }
    }
    for state in FINISHED {
        let number = |sql: &str| db.query_row(sql, [state as i64], |row| row.get::<_, i64>(0));
        let count = number("SELECT count(*) FROM tasks WHERE state = ?1")?;
        let total = number("SELECT coalesce(max(count), 0) FROM totals WHERE state = ?1")?;
        if count != total {
            problems.push(
                format!("{count} tasks are {state:?}, the totals say {total}").to_lowercase(),
            );
        }
    }
    Ok(problems)
}

/// Names that are told of a page.
const NAMES_MAX: usize = 5;

/// The tasks whose rows are on a page: by the index of the names, if the page cannot be read.
fn tasks_of(db: &Connection, owner: &Whose) -> rusqlite::Result<String> {
    if owner.tree != "tasks" {
        return Ok(String::new());
    }
    let (after, upto) = owner.ids;
    let names = |from: &str| {
        let sql = format!("SELECT name FROM tasks {from} WHERE id > ?1 AND id <= ?2 LIMIT ?3");
        let mut select = db.prepare(&sql)?;
        let rows = select.query_map(params![after, upto, NAMES_MAX as i64], |row| row.get(0))?;
        rows.collect::<rusqlite::Result<Vec<String>>>()
    };
    let by_index = || unless_damaged(names("INDEXED BY sqlite_autoindex_tasks_1"));
    let names = match unless_damaged(names("NOT INDEXED"))? {
        Some(names) => names,
        None => by_index()?.unwrap_or_default(),
    };
    let upto = if upto == i64::MAX { "the last".into() } else { upto.to_string() };
    Ok(format!(": ids {} to {upto}: '{}', …", after.max(0) + 1, names.join("', '")))
}
