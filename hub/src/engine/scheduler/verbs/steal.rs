//! Steal: ready tasks under a lease; a copy of it gets the same again, and one that finds nothing may wait.

use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;
use crate::engine::scheduler::state::lease::Lease;
use crate::engine::scheduler::state::worker::Worker;
use crate::engine::scheduler::waiting::park::ParkedSteal;

impl Scheduler {
    pub(crate) fn steal(&mut self, now: Millis, ticket: Ticket, who: &Who, steal: Steal) {
        let caller = steal.client.map(|client| (who.key.clone(), client));
        let seen = caller.as_ref().map_or(Ok(()), |caller| self.workers.check_client(caller));
        let worker = match seen.and_then(|()| self.see_or_add(now, who)) {
            Ok(worker) => worker,
            Err(full) => {
                let (code, message) = (Code::Busy, full.to_string());
                return self.answer(ticket, Answer::Error { code, message, names: Vec::new() });
            }
        };
        if let Some(caller) = &caller {
            // A late copy of an older steal must not take the place of the one that waits.
            if steal.number != 0 && self.parking.number(caller) > Some(steal.number) {
                return self.answer(ticket, Answer::Replaced);
            }
            self.note_waiting(worker, &steal);
            // A repeat takes the place of its original, and so does a newer steal.
            if let Some(parked) = self.parking.take_caller(caller) {
                let repeat = parked.steal.number == steal.number;
                let replaced =
                    if repeat { Answer::Joined { by: ticket } } else { Answer::Replaced };
                self.answer(parked.ticket, replaced);
                if repeat {
                    return self.park(now, ticket, worker, Some(caller.clone()), steal);
                }
            }
            if let Some(leases) =
                self.unheard(worker, &steal).or_else(|| self.repeated(worker, &steal))
            {
                let stolen = Stolen { fresh: false, ..self.stolen(worker, leases) };
                return self.answer(ticket, Answer::Stolen(stolen));
            }
        }
        let leases = self.grant(now, worker, &steal);
        let at_rest = matches!(self.phase(), Phase::Stuck | Phase::Finished) && !steal.stay;
        let has_news = self.workers.get(worker).is_some_and(Worker::has_news);
        let may_wait = steal.wait_ms > 0 && (steal.n == 0 || !at_rest);
        if leases.is_empty() && may_wait && !has_news && !self.is_in_the_way(worker) {
            return self.park(now, ticket, worker, caller, steal);
        }
        let stolen = self.stolen(worker, leases);
        self.answer(ticket, Answer::Stolen(stolen));
    }

    fn park(
        &mut self,
        now: Millis,
        ticket: Ticket,
        worker: WorkerId,
        caller: Option<Caller>,
        mut steal: Steal,
    ) {
        let has_order = self.workers.get(worker).is_some_and(|worker| worker.order != Order::None);
        if has_order {
            // It gets nothing any more: it only listens.
            steal.n = 0;
        }
        if self.parked() >= self.config.parked_requests_max {
            return self.answer_busy(ticket);
        }
        let until = now + steal.wait_ms;
        let standing = self.standing(worker);
        self.parking.park(ParkedSteal { ticket, worker, caller, steal, until }, standing);
    }

    /// What steals whose place this one takes got, and nobody may have heard of.
    fn unheard(&self, worker: WorkerId, steal: &Steal) -> Option<Vec<Leased>> {
        if steal.replaces == 0 {
            return None;
        }
        let worker = self.workers.get(worker)?;
        let unheard = |lease: &&Lease| {
            lease.client == steal.client && (steal.replaces..steal.number).contains(&lease.number)
        };
        let leases = worker.leases.iter().map(|&index| self.leases.get(index)).filter(unheard);
        let leases: Vec<Leased> = leases.map(|lease| self.leased(lease)).collect();
        (!leases.is_empty()).then_some(leases)
    }

    /// What a steal that was seen before got; None if this one is new. Number 0 is always new.
    pub(crate) fn repeated(&self, worker: WorkerId, steal: &Steal) -> Option<Vec<Leased>> {
        let client = steal.client?;
        let worker = self.workers.get(worker)?;
        let newest = self.workers.newest_number(&(worker.who.key.clone(), client))?;
        if steal.n == 0 || steal.number == 0 || steal.number > newest {
            return None;
        }
        if steal.number < newest {
            return Some(Vec::new());
        }
        let same = |lease: &&Lease| lease.client == Some(client) && lease.number == steal.number;
        let leases = worker.leases.iter().map(|&index| self.leases.get(index)).filter(same);
        Some(leases.map(|lease| self.leased(lease)).collect())
    }
}
