//! Steal, heartbeat, and the ways in which a lease ends without an outcome.

use std::collections::HashSet;

use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;
use crate::engine::scheduler::state::lease::Lease;
use crate::engine::scheduler::state::ready::Origin;
use crate::engine::scheduler::state::task::{Newest, Slot, State};
use crate::engine::scheduler::state::worker::Worker;
use crate::engine::scheduler::waiting::park::ParkedSteal;
use crate::planted::{Bug, planted};

/// What a lease takes in a reply besides name and command, at most.
const LEASE_BYTES: usize = 128;

const TOOK_WORKERS_DOWN: &str = "took down 5 workers in a row";

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
            // A repeat takes the place of its original, and so does a newer steal.
            let stays = planted(Bug::SupersededStaysParked)
                && self.parking.number(caller) != Some(steal.number);
            if !stays && let Some(parked) = self.parking.take_caller(caller) {
                let repeat = parked.steal.number == steal.number;
                let (old, ticket) = match planted(Bug::OriginalStaysParked) {
                    false => (parked.ticket, ticket),
                    true => (ticket, parked.ticket),
                };
                let replaced =
                    if repeat { Answer::Joined { by: ticket } } else { Answer::Replaced };
                self.answer(old, replaced);
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
        if has_order && !planted(Bug::DrainedStaysHungry) {
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
        if steal.replaces == 0 || planted(Bug::UnheardNotTold) {
            return None;
        }
        let worker = self.workers.get(worker)?;
        let first = if planted(Bug::UnheardTellsAll) { 0 } else { steal.replaces };
        let unheard = |lease: &&Lease| {
            lease.client == steal.client && (first..steal.number).contains(&lease.number)
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
        if planted(Bug::StealNotIdempotent)
            || steal.n == 0
            || steal.number == 0
            || steal.number > newest
        {
            return None;
        }
        if steal.number < newest {
            return Some(Vec::new());
        }
        let same = |lease: &&Lease| lease.client == Some(client) && lease.number == steal.number;
        let leases = worker.leases.iter().map(|&index| self.leases.get(index)).filter(same);
        Some(leases.map(|lease| self.leased(lease)).collect())
    }

    fn leased(&self, lease: &Lease) -> Leased {
        let task = self.tasks.get(lease.task);
        Leased {
            id: task.id,
            name: task.name.clone(),
            attempt: task.attempt,
            term_ms: lease.term_ms,
            has_details: task.details_bytes > 0,
            is_suspect: lease.is_suspect,
        }
    }

    /// Leases up to `n` ready tasks to the worker.
    pub(crate) fn grant(&mut self, now: Millis, worker: WorkerId, steal: &Steal) -> Vec<Leased> {
        let mut leased = Vec::new();
        if let Some(to) = self.workers.get_mut(worker) {
            to.slots = steal.slots;
        }
        let may_have = |to: &&Worker| to.order == Order::None || planted(Bug::DrainedGetsMore);
        let Some(to) = self.workers.get(worker).filter(may_have) else {
            return leased;
        };
        let (has_id, key) = (to.who.id.is_some(), to.who.key.clone());
        // Noted here, also for a parked steal: a pause of the hub may be longer than a client's
        // silence is remembered.
        if let Some(client) = steal.client
            && steal.n > 0
        {
            self.workers.note_number(now, &(key, client), steal.number);
        }
        if !self.may_hold(worker) {
            return leased;
        }
        let term_ms = match steal.lease_ms {
            0 if has_id => self.config.worker_timeout_ms,
            0 => self.config.lease_ms,
            ms => ms,
        };
        let mut bytes = 0;
        while leased.len() < steal.n as usize {
            self.make_room(now, worker);
            let Some(slot) = self.next_for(worker) else { break };
            let task = self.tasks.get(slot);
            bytes += LEASE_BYTES + task.name.len() + task.details_bytes as usize;
            if bytes > self.config.leases_bytes_max && !leased.is_empty() {
                break;
            }
            self.ready.remove(&mut self.tasks, slot);
            self.set_state(slot, State::Running);
            let task = self.tasks.get_mut(slot);
            let is_suspect = task.newest == Newest::Reclaimed;
            let is_alone = has_id && task.origin == Origin::Alone;
            task.attempt += 1;
            task.holder = worker;
            task.newest = Newest::Held;
            let (id, attempt) = (task.id, task.attempt);
            let (client, number) = (steal.client, steal.number);
            let order = self.leases.next_order();
            self.hold(
                slot,
                Lease {
                    task: slot,
                    worker,
                    at: 0,
                    client,
                    number,
                    term_ms,
                    expires: now + term_ms,
                    began: now as i64,
                    started: false,
                    has_slot: false,
                    order,
                    is_suspect,
                    is_alone,
                },
            );
            if let Some(who) = self.workers.store(worker) {
                self.changes.push(Change::Worker { id: worker, who: who.clone() });
            }
            self.changes.push(Change::Leased {
                task: id,
                attempt,
                worker,
                client,
                number: number * u64::from(!planted(Bug::NumberNotStored)),
                term_ms,
            });
            leased.push(self.leased(self.leases.get(self.tasks.get(slot).lease)));
        }
        self.fill_slots(worker);
        leased
    }

    /// Puts the lease on the task and on the worker's list.
    pub(crate) fn hold(&mut self, slot: Slot, mut lease: Lease) {
        let (id, is_alone, order) = (lease.worker, lease.is_alone, lease.order);
        lease.at = self.workers.get(id).map_or(0, |worker| worker.leases.len() as u32);
        let index = self.leases.insert(lease);
        self.tasks.get_mut(slot).lease = index;
        if is_alone {
            self.room.is_used();
        }
        if let Some(worker) = self.workers.get_mut(id) {
            worker.is_alone |= is_alone;
            if worker.slots > 0 && order > 0 {
                worker.late.insert((order, index));
            }
            worker.leases.push(index);
            if worker.leases.len() == 1 && worker.who.id.is_some() {
                self.holders.add(&worker.who.key);
                self.note_standing(id);
            }
        }
    }

    /// The task that this worker holds under this attempt; 0 is the one that it holds.
    fn leased_to(
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

    pub(crate) fn heartbeat(
        &mut self,
        now: Millis,
        ticket: Option<Ticket>,
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
        if planted(Bug::HeartbeatRenewsAll)
            && let Some(id) = own
        {
            self.leases.renew_all_of(id, now);
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
            (Some(ticket), own) => {
                let mut order = Order::None;
                if let Some(id) = own {
                    lost.extend(self.workers.take_lost(id));
                    order = self.workers.get_mut(id).map(Worker::take_order).unwrap_or_default();
                }
                self.answer(ticket, Answer::Heartbeaten { lost, order });
            }
            (None, Some(id)) => {
                for (name, attempt) in lost {
                    self.tell_lost(id, name, attempt);
                }
            }
            (None, None) => {}
        }
    }

    /// The worker should kill what it has lost. What there is no room for is told when a heartbeat
    /// lists it again.
    pub(crate) fn tell_lost(&mut self, id: WorkerId, name: Name, attempt: u32) {
        if self.workers.add_lost(id, (name, attempt)) && !planted(Bug::LossNotTold) {
            self.to_tell.push(id);
        }
    }

    pub(crate) fn release(
        &mut self,
        now: Millis,
        ticket: Ticket,
        who: &Who,
        attempts: &[AttemptRef],
        needs: Vec<Vec<Name>>,
        past: &Past,
    ) {
        let own = self.see(now, who);
        let mut released = 0;
        let mut refused = Vec::new();
        // Names to wait for are a request's own, so a cycle refuses all of it before anything moves.
        let further = attempts.iter().zip(needs).filter(|(_, needs)| !needs.is_empty());
        let further: Vec<(Name, Vec<Name>)> =
            further.map(|(attempt, needs)| (attempt.name.clone(), needs)).collect();
        if let Err(answer) = self.check_further(&further) {
            return self.answer(ticket, answer);
        }
        for attempt in attempts {
            let number = if planted(Bug::OlderAttemptReleased) { 0 } else { attempt.attempt };
            match self.leased_to(who, own, &attempt.name, number) {
                Some(slot) => {
                    self.put_back(slot);
                    released += 1;
                }
                None => {
                    if let Err((code, message)) = self.not_held(who, own, attempt, past) {
                        let (name, attempt) = (attempt.name.clone(), attempt.attempt);
                        refused.push(Refused { name, attempt, code, message: message.into() });
                    }
                }
            }
        }
        if planted(Bug::ReleaseTakesAll)
            && let Some(own) = own
        {
            released += self.dismiss(own);
        }
        let not_held: HashSet<&Name> = refused.iter().map(|refused| &refused.name).collect();
        for (name, needs) in further {
            if !not_held.contains(&name) {
                self.add_further(&name, &needs, past);
            }
        }
        self.answer(ticket, Answer::Released { released, refused });
    }

    /// Why a task that is not held cannot be given back; Ok if it was given back before.
    fn not_held(
        &self,
        who: &Who,
        own: Option<WorkerId>,
        attempt: &AttemptRef,
        past: &Past,
    ) -> Result<(), (Code, &'static str)> {
        let Some(slot) = self.tasks.find(&attempt.name) else {
            return Err(match past.get(&attempt.name) {
                Some(past) if past.state != State::Missing => (Code::Stale, "it is finished"),
                _ => (Code::NotFound, "there is no such task"),
            });
        };
        let task = self.tasks.get(slot);
        let held = self.may_act(who, own, task.holder);
        let newest = attempt.attempt == 0 && held;
        let same = (task.attempt == attempt.attempt || newest) && task.attempt > 0;
        match task.state {
            State::Missing => Err((Code::NotFound, "there is no such task")),
            State::Ready | State::Waiting if same && task.newest == Newest::Void => Ok(()),
            State::Ready | State::Waiting if task.newest == Newest::Reclaimed && held => Ok(()),
            State::Running => Err((Code::Stale, "another worker holds it")),
            State::Ready | State::Waiting => Err((Code::Stale, "no worker holds it")),
            _ => Err((Code::Stale, "it is finished")),
        }
    }

    /// Given back unstarted: the attempt stays used, and its outcome counts no more.
    fn put_back(&mut self, slot: Slot) {
        self.end_lease(slot);
        let task = self.tasks.get_mut(slot);
        if !planted(Bug::GivenBackStillCounts) {
            task.newest = Newest::Void;
        }
        self.give_back(slot);
    }

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

    /// Takes a task back from a worker that went silent.
    pub(crate) fn reclaim(&mut self, lease: u32) {
        let slot = self.leases.get(lease).task;
        let Some(lease) = self.end_lease(slot) else {
            return;
        };
        let task = self.tasks.get_mut(slot);
        task.newest = Newest::Reclaimed;
        if lease.started || lease.has_slot {
            task.reclaims += 1;
        }
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

    /// The replies with these leases did not reach anybody. A copy of the request that is still to
    /// come counts as new, or its client would be told that there is nothing.
    pub(crate) fn undelivered(&mut self, leases: &[(Name, u32)]) {
        let mut steals = HashSet::new();
        for (name, attempt) in leases {
            if let Some(slot) = self.tasks.find(name)
                && self.tasks.get(slot).state == State::Running
                && (self.tasks.get(slot).attempt == *attempt || planted(Bug::UndeliveredTakesAny))
            {
                let lease = self.leases.get(self.tasks.get(slot).lease);
                steals.extend(lease.client.map(|client| (lease.worker, client, lease.number)));
                self.put_back(slot);
            }
        }
        for (worker, client, number) in steals {
            let of_it = |&&index: &&u32| {
                let lease = self.leases.get(index);
                lease.client == Some(client) && lease.number == number
            };
            if let Some(worker) = self.workers.get(worker)
                && worker.leases.iter().find(of_it).is_none()
            {
                let caller = (worker.who.key.clone(), client);
                self.workers.forget_number(&caller, number);
            }
        }
    }
}
