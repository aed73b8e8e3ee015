//! Is the file sound? Slow, so it is a command of its own and not part of a start.

use rusqlite::Connection;

use super::{FINISHED, Store, StoreError};

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
        "SELECT count(*) FROM tasks t, json_each('[' || t.needs || ']') need
         WHERE NOT EXISTS (SELECT 1 FROM tasks n WHERE n.id = need.value)",
        "dependencies on unknown tasks",
    ),
];

impl Store {
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
        problems.truncate(PROBLEMS_MAX);
        return Ok(problems);
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
