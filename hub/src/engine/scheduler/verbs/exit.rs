//! Exit: a worker leaves, and all that it holds is ready again.

use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;
use crate::engine::scheduler::state::lease::Lease;
use crate::engine::scheduler::state::slot::Slot;

impl Scheduler {
    pub(crate) fn exit(&mut self, now: Millis, ticket: Ticket, who: &Who) {
        let Some(id) = self.workers.find_for(who) else {
            let message = format!("no worker '{}' is known", who.name);
            let names = vec![who.name.clone()];
            return self.answer(ticket, Answer::Error { code: Code::NotFound, message, names });
        };
        let had_left = self.workers.get(id).is_some_and(|worker| worker.left);
        self.see(now, who);
        let released = self.dismiss(id);
        let again = had_left && released == 0;
        self.answer(ticket, Answer::Exited { released, again });
    }

    /// All that the worker holds is ready again; how much that is.
    pub(crate) fn dismiss(&mut self, id: WorkerId) -> u64 {
        // Its own parked steals must not get what it gives back.
        while let Some(parked) = self.parking.take_worker(id) {
            let stolen = self.stolen(id, Vec::new());
            self.answer(parked.ticket, Answer::Stolen(stolen));
        }
        // What it got first comes first again.
        let held = self.workers.get(id).map_or(&[][..], |worker| &worker.leases);
        let mut held: Vec<&Lease> = held.iter().map(|&lease| self.leases.get(lease)).collect();
        held.sort_by_key(|lease| lease.order);
        let tasks: Vec<Slot> = held.into_iter().map(|lease| lease.task).collect();
        tasks.iter().for_each(|&task| self.put_back(task));
        self.workers.leave(id);
        tasks.len() as u64
    }
}
