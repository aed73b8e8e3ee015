//! A long request that is told through has done what it was asked for, to all that was there when it came.

use dhub::engine::message::*;
use dhub::engine::scheduler::{Scheduler, State};

use super::{Check, name_of};
use crate::message::Ask;
use crate::store::{Row, Rows};

/// What is there when a long request comes.
#[derive(Clone, Default)]
pub struct Noted {
    tasks: Vec<Seen>,
    workers: Vec<WorkerId>,
    /// Workers that had left by then: one that leaves may come again under the same name.
    exits: u64,
}

#[derive(Clone)]
struct Seen {
    id: TaskId,
    reopens: u32,
    adjusts: u32,
    /// Of all that it needs.
    needs_reopens: u32,
}

pub fn note(ask: &Ask, rows: &Rows, scheduler: &Scheduler, exits: u64) -> Noted {
    let tasks = |is_one: &dyn Fn(&&Row) -> bool| {
        rows.iter().filter(is_one).map(|row| seen(rows, row)).collect()
    };
    match ask {
        Ask::Request(_) => Noted::default(),
        // Which state a task is in when it is looked at is not known.
        Ask::Sweep { selection, .. } if !selection.states.is_empty() => Noted::default(),
        Ask::Sweep { selection, .. } => {
            let is_one = |row: &&Row| row.is_open() && covers(selection, row);
            Noted { tasks: tasks(&is_one), ..Noted::default() }
        }
        Ask::Retry { selection, .. } => {
            let is_one = |row: &&Row| {
                matches!(row.state, State::Failed | State::Cancelled) && covers(selection, row)
            };
            Noted { tasks: tasks(&is_one), ..Noted::default() }
        }
        Ask::Steer { workers, .. } => {
            let called = |name: &Name| workers.iter().any(|pattern| fits(pattern, name));
            let present = scheduler.workers().filter(|(_, it)| !it.left && called(&it.who.name));
            let workers = present.map(|(id, _)| id).collect();
            Noted { workers, exits, ..Noted::default() }
        }
    }
}

fn seen(rows: &Rows, row: &Row) -> Seen {
    let needs_reopens = rows.needs(row).map(|need| need.reopens).sum();
    Seen { id: row.id, reopens: row.reopens, adjusts: row.adjusts, needs_reopens }
}

/// By names and patterns alone, and by being held.
fn covers(selection: &Selection, row: &Row) -> bool {
    let Selection { names, patterns, states, held, .. } = selection;
    let is_named = names.contains(&row.name) || patterns.iter().any(|it| fits(it, &row.name));
    let is_any = names.is_empty() && patterns.is_empty();
    let is_in_state = states.is_empty() || states.contains(&row.state);
    (is_named || is_any) && is_in_state && (row.held || !held)
}

/// Patterns here end with a star, if they have one.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

pub fn is_done(ask: &Ask, noted: &Noted, rows: &Rows, scheduler: &Scheduler, exits: u64) -> Check {
    for seen in &noted.tasks {
        let Some(row) = rows.get(seen.id) else {
            return Err(format!("task {} is gone", seen.id));
        };
        let is_done = match ask {
            Ask::Sweep { deed: Deed::Cancel, .. } => !row.is_open() || row.reopens > seen.reopens,
            Ask::Sweep { deed: Deed::Adjust(to), .. } => {
                let is_so = match *to {
                    Adjustment::Held(held) => row.held == held,
                    Adjustment::Priority(priority) => row.priority == priority,
                };
                is_so || !row.is_open() || row.adjusts > seen.adjusts || row.reopens > seen.reopens
            }
            // Or it could not be, or could not when it was looked at.
            Ask::Retry { .. } => {
                let needs_reopens = rows.needs(row).map(|need| need.reopens).sum::<u32>();
                row.reopens > seen.reopens
                    || needs_reopens != seen.needs_reopens
                    || rows.needs(row).any(|need| need.state.is_dead())
            }
            Ask::Request(_) | Ask::Steer { .. } => true,
        };
        // Nobody knows any more what that would run.
        let is_lost = rows.damaged.contains(&seen.id);
        if !is_done && !is_lost {
            let name = name_of(rows, seen.id);
            return Err(format!("{ask:?} is told done, and '{name}' is as it was"));
        }
    }
    let Ask::Steer { order, .. } = ask else {
        return Ok(());
    };
    for &id in noted.workers.iter().filter(|_| noted.exits == exits) {
        let worker = scheduler.worker(id);
        if worker.is_some_and(|worker| !worker.left && worker.order < *order) {
            return Err(format!("{ask:?} is told done, and worker {id} is not told to leave"));
        }
    }
    Ok(())
}
