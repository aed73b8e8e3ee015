//! At the end, when all has run out: what was acknowledged is there, what can be done is done.

use std::collections::{BTreeMap, BTreeSet};

use dhub::engine::message::*;
use dhub::engine::scheduler::State;

use super::{Check, is_dead_need};
use crate::message::PeerId;
use crate::store::{Row, Rows};

/// What clients and workers saw with their own eyes.
#[derive(Default)]
pub struct History {
    /// Acknowledged Creates: name and definition.
    created: BTreeMap<Name, u64>,
    /// Names that dwork programs added: a second Create has no effect there.
    merged: BTreeSet<Name>,
    /// Acknowledged outcomes.
    completed: BTreeSet<(Name, u32, bool)>,
    started: BTreeMap<(Name, u32), PeerId>,
}

impl History {
    pub fn created(&mut self, task: &NewTask, merge: bool) -> Check {
        if merge {
            self.merged.insert(task.name.clone());
            return Ok(());
        }
        match self.created.insert(task.name.clone(), task.definition) {
            Some(before) if before != task.definition => {
                Err(format!("'{}' was acknowledged with two definitions", task.name))
            }
            _ => Ok(()),
        }
    }

    pub fn completed(&mut self, outcome: &Outcome) {
        let done = outcome.verdict == Verdict::Done;
        self.completed.insert((outcome.name.clone(), outcome.attempt, done));
    }

    /// A process starts. One attempt is run once, and after all that it needs.
    pub fn started(&mut self, peer: PeerId, name: &Name, attempt: u32, committed: &Rows) -> Check {
        if let Some(before) = self.started.insert((name.clone(), attempt), peer) {
            return Err(format!(
                "attempt {attempt} of '{name}' starts at {peer}, it did at {before} before"
            ));
        }
        let Some(row) = committed.find(name) else {
            return Err(format!("'{name}' starts and is not stored"));
        };
        // Who is known by a name alone may start what is not its own any more: nobody can tell it.
        if committed.leases.get(&row.id).is_none_or(|lease| lease.attempt != attempt) {
            return Ok(());
        }
        let blocks = |need: &&Row| need.state != State::Done && !need.redone;
        match committed.needs(row).find(blocks) {
            Some(need) => {
                Err(format!("'{name}' starts before '{}', which is {:?}", need.name, need.state))
            }
            None => Ok(()),
        }
    }

    pub fn check(&self, rows: &Rows) -> Check {
        self.acknowledged_creates_are_there(rows)?;
        self.acknowledged_outcomes_are_there(rows)?;
        for row in rows.iter() {
            one_outcome(row)?;
            skipped_iff_dead_dependency(rows, row)?;
            what_can_finish_has_finished(rows, row)?;
        }
        Ok(())
    }

    fn acknowledged_creates_are_there(&self, rows: &Rows) -> Check {
        for (name, &definition) in &self.created {
            match rows.find(name) {
                Some(row) if row.definition == definition && row.state != State::Missing => {}
                _ => return Err(format!("'{name}' was acknowledged and is not there")),
            }
        }
        match self.merged.iter().find(|name| rows.find(name).is_none()) {
            Some(name) => Err(format!("'{name}' was acknowledged and is not there")),
            None => Ok(()),
        }
    }

    fn acknowledged_outcomes_are_there(&self, rows: &Rows) -> Check {
        for (name, attempt, done) in &self.completed {
            let how = if *done { Ended::Done } else { Ended::Failed };
            let is_stored = rows.find(name).is_some_and(|row| {
                let same = |number: u32| *attempt == 0 || *attempt == number;
                row.attempts.iter().any(|ended| same(ended.attempt) && ended.how == how)
            });
            if !is_stored {
                return Err(format!(
                    "{how:?} of attempt {attempt} of '{name}' was acknowledged and is not there"
                ));
            }
        }
        Ok(())
    }
}

fn one_outcome(row: &Row) -> Check {
    let done = row.attempts.iter().filter(|ended| ended.how == Ended::Done).count();
    let newest = row.ended(row.leased).map(|ended| ended.how);
    let fits = match row.state {
        State::Done => newest == Some(Ended::Done) && (done == 1 || row.redone),
        State::Failed => newest == Some(Ended::Failed) && (done == 0 || row.redone),
        _ => done == 0 || row.redone,
    };
    if !fits {
        return Err(format!(
            "'{}' is {:?} with the outcomes {:?}",
            row.name, row.state, row.attempts
        ));
    }
    Ok(())
}

fn skipped_iff_dead_dependency(rows: &Rows, row: &Row) -> Check {
    let dead = rows.needs(row).any(|need| need.state.is_dead());
    // What is not known any more is not brought back by a retry either.
    let is_lost = rows.damaged.contains(&row.id);
    if row.state == State::Skipped && !dead && !is_lost {
        return Err(format!("'{}' is skipped, yet no dependency of it is dead", row.name));
    }
    if row.is_open()
        && let Some(need) = rows.needs(row).find(|need| is_dead_need(need))
    {
        return Err(format!("'{}' waits for '{}', which is {:?}", row.name, need.name, need.state));
    }
    Ok(())
}

/// An open task waits, at the end of the line, for a name that nobody added.
fn what_can_finish_has_finished(rows: &Rows, row: &Row) -> Check {
    if !row.is_open() {
        return Ok(());
    }
    let mut seen = BTreeSet::new();
    let mut todo = vec![row];
    while let Some(row) = todo.pop() {
        if row.state == State::Missing {
            return Ok(());
        }
        let waits = rows.needs(row).filter(|need| need.is_open() || need.state == State::Missing);
        todo.extend(waits.filter(|need| seen.insert(need.id)));
    }
    Err(format!("'{}' could be finished and is still open", row.name))
}
