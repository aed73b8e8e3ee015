//! Steer: a person tells workers to drain or to stop.
//!
//! The order lasts while the worker is known, and is told with every answer to it. It is not stored:
//! a worker that has heard it goes on by itself, and a new process is a new worker.

use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;
use crate::planted::{Bug, planted};

impl Scheduler {
    pub(crate) fn steer(&mut self, ticket: Ticket, workers: &[WorkerId], order: Order) {
        for &id in workers {
            if let Some(worker) = self.workers.get_mut(id).filter(|worker| !worker.left) {
                let least = if planted(Bug::OrderShrinks) { Order::None } else { worker.order };
                worker.order = order.max(least);
                if !planted(Bug::OrderNotTold) {
                    self.to_tell.push(id);
                }
            }
        }
        self.answer(ticket, Answer::Steered);
    }
}
