//! Tasks in pages, and by patterns of their names.

use std::time::{Duration, Instant};

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use super::row::*;
use crate::engine::archive::{MATCH_PATTERNS_MAX, Matching, Page};
use crate::engine::message::TaskRow;
use crate::engine::message::*;
use crate::engine::scheduler::State;
use crate::store::damage::unless_damaged;
use crate::store::{Store, StoreError, unix_ms};

/// Rows of a page are read until they have so much.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// How long rows are compared with patterns at a time, and how many until the next look at the clock: a
/// long pattern can take as many steps as it has bytes for each byte of a name.
const MATCH_TIME: Duration = Duration::from_millis(5);

const MATCH_WORK: i64 = 20_000;

const MATCH_ROWS_MIN: i64 = 8;

const MATCH_ROWS_MAX: i64 = 1_000;

/// Tasks that begin alike are looked up by that, if there are no more than these.
const PREFIXED_MAX: usize = 5_000;

impl Store {
    /// Up to `most` tasks after an id: all of them, the open ones, or those dead in one way. Fewer if
    /// they are large; none if there are no more.
    pub fn page(
        &self,
        which: Page,
        after: TaskId,
        most: usize,
    ) -> Result<Vec<TaskRow>, StoreError> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        self.page_of(which, false, after, most)
    }

    /// Up to `most` tasks with smaller ids than `before`, the largest first.
    pub fn page_before(
        &self,
        which: Page,
        before: TaskId,
        most: usize,
    ) -> Result<Vec<TaskRow>, StoreError> {
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        self.page_of(which, true, before, most)
    }

    fn page_of(
        &self,
        which: Page,
        back: bool,
        end: i64,
        most: usize,
    ) -> Result<Vec<TaskRow>, StoreError> {
        let db = self.db()?;
        let filter = filter(which);
        let (ids, order) = if back { ("t.id < ?2", "DESC") } else { ("t.id > ?2", "ASC") };
        let sql = format!(
            "SELECT {TASK_LARGE}, {TASK_ROW} WHERE {ids} AND {filter} ORDER BY t.id {order} LIMIT ?3"
        );
        let mut select = db.prepare_cached(&sql)?;
        let rows = select.query_map(params![unix_ms(), end, most as i64], task_row)?;
        let (mut page, mut bytes) = (Vec::new(), 0);
        for row in rows {
            let Some(row) = unless_damaged(row)? else {
                let from = page.last().map_or(end, |row: &TaskRow| row.id as i64);
                self.read_one_by_one(which, back, from, most, &mut page)?;
                break;
            };
            bytes += row.bytes();
            page.push(row);
            if bytes > PAGE_BYTES {
                break;
            }
        }
        if which == Page::Dead(State::Failed) {
            self.add_lost(back, end, most, &mut page)?;
        }
        Ok(page)
    }

    /// Up to `most` tasks after an id, or `back` before it, whose names one of the patterns fits, the nearest ones
    /// first, and how far has been looked.
    pub fn matching(
        &self,
        which: Page,
        patterns: &[Name],
        from: TaskId,
        back: bool,
        most: usize,
    ) -> Result<Matching, StoreError> {
        let db = self.db()?;
        let last: i64 = db
            .prepare_cached("SELECT coalesce(max(id), 0) FROM tasks")?
            .query_row([], |row| row.get(0))?;
        let mut from = i64::try_from(from).unwrap_or(i64::MAX).min(last + 1);
        if let [pattern] = patterns
            && let Some(mut ids) = prefixed(&db, pattern)?
        {
            ids.retain(|&id| if back { (id as i64) < from } else { id as i64 > from });
            ids.sort_unstable();
            if back {
                ids.reverse();
            }
            return Ok(Matching { ids, upto: None });
        }
        // Those that fit one of many are found by the caller.
        let patterns = if patterns.len() <= MATCH_PATTERNS_MAX { patterns } else { &[] };
        let globs: Vec<_> =
            (1..=patterns.len()).map(|i| format!("t.name GLOB ?{}", i + 2)).collect();
        let globs = if globs.is_empty() { "1".to_owned() } else { globs.join(" OR ") };
        let mut select = db.prepare_cached(&format!(
            "SELECT t.id FROM tasks t WHERE t.id >= ?1 AND t.id <= ?2 AND {} AND ({globs})
             ORDER BY t.id {} LIMIT {most}",
            filter(which),
            if back { "DESC" } else { "ASC" },
        ))?;
        let bytes: usize = patterns.iter().map(|pattern| pattern.len()).sum();
        let rows = (MATCH_WORK / (1 + bytes as i64)).clamp(MATCH_ROWS_MIN, MATCH_ROWS_MAX);
        let (mut ids, begin) = (Vec::new(), Instant::now());
        while begin.elapsed() < MATCH_TIME {
            let (first, end) = if back { (from - rows, from - 1) } else { (from + 1, from + rows) };
            let mut values: Vec<Value> = vec![first.into(), end.into()];
            values.extend(patterns.iter().map(|pattern| glob(pattern).into()));
            let found = select.query_map(params_from_iter(values), |row| row.get::<_, i64>(0))?;
            let before = ids.len();
            for id in found {
                let Some(id) = unless_damaged(id)? else {
                    // Those that fit are found by the caller; what cannot be read comes along.
                    ids.truncate(before);
                    let all = first.max(1)..=end.min(last);
                    ids.extend(all.map(|id| id as TaskId));
                    if back {
                        ids[before..].reverse();
                    }
                    break;
                };
                ids.push(id as TaskId);
            }
            if which == Page::Dead(State::Failed) {
                ids.extend(self.lost_of(first.max(1), end));
                ids[before..].sort_unstable();
                if back {
                    ids[before..].reverse();
                }
                ids.dedup();
            }
            // Only the first of those that fit: the next time after the last of them.
            if ids.len() - before >= most {
                return Ok(Matching { upto: ids.last().copied(), ids });
            }
            from = if back { first } else { end };
            if (back && from <= 1) || (!back && from >= last) {
                return Ok(Matching { ids, upto: None });
            }
        }
        Ok(Matching { ids, upto: Some(from as TaskId) })
    }
}

/// In SQLite's GLOB brackets have a meaning too, which they have not here.
fn glob(pattern: &str) -> String {
    pattern.replace('[', "[[]")
}

/// By the index of the names, if the pattern begins with what few names begin with.
fn prefixed(db: &Connection, pattern: &str) -> rusqlite::Result<Option<Vec<TaskId>>> {
    let prefix = pattern.split(['*', '?']).next().unwrap_or_default();
    let Some(end) = successor(prefix) else {
        return Ok(None);
    };
    let mut select = db.prepare_cached(
        "SELECT id, name GLOB ?3 FROM tasks WHERE name >= ?1 AND name < ?2 LIMIT ?4",
    )?;
    let most = PREFIXED_MAX as i64 + 1;
    let rows = select.query_map(params![prefix, end, glob(pattern), most], |row| {
        Ok((row.get::<_, i64>(0)? as TaskId, row.get::<_, bool>(1)?))
    })?;
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let fits = |rows: Vec<(TaskId, bool)>| rows.into_iter().filter(|row| row.1).map(|row| row.0);
    Ok((rows.len() <= PREFIXED_MAX).then(|| fits(rows).collect()))
}

/// The first text after all that begin with this one; None: there is none, or none is known.
fn successor(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    let last = text.pop()?;
    text.push(char::from_u32(last as u32 + 1)?);
    Some(text)
}
