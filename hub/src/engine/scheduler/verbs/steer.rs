//! Steer: a person tells workers to drain or to stop.
//!
//! The order lasts while the worker is known, and is told with every answer to it. It is not stored:
//! a worker that has heard it goes on by itself, and a new process is a new worker.

use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;

impl Scheduler {
    pub(crate) fn steer(&mut self, ticket: Ticket, workers: &[WorkerId], order: Order) {
        for &id in workers {
            if let Some(worker) = self.workers.get_mut(id).filter(|worker| !worker.left) {
                worker.order = worker.order.max(order);
                self.to_tell.push(id);
            }
        }
        self.answer(ticket, Answer::Steered);
    }
}
