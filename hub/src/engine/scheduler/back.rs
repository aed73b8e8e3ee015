//! Tasks come back from their workers, whose attempts have no outcome.

use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;
use crate::engine::scheduler::state::slot::Slot;
use crate::engine::scheduler::state::task::Newest;

const TOOK_WORKERS_DOWN: &str = "took down 5 workers in a row";

impl Scheduler {
    /// Takes a task back from a worker that went silent.
    pub(super) fn reclaim(&mut self, lease: u32) {
        let slot = self.leases.get(lease).task;
        let Some(lease) = self.end_lease(slot) else {
            return;
        };
        let is_spared = self.is_spared(&lease);
        let task = self.tasks.get_mut(slot);
        task.newest = Newest::Reclaimed;
        if (lease.started || lease.has_slot) && !is_spared {
            task.reclaims += 1;
        }
        if lease.is_alone {
            self.spare_older(&lease);
        }
        let task = self.tasks.get(slot);
        let worn_out = task.reclaims >= self.config.reclaims_max;
        let (id, name, attempt) = (task.id, task.name.clone(), task.attempt);
        let reason = if worn_out { TOOK_WORKERS_DOWN } else { "its worker went silent" };
        self.changes.push(Change::Ended {
            task: id,
            attempt,
            worker: lease.worker,
            how: if worn_out { Ended::Failed } else { Ended::Reclaimed },
            report: Report {
                reason: Some(reason.into()),
                run_ms: self.held_ms(&lease),
                ..Report::default()
            },
        });
        self.tell_lost(lease.worker, name, attempt);
        if worn_out {
            self.finish(slot, State::Failed, id);
        } else {
            self.give_back(slot);
        }
    }

    /// Given back unstarted: the attempt stays used, and its outcome counts no more.
    pub(super) fn put_back(&mut self, slot: Slot) {
        self.end_lease(slot);
        self.tasks.get_mut(slot).newest = Newest::Void;
        self.give_back(slot);
    }
}
