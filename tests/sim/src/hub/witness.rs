//! What each request leads to, looked at as it happens.

use std::cell::Cell;
use std::collections::BTreeSet;

use dhub::engine::message::*;
use dhub::engine::scheduler::State;

use super::{Hub, Machine, Route};
use crate::check::line::{is_last_try, is_worn};
use crate::check::parked::Woken;
use crate::check::places::Holders;
use crate::check::{self, Cause, Check};
use crate::message::Ask;
use crate::tally::Met;

impl Hub {
    /// An answer that comes of the request of the ticket `own`, to itself or to others.
    pub(super) fn witness(
        &mut self,
        ticket: Ticket,
        answer: &Answer,
        own: Ticket,
        cause: Cause,
        at: &mut Machine,
    ) -> Check {
        if matches!(answer, Answer::Replaced | Answer::Joined { .. }) {
            return self.check_replaced(ticket);
        }
        let Some(route) = self.routes.get(&ticket) else {
            return Ok(());
        };
        let is_own = ticket == own;
        if let Answer::Awaited { finished, .. } = answer
            && !finished.is_empty()
            && !is_own
        {
            at.tally.note(Met::TaskAwaited);
        }
        if let (Answer::Stolen(stolen), false) = (answer, is_own) {
            self.waited_in_line(ticket, stolen, at)?;
            self.woken_for_a_reason(route, stolen, cause, at)?;
        }
        let Ask::Request(request) = &*route.ask else {
            return Ok(());
        };
        let Some(who) = request.worker() else {
            return Ok(());
        };
        let worker = self.scheduler.worker_id(who);
        if self.orders.has_news(worker, who) {
            at.tally.note(Met::OrderTold);
        }
        self.orders.tell(worker, who, answer)
    }

    /// Workers that start more of what they hold, or may have been given more, and how many they say that they run.
    pub(super) fn who_goes_on(
        &self,
        request: Option<&Request>,
        own: Option<&Answer>,
        answers: &[(Ticket, Answer)],
    ) -> Vec<(WorkerId, Option<u32>)> {
        let mut going_on = Vec::new();
        let is_new = |stolen: &Stolen| stolen.fresh;
        let who = request.map(|request| &request.who);
        let slots = match (request.map(|request| &request.body), own) {
            (Some(Body::Steal(steal)), Some(Answer::Stolen(stolen))) => {
                is_new(stolen).then_some(Some(steal.slots))
            }
            (Some(Body::Steal(steal)), Some(Answer::Error { .. })) => Some(Some(steal.slots)),
            // Parked; not in place of an original.
            (Some(Body::Steal(steal)), None) => {
                let joins =
                    |(_, answer): &(Ticket, Answer)| matches!(answer, Answer::Joined { .. });
                (!answers.iter().any(joins)).then_some(Some(steal.slots))
            }
            (Some(Body::Complete { want, .. }), Some(Answer::Completed { stolen, .. })) => {
                let stolen = stolen.as_ref().is_some_and(is_new);
                Some(want.as_ref().filter(|_| stolen).map(|steal| steal.slots))
            }
            _ => None,
        };
        let known = |who: &Who| self.scheduler.worker_id(who);
        going_on.extend(slots.and_then(|slots| Some((known(who?)?, slots))));
        for (ticket, answer) in answers {
            if let Answer::Stolen(stolen) = answer
                && stolen.fresh
                && !stolen.leases.is_empty()
                && let Some((who, steal)) = self.routes.get(ticket).and_then(|it| it.ask.steal())
            {
                going_on.extend(known(who).map(|who| (who, Some(steal.slots))));
            }
        }
        going_on
    }

    /// Who asks and gets less than it wants, at once.
    pub(super) fn who_is_refused(
        &self,
        request: Option<&Request>,
        own: Option<&Answer>,
    ) -> Option<WorkerId> {
        let Request { who, body, .. } = request?;
        let (steal, stolen) = match (body, own?) {
            (Body::Steal(steal), Answer::Stolen(stolen)) => (steal, stolen),
            (Body::Complete { want, .. }, Answer::Completed { stolen, .. }) => {
                (want.as_ref()?, stolen.as_ref()?)
            }
            _ => return None,
        };
        let worker = self.scheduler.worker_id(who)?;
        let is_refused = stolen.fresh && stolen.leases.len() < steal.n as usize;
        (is_refused && self.orders.of(Some(worker)) == Order::None).then_some(worker)
    }

    /// Whose parked steals were given something, and not all that they wanted.
    pub(super) fn who_got_less(&self, answers: &[(Ticket, Answer)]) -> Vec<WorkerId> {
        let got_less = |(ticket, answer): &(Ticket, Answer)| {
            let (who, steal) = self.routes.get(ticket)?.ask.steal()?;
            let Answer::Stolen(stolen) = answer else { return None };
            let is_less = (1..steal.n as usize).contains(&stolen.leases.len());
            let worker = self.scheduler.worker_id(who)?;
            let may_have = self.orders.of(Some(worker)) == Order::None;
            (is_less && stolen.fresh && may_have).then_some(worker)
        };
        answers.iter().filter_map(got_less).collect()
    }

    /// Whose steals wait for tasks.
    pub(super) fn who_waits(&self) -> BTreeSet<WorkerId> {
        let answered: BTreeSet<Ticket> = self.answered.iter().map(|(ticket, _)| *ticket).collect();
        let parked = self.routes.iter().filter(|(ticket, _)| !answered.contains(ticket));
        let parked = parked.filter_map(|(_, route)| route.ask.steal());
        let hungry = parked.filter(|(_, steal)| steal.n > 0);
        let hungry = hungry.filter_map(|(who, _)| self.scheduler.worker_id(who));
        hungry.filter(|&worker| self.orders.of(Some(worker)) == Order::None).collect()
    }

