//! Forget: nobody waits any more for what these requests wait for.

use std::collections::HashSet;

use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;

impl Scheduler {
    /// Those that have their answer already keep it: whoever sends it finds that nobody is there.
    pub(crate) fn forget_requests(&mut self, tickets: &HashSet<Ticket>) {
        let waits = self.parking.forget_waits(tickets);
        let mut forgotten = [waits, self.awaiting.forget(tickets)].concat();
        for parked in self.parking.forget_steals(tickets) {
            forgotten.push(parked.ticket);
            // It got nothing: sent again, over another connection, it counts as new.
            if let Some(caller) = parked.caller {
                self.workers.forget_number(&caller, parked.steal.number);
            }
        }
        forgotten.into_iter().for_each(|ticket| self.answer(ticket, Answer::Forgotten));
    }
}
