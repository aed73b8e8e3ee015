//! Is everything as the tasks decide? By the file of the hub, and by what the tasks wrote.

use std::collections::HashMap;
use std::fs;

use e2e::Hub;
use rusqlite::Connection;
use serde_json::Value;

use crate::tasks::Plan;

const DONE: i64 = 5;
const FAILED: i64 = 6;

/// Outcomes of attempts.
const OUTCOMES: [&str; 4] = ["done", "failed", "reclaimed", "cancelled"];

#[derive(Default)]
pub struct Verdict {
    lines: Vec<(u64, String)>,
    pub faults: Vec<String>,
}

impl Verdict {
    fn line(&mut self, count: u64, what: impl Into<String>) {
        self.lines.push((count, what.into()));
    }

    fn same(&mut self, seen: u64, expected: u64, what: &str) {
        self.line(seen, format!("{what}, {expected} expected"));
        if seen != expected {
            self.faults.push(format!("{what}: {seen} instead of {expected}"));
        }
    }

    pub fn print(&mut self) {
        for (count, what) in &self.lines {
            println!("{count:>8}  {what}");
        }
        for fault in self.faults.iter().take(20) {
            println!("FAULT     {fault}");
        }
        println!("{:>8}  faults", self.faults.len());
    }
}

/// Of a hub that was stopped, with what it had counted before.
pub fn check(hub: &Hub, plan: &Plan, counts: &Value, left: &[String]) -> Verdict {
    let mut verdict = Verdict::default();
    verdict.same(left.len() as u64, 0, "processes left behind");
    verdict.faults.extend(left.iter().map(|line| format!("left behind: {line}")));
    let good = plan.kinds.iter().filter(|kind| kind.succeeds()).count() as u64;
    let bad = plan.kinds.len() as u64 - good;
    let count = |state: &str| counts[state].as_u64().expect("a count");
    verdict.same(count("done"), good, "done");
    verdict.same(count("failed"), bad, "failed");

    let file = Connection::open(hub.path("run.db")).expect("the file of the hub");
    let work = work(hub);
    let mut tasks = file.prepare("SELECT id, state, attempt, failures FROM tasks WHERE name = ?1");
    let tasks = tasks.as_mut().expect("the tasks");
    let mut won = file.prepare("SELECT attempt FROM attempts WHERE task = ?1 AND outcome = 1");
    let won = won.as_mut().expect("the attempts");
    for (at, kind) in plan.kinds.iter().enumerate() {
        let name = Plan::name(at);
        let (id, state, attempt, failures): (i64, i64, i64, u32) = tasks
            .query_row([&name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
            .expect("a task");
        if state != if kind.succeeds() { DONE } else { FAILED } {
            verdict.faults.push(format!("{name} ({kind:?}) is in state {state}"));
        }
        // What was killed has not failed, and what failed was not killed.
        let most = kind.failures();
        if failures > most || (!kind.succeeds() && failures != most) {
            verdict.faults.push(format!("{name} ({kind:?}) has failed {failures} times"));
        }
        let counted: Vec<i64> = won
            .query_map([id], |row| row.get(0))
            .and_then(Iterator::collect)
            .expect("the attempts");
        let expected: &[i64] = if kind.succeeds() { &[attempt] } else { &[] };
        if counted != expected {
            verdict.faults.push(format!("{name} ({kind:?}): attempts {counted:?} are done"));
        }
        for attempt in counted {
            let lines = work.get(&(name.clone(), attempt)).copied().unwrap_or_default();
            if lines != 1 {
                verdict.faults.push(format!("{name}: attempt {attempt} worked {lines} times"));
            }
        }
    }
    for ((name, attempt), lines) in &work {
        if *lines > 1 {
            verdict.faults.push(format!("{name}: attempt {attempt} worked {lines} times"));
        }
    }
    for (at, outcome) in OUTCOMES.iter().enumerate() {
        let count = "SELECT count(*) FROM attempts WHERE outcome = ?1";
        let count: i64 = file.query_row(count, [at as i64 + 1], |row| row.get(0)).expect("it");
        verdict.line(count as u64, format!("attempts {outcome}"));
    }
    let late = "SELECT count(*) FROM attempts WHERE reason LIKE 'timed out%'";
    let late: i64 = file.query_row(late, [], |row| row.get(0)).expect("a count");
    verdict.line(late as u64, "of those that failed timed out");
    verdict.line(work.len() as u64, "attempts that worked");
    verdict
}

/// How often each attempt did its work.
fn work(hub: &Hub) -> HashMap<(String, i64), u32> {
    let mut work = HashMap::new();
    for line in fs::read_to_string(hub.path("work")).expect("the work").lines() {
        let (name, attempt) = line.split_once(' ').expect("a name and an attempt");
        let key = (name.to_owned(), attempt.parse().expect("an attempt"));
        *work.entry(key).or_default() += 1;
    }
    work
}