    /// Of the parked steals that want tasks the one that came first is given some.
    fn waited_in_line(&self, ticket: Ticket, stolen: &Stolen, at: &mut Machine) -> Check {
        if stolen.leases.is_empty() {
            return Ok(());
        }
        let is_answered =
            |ticket: Ticket| self.answered.iter().any(|(answered, _)| *answered == ticket);
        // What this command has given them is not written yet.
        let given = self.answered.iter().filter_map(|(ticket, answer)| match answer {
            Answer::Stolen(stolen) if !stolen.leases.is_empty() => {
                let (who, _) = self.routes.get(ticket)?.ask.steal()?;
                let worker = self.scheduler.worker_id(who).filter(|_| who.id.is_some())?;
                Some((worker, who.key.clone()))
            }
            _ => None,
        });
        let given: Holders = given.collect();
        // One of them makes room, perhaps, for what this command has made ready.
        let room_for = Cell::new(None);
        let makes_room = |worker: WorkerId| {
            let rows = &at.store.current;
            let could = self.line.are_some_worn() && self.line.could_make_room(rows, worker);
            could && room_for.get().is_none_or(|it| it == worker) && {
                room_for.set(Some(worker));
                true
            }
        };
        let wants = |(ticket, route): &(&Ticket, &Route)| {
            let Some((who, steal)) = route.ask.steal() else {
                return false;
            };
            let worker = self.scheduler.worker_id(who);
            let is_kept_out = self.places.keeps_out(&at.store.current, &given, who, worker);
            let wants = steal.n > 0 && self.orders.of(worker) == Order::None;
            let may_have = !worker.is_some_and(|worker| self.may_be_last_try(worker, stolen, at));
            let is_passed_over = wants && may_have && !is_kept_out && !is_answered(**ticket);
            is_passed_over && !worker.is_some_and(makes_room)
        };
        match self.routes.range(..ticket).find(wants) {
            Some((_, route)) => Err(format!(
                "{:?} is given to a steal that came after {:?}",
                stolen.leases, route.ask
            )),
            None => Ok(()),
        }
    }

    /// Whether this worker, which has an id, may hold a task that is tried alone, or something else beside which
    /// these would have been given. What the command under way has changed is not written yet.
    fn may_be_last_try(&self, worker: WorkerId, given: &Stolen, at: &Machine) -> bool {
        let rows = &at.store.current;
        let max = self.scheduler.config().reclaims_max;
        let is_known = |who: &Who| who.id.is_some();
        let has_id = self.scheduler.worker(worker).is_some_and(|it| is_known(&it.who));
        let mut given = given.leases.iter();
        let is_last = given.any(|lease| rows.get(lease.id).is_some_and(|row| is_worn(row, max)));
        let mut held = rows.leases.iter().filter(|(_, lease)| lease.worker == worker);
        let holds_last =
            held.clone().any(|(&task, _)| rows.get(task).is_some_and(|row| is_last_try(row, max)));
        has_id && (holds_last || is_last && held.next().is_some())
    }

    fn woken_for_a_reason(
        &self,
        route: &Route,
        stolen: &Stolen,
        cause: Cause,
        at: &Machine,
    ) -> Check {
        let Some((who, steal)) = route.ask.steal() else {
            return Ok(());
        };
        let id = self.scheduler.worker_id(who);
        let worker = id.and_then(|id| self.scheduler.worker(id));
        let now = self.now(at);
        let timeout = self.scheduler.config().worker_timeout_ms;
        let is_silent = worker.is_some_and(|it| who.id.is_some() && now > it.last_seen + timeout);
        check::parked::woken_for_a_reason(Woken {
            who,
            steal,
            stolen,
            is_over: now >= route.since + steal.wait_ms,
            is_silent,
            is_sent_away: cause == Cause::Exit,
            has_orders: self.orders.has_news(id, who),
        })
    }

    /// Of two steals of one client, the one that arrived last and one that was parked.
    fn check_replaced(&self, ticket: Ticket) -> Check {
        let Some(replaced) = self.routes.get(&ticket) else {
            return Ok(());
        };
        let is_new = ticket == self.last_ticket;
        let client = client_of(&replaced.ask);
        let mut others = self.routes.iter().rev().filter(|(other, route)| {
            let answered = self.answered.iter().any(|(answered, _)| answered == *other);
            **other != ticket && !answered && client_of(&route.ask) == client
        });
        let kept = match is_new {
            true => others.next().map(|(_, route)| &*route.ask),
            false => self.routes.get(&self.last_ticket).map(|route| &*route.ask),
        };
        check::answer::older_is_replaced(&replaced.ask, kept, is_new)
    }

    pub(super) fn tally(&self, change: &Change, cause: Cause, at: &mut Machine) {
        let met = match change {
            Change::Ended { how: Ended::Reclaimed, .. } => Met::LeaseReclaimed,
            Change::Ended { task, attempt, .. }
                if at.store.current.get(*task).is_some_and(|row| row.ended(*attempt).is_some()) =>
            {
                Met::OutcomeAfterReclaim
            }
            Change::Finished { state: State::Skipped, .. } => Met::TaskSkipped,
            Change::Back { .. } if cause == Cause::Release => Met::TaskGivenBack,
            Change::Back { task, failures, .. }
                if at.store.current.get(*task).is_some_and(|row| row.failures < *failures) =>
            {
                Met::TaskFailedWithRetries
            }
            Change::Reopened { .. } => Met::TaskRetried,
            Change::Adjusted { held: true, .. } => Met::TaskHeld,
            _ => return,
        };
        at.tally.note(met);
    }
}

fn client_of(ask: &Ask) -> Option<ClientId> {
    ask.steal().and_then(|(_, steal)| steal.client)
}
