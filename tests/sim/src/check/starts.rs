//! How often a task was taken from a worker that was lost: those count that its worker may have started.
//!
//! A worker starts what it was given in that order, as many as it said that it runs at the same time; it can
//! start the next ones only when outcomes have come in, or when a heartbeat says so.

use std::collections::BTreeMap;

use dhub::engine::message::*;

use super::{Check, name_of};
use crate::store::Rows;

#[derive(Clone, Copy, Debug)]
struct Given {
    worker: WorkerId,
    /// Its place in the order in which leases were given out.
    order: u64,
    may_run: bool,
    reported: bool,
    /// By an earlier hub: heartbeats tell whether it runs.
    restored: bool,
}

/// Of the leases of this life of the hub, and of those of earlier ones what heartbeats told.
#[derive(Default)]
pub struct Starts {
    slots: BTreeMap<WorkerId, u32>,
    given: BTreeMap<TaskId, Given>,
    order: u64,
}

impl Starts {
    pub fn restored(rows: &Rows) -> Self {
        let mut starts = Self::default();
        for (&task, lease) in &rows.leases {
            starts.add(task, lease.worker);
        }
        starts.given.values_mut().for_each(|given| given.restored = true);
        starts
    }

    /// A request, before it is carried out.
    pub fn note(&mut self, rows: &Rows, request: &Request) {
        let Body::Heartbeat { attempts } = &request.body else { return };
        for attempt in attempts.iter().filter(|attempt| attempt.started) {
            let Some(row) = rows.find(&attempt.name) else { continue };
            let Some(lease) = rows.leases.get(&row.id) else { continue };
            let is_it = attempt.attempt == 0 || attempt.attempt == lease.attempt;
            if let Some(given) = self.given.get_mut(&row.id)
                && is_it
                && rows.may_act(&request.who, lease.worker)
            {
                given.reported = true;
            }
        }
    }

    /// Each change, before it is written.
    pub fn follow(&mut self, rows: &Rows, change: &Change) -> Check {
        match *change {
            Change::Leased { task, worker, .. } => self.add(task, worker),
            Change::Back { task, reclaims, .. } => return self.ends(rows, task, reclaims),
            Change::Finished { task, .. } => drop(self.given.remove(&task)),
            _ => {}
        }
        Ok(())
    }

    /// This worker steals, as one that runs so many; or hands in outcomes: what it holds goes on.
    pub fn goes_on(&mut self, worker: WorkerId, slots: Option<u32>) {
        if let Some(slots) = slots {
            self.slots.insert(worker, slots);
        }
        let slots = self.slots.get(&worker).copied().unwrap_or(0) as usize;
        let mut held: Vec<&mut Given> =
            self.given.values_mut().filter(|it| it.worker == worker).collect();
        held.sort_unstable_by_key(|it| it.order);
        let takes_one = |it: &Given| it.may_run || it.restored;
        let running = held.iter().filter(|it| takes_one(it)).count();
        let next = held.into_iter().filter(|it| !takes_one(it));
        next.take(slots.saturating_sub(running)).for_each(|it| it.may_run = true);
    }

    fn add(&mut self, task: TaskId, worker: WorkerId) {
        self.order += 1;
        let order = self.order;
        self.given.insert(
            task,
            Given { worker, order, may_run: false, reported: false, restored: false },
        );
    }

    fn ends(&mut self, rows: &Rows, task: TaskId, reclaims: u32) -> Check {
        let given = self.given.remove(&task);
        let Some(row) = rows.get(task).filter(|row| rows.leases.contains_key(&row.id)) else {
            return Ok(());
        };
        let was_lost = row.ended(row.leased).is_some_and(|it| it.how == Ended::Reclaimed);
        let counts = given.is_some_and(|it| it.may_run || it.reported);
        let expected = row.reclaims + u32::from(counts);
        match was_lost && reclaims != expected {
            true => Err(format!(
                "'{}' counts {reclaims} lost workers, and not {expected}: {given:?}",
                name_of(rows, task)
            )),
            false => Ok(()),
        }
    }
}
