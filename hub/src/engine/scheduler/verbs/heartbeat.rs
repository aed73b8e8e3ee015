//! Heartbeat: the leases that it lists are renewed, and what its worker has lost is told.

use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;
use crate::engine::scheduler::state::worker::Worker;

impl Scheduler {
    pub(crate) fn heartbeat(
        &mut self,
        now: Millis,
        ticket: Ticket,
        who: &Who,
        attempts: Vec<AttemptRef>,
    ) {
        let is_gone = |id| self.workers.get(id).is_some_and(|worker| worker.left);
        let gone = self.workers.find(who).filter(|&id| is_gone(id));
        let own = self.see(now, who);
        // One that was on its way when its worker said goodbye.
        if let Some(worker) = gone.and_then(|id| self.workers.get_mut(id)) {
            worker.left = true;
        }
        let mut lost = Vec::new();
        for attempt in attempts {
            match self.leased_to(who, own, &attempt.name, attempt.attempt) {
                Some(slot) => {
                    let lease = self.leases.get_mut(self.tasks.get(slot).lease);
                    lease.expires = now + lease.term_ms;
                    lease.started |= attempt.started;
                }
                None => lost.push((attempt.name, attempt.attempt)),
            }
        }
        match (ticket, own) {
            (1.., own) => {
                let mut order = Order::None;
                if let Some(id) = own {
                    lost.extend(self.workers.take_lost(id));
                    order = self.workers.get_mut(id).map(Worker::take_order).unwrap_or_default();
                }
                self.answer(ticket, Answer::Heartbeaten { lost, order });
            }
            // A report: it is told when it asks for something.
            (0, Some(id)) => {
                for (name, attempt) in lost {
                    self.tell_lost(id, name, attempt);
                }
            }
            (0, None) => {}
        }
    }

    /// The worker should kill what it has lost. What there is no room for is told when a heartbeat
    /// lists it again.
    pub(crate) fn tell_lost(&mut self, id: WorkerId, name: Name, attempt: u32) {
        if self.workers.add_lost(id, (name, attempt)) {
            self.to_tell.push(id);
        }
    }
}
