//! The workers on the screen. Those of a status do, unless there are more than it tells.

use std::cmp::Ordering;

use dhub_proto::wire::WorkerInfo;

use super::pager::Scroll;
use crate::render::workers::standing;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Key {
    /// As the hub heard of them.
    #[default]
    Known,
    Name,
    State,
    Running,
    Done,
    Failed,
    Cpu,
    Seen,
}

const KEYS: [Key; 8] =
    [Key::Known, Key::Name, Key::State, Key::Running, Key::Done, Key::Failed, Key::Cpu, Key::Seen];

#[derive(Default)]
pub struct Workers {
    rows: Vec<WorkerInfo>,
    /// There are more than a status tells.
    pub are_many: bool,
    key: Key,
    reversed: bool,
    /// Name and id of the row that was chosen.
    chosen: Option<(String, Vec<u8>)>,
    cursor: usize,
    top: usize,
    height: usize,
    timeout_ms: u64,
}

impl Workers {
    pub fn new(timeout_ms: u64) -> Self {
        Self { timeout_ms, ..Self::default() }
    }

    pub fn heard(&mut self, rows: Vec<WorkerInfo>) {
        self.rows = rows;
        self.sort();
    }

    pub fn next_sort(&mut self) {
        let at = KEYS.iter().position(|&key| key == self.key).unwrap_or(0);
        (self.key, self.reversed) = (KEYS[(at + 1) % KEYS.len()], false);
        self.sort();
    }

    pub fn reverse(&mut self) {
        self.reversed = !self.reversed && self.key != Key::Known;
        self.sort();
    }

    pub fn describe_sort(&self) -> String {
        let key = match self.key {
            Key::Known => return String::new(),
            Key::Name => "name",
            Key::State => "state",
            Key::Running => "running",
            Key::Done => "done",
            Key::Failed => "failed",
            Key::Cpu => "cpu",
            Key::Seen => "last seen",
        };
        format!("by {key}{}", if self.reversed { ", reversed" } else { "" })
    }

    fn sort(&mut self) {
        let (key, reversed, timeout_ms) = (self.key, self.reversed, self.timeout_ms);
        self.rows.sort_by(|a, b| {
            let order = compare(key, a, b, timeout_ms);
            if reversed { order.reverse() } else { order }
        });
        if let Some((name, id)) = &self.chosen {
            let is_it = |row: &WorkerInfo| row.name == *name && row.id == *id;
            self.cursor = self.rows.iter().position(is_it).unwrap_or(self.cursor);
        }
        self.fit(self.height);
    }

    pub fn fit(&mut self, height: usize) {
        self.height = height.max(1);
        self.cursor = self.cursor.min(self.rows.len().saturating_sub(1));
        let last_top = self.rows.len().saturating_sub(self.height);
        let least = (self.cursor + 1).saturating_sub(self.height);
        self.top = self.top.clamp(least, self.cursor).min(last_top);
    }

    pub fn scroll(&mut self, scroll: Scroll) {
        let last = self.rows.len().saturating_sub(1);
        self.cursor = scroll.from(self.cursor, self.height).min(last);
        self.chosen = match self.cursor {
            0 => None,
            at => self.rows.get(at).map(|row| (row.name.clone(), row.id.clone())),
        };
        self.fit(self.height);
    }

    pub fn visible(&self) -> &[WorkerInfo] {
        let end = self.rows.len().min(self.top + self.height);
        &self.rows[self.top.min(end)..end]
    }

    /// The line of the chosen row.
    pub fn line(&self) -> usize {
        self.cursor - self.top
    }

    pub fn worker(&self) -> Option<&WorkerInfo> {
        self.rows.get(self.cursor)
    }

    pub fn standing(&self, worker: &WorkerInfo) -> &'static str {
        standing(worker, self.timeout_ms)
    }
}

/// What needs a look comes first: the lost, the busiest, those that failed most.
fn compare(key: Key, a: &WorkerInfo, b: &WorkerInfo, timeout_ms: u64) -> Ordering {
    let cpu = |it: &WorkerInfo| it.sample.as_ref().map_or(-1.0, |sample| sample.cpu_percent);
    match key {
        Key::Known => Ordering::Equal,
        Key::Name => (a.name.len(), &a.name).cmp(&(b.name.len(), &b.name)),
        Key::State => urgency(standing(a, timeout_ms)).cmp(&urgency(standing(b, timeout_ms))),
        Key::Running => b.started.cmp(&a.started),
        Key::Done => b.done.cmp(&a.done),
        Key::Failed => b.failed.cmp(&a.failed),
        Key::Cpu => cpu(b).total_cmp(&cpu(a)),
        Key::Seen => b.last_seen_ago_ms.cmp(&a.last_seen_ago_ms),
    }
}

fn urgency(standing: &str) -> u8 {
    match standing {
        "lost" => 0,
        "silent" => 1,
        "stopping" => 2,
        "draining" => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(name: &str, failed: u64, lost: bool) -> WorkerInfo {
        let id = name.as_bytes().to_vec();
        WorkerInfo { name: name.into(), failed, lost, id, ..WorkerInfo::default() }
    }

    #[test]
    fn the_chosen_worker_stays_chosen_where_ever_it_goes() {
        let mut workers = Workers::new(30_000);
        workers.fit(2);
        let rows = || vec![worker("b", 0, false), worker("a", 7, true), worker("c", 3, false)];
        workers.heard(rows());
        let name = |it: &Workers| it.worker().expect("a worker").name.clone();
        assert_eq!(name(&workers), "b");
        workers.scroll(Scroll::End);
        assert_eq!((name(&workers), workers.line()), ("c".to_owned(), 1));
        workers.next_sort();
        assert_eq!((name(&workers), workers.describe_sort()), ("c".into(), "by name".into()));
        workers.next_sort();
        assert_eq!(workers.rows[0].name, "a", "the lost one first");
        workers.reverse();
        assert_eq!(workers.rows[2].name, "a");
        workers.heard(rows());
        assert_eq!(name(&workers), "c");
        workers.heard(Vec::new());
        assert!(workers.worker().is_none() && workers.visible().is_empty());
    }
}
