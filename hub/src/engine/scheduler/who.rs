//! Who asks, and for whom.

use super::Scheduler;
use super::state::slot::Slot;
use super::state::worker_quota::Full;
use crate::engine::message::*;

impl Scheduler {
    /// Notes that a worker lives. One that nobody has heard of is not remembered for that: only a
    /// steal makes it one to remember.
    pub(super) fn see(&mut self, now: Millis, who: &Who) -> Option<WorkerId> {
        let (id, says_host) = self.workers.see(now, who)?;
        if says_host && self.workers.get(id).is_some_and(|worker| worker.stored) {
            self.changes.push(Change::Host { id, host: who.host.clone() });
        }
        Some(id)
    }

    /// Of one that steals.
    pub(super) fn see_or_add(&mut self, now: Millis, who: &Who) -> Result<WorkerId, Full> {
        if let Some(id) = self.see(now, who) {
            return Ok(id);
        }
        let parking = &self.parking;
        self.workers.add(now, who, |worker| parking.has_worker(worker))
    }

    /// May who asks act for this holder: as it itself, or as the owner, who names it as it names itself?
    pub(super) fn may_act(&self, who: &Who, own: Option<WorkerId>, holder: WorkerId) -> bool {
        let named = || self.workers.get(holder).is_some_and(|it| it.who.is_called(who));
        own == Some(holder) || (who.is_owner() && named())
    }

    /// The task that this worker holds under this attempt; 0 is the one that it holds.
    pub(super) fn leased_to(
        &self,
        who: &Who,
        own: Option<WorkerId>,
        name: &str,
        attempt: u32,
    ) -> Option<Slot> {
        let slot = self.tasks.find(name)?;
        let task = self.tasks.get(slot);
        let same = task.state == State::Running
            && (attempt == 0 || attempt == task.attempt)
            && self.may_act(who, own, task.holder);
        same.then_some(slot)
    }
}
