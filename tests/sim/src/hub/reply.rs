//! From the commit to the replies, and what becomes of those that reach nobody.

use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;

use dhub::dialect::native;
use dhub::engine::delivery;
use dhub::engine::message::*;
use dhub::engine::scheduler::State;
use dhub_proto::wire::Counts;

use super::job::Finished;
use super::{Hub, Machine, Route};
use crate::check::parked::Parked;
use crate::check::places::Holders;
use crate::check::{self, Check};
use crate::describe::Brief;
use crate::message::{Ask, Reply, ReplyBody};
use crate::note;
use crate::planted::planted;
use crate::store::{Moment, Rows};
use crate::tally::Met;

impl Hub {
    pub fn before_commit(&self, at: &mut Machine) -> Check {
        let (current, committed) = (&at.store.current, &at.store.committed);
        check::memory::before_commit(&self.scheduler, current, committed, self.now(at))
    }

    /// Only for a planted bug.
    pub fn forget_finished(&mut self) {
        self.scheduler.committed(0);
        self.scheduler.folded(Turn::MAX);
    }

    pub fn commit(&mut self, at: &mut Machine) -> Check {
        if at.store.has_pending() {
            note!(at.trace, at.clock.now(), "hub    commit");
        }
        self.turn += 1;
        let moment = Moment { now: self.now(at), wall: at.clock.wall(), step: self.commands };
        for change in self.told.take_changes() {
            at.store.note(change, moment);
        }
        at.store.commit(self.turn);
        self.scheduler.committed(self.turn);
        check::memory::after_commit(&self.scheduler, &at.store.committed)
    }

    pub fn fold_due(&mut self, at: &mut Machine) -> Check {
        match self.lag.due(self.turn, at.clock.now()) {
            Some(turn) => self.fold(turn, at),
            None => Ok(()),
        }
    }

    /// The tables have what was committed up to this turn.
    pub(super) fn fold(&mut self, turn: Turn, at: &mut Machine) -> Check {
        at.store.fold(turn);
        self.scheduler.folded(if planted("fold-told-early") { self.turn } else { turn });
        check::memory::after_fold(&self.scheduler, &at.store.tables, &at.store.committed)
    }

    /// What may be said now; each answer is looked at beside what is committed.
    pub fn answers(&mut self, at: &mut Machine) -> Result<Vec<Reply>, String> {
        let mut replies = Vec::new();
        let mut damaged = Vec::new();
        for (ticket, mut answer) in std::mem::take(&mut self.answered) {
            let Some(route) = self.routes.remove(&ticket) else {
                continue;
            };
            if matches!(answer, Answer::Replaced | Answer::Joined { .. } | Answer::Forgotten) {
                continue;
            }
            if let Answer::Completed { refused, .. } = &answer {
                refused.iter().for_each(|_| at.tally.note(Met::OutcomeRefused));
            }
            check::answer::is_committed(&route.ask, &answer, &at.store.committed)?;
            let lost = details_are_told(&answer, at)?;
            leave_out(&mut answer, &lost);
            damaged.extend(lost);
            let body = ReplyBody::Answer(Rc::new(answer));
            replies.push(Reply { to: route.peer, conn: route.conn, id: route.id, body });
        }
        for Finished { ticket, tag, body } in std::mem::take(&mut self.finished_jobs) {
            if let Some(tag) = &tag {
                check::told::is_exact(tag, &body, at.store)?;
            }
            if let Some(Route { peer: to, conn, id, ask, noted, .. }) = self.routes.remove(&ticket)
            {
                let committed = &at.store.committed;
                check::long::is_done(&ask, &noted, committed, &self.scheduler, self.exits)?;
                replies.push(Reply { to, conn, id, body: ReplyBody::JobDone });
            }
        }
        // As of the tick: the hub may have been stopped since.
        let now = self.last_turn.unwrap_or(0);
        let waiting = self.routes.values().filter(|route| matches!(*route.ask, Ask::Request(_)));
        let parked = waiting.map(|route| Parked { ask: &route.ask, since: route.since });
        let none = Holders::new();
        let keeps_out = |who: &Who| {
            let worker = self.scheduler.worker_id(who);
            self.places.keeps_out(&at.store.current, &none, who, worker)
        };
        let rows = &at.store.current;
        let is_tried = self.line.last_try_is_first(rows) != Some(false);
        let makes_room = Cell::new(None);
        let may_have = |who: &Who| {
            let (worker, ready) =
                (self.scheduler.worker_id(who), self.scheduler.counts().of(State::Ready));
            let open = self.line.open_to(rows, worker, ready);
            let could = |id: &WorkerId| is_tried && self.line.could_make_room(rows, *id);
            match worker.filter(could) {
                Some(id) if open > 0 && makes_room.get().is_none_or(|it| it == id) => {
                    makes_room.set(Some(id));
                    0
                }
                _ => open,
            }
        };
        let (scheduler, orders) = (&self.scheduler, &self.orders);
        check::parked::parked_have_to_wait(scheduler, orders, keeps_out, may_have, now, parked)?;
        if makes_room.get().is_some() {
            at.tally.note(Met::RoomMade);
        }
        let mut steals = self.routes.values().filter_map(|route| route.ask.steal());
        if scheduler.counts().of(State::Ready) > 0 && steals.any(|(who, _)| keeps_out(who)) {
            at.tally.note(Met::KeptOut);
        }
        // Committed in the next turn.
        self.fail_damaged(damaged, at)?;
        Ok(replies)
    }

    /// Whether the socket is still there, as far as the hub can know.
    pub fn can_reach(&self, reply: &Reply) -> bool {
        !self.gone.contains(&(reply.to, reply.conn))
    }

    /// The reply was sent, or its asker is gone.
    pub fn note_sent(&mut self, reply: &Reply, sent: bool) {
        let ReplyBody::Answer(answer) = &reply.body else {
            return;
        };
        let Some(handed) = delivery::handed(answer) else {
            return;
        };
        if sent {
            self.sent.extend(delivery::attempts(handed));
        }
        self.delivery.note(handed, sent);
    }

    /// Takes back the leases that nobody has heard of.
    pub fn take_back(&mut self, at: &mut Machine) -> Check {
        let leases = self.delivery.undelivered();
        if leases.is_empty() {
            return Ok(());
        }
        if let Some((name, attempt)) = leases.iter().find(|lease| self.sent.contains(lease)) {
            return Err(format!("{name}#{attempt} was sent, and is taken back as undelivered"));
        }
        let newer = newer_leases(&at.store.current, &leases);
        let request = Request::from(Body::Undelivered { leases: leases.clone() });
        at.tally.note(Met::ReplyFailed);
        note!(at.trace, at.clock.now(), "hub    {}", Brief(&request));
        self.carry_out(request, false, at)?;
        if newer_leases(&at.store.current, &leases) < newer {
            return Err(format!("attempts {leases:?} are given back, and newer ones with them"));
        }
        self.busy = true;
        Ok(())
    }

    /// After the answers of a turn: what waits for a socket that is closed waits for nothing.
    pub fn forget_gone(&mut self, at: &mut Machine) -> Check {
        let is_gone = |route: &Route| {
            let is_request = matches!(*route.ask, Ask::Request(_));
            is_request && self.gone.contains(&(route.peer, route.conn))
        };
        let gone = self.routes.iter().filter(|(_, route)| is_gone(route));
        let tickets: HashSet<Ticket> = gone.map(|(&ticket, _)| ticket).collect();
        if tickets.is_empty() {
            return Ok(());
        }
        let request = Request::from(Body::Forget { tickets });
        at.tally.note(Met::Forgotten);
        note!(at.trace, at.clock.now(), "hub    {}", Brief(&request));
        self.carry_out(request, false, at)
    }
}

/// As the native dialect would send it; those that are not told, as their rows are damaged.
fn details_are_told(answer: &Answer, at: &mut Machine) -> Result<Vec<Name>, String> {
    if delivery::handed(answer).is_none() {
        return Ok(Vec::new());
    }
    let (store, mut unfolded, mut damaged) = (&*at.store, 0, Vec::new());
    let details = |lease: &Leased| {
        let (details, folded) = store.details(lease.id)?;
        unfolded += u32::from(!folded);
        if details.is_none() {
            damaged.push(lease.name.clone());
        }
        Ok::<_, String>(details)
    };
    let reply = native::encode(answer, || (Counts::default(), 0.0), details)?;
    (0..unfolded).for_each(|_| at.tally.note(Met::DetailsUnfolded));
    if let Some(reply) = reply {
        at.definitions.are_told(&reply, &at.store.committed, &damaged)?;
    }
    Ok(damaged)
}

/// Whoever asked is not told of these.
fn leave_out(answer: &mut Answer, damaged: &[Name]) {
    if let Answer::Stolen(stolen) | Answer::Completed { stolen: Some(stolen), .. } = answer {
        stolen.leases.retain(|lease| !damaged.contains(&lease.name));
    }
}

/// Leases that have followed those that could not be told, and are not among them.
fn newer_leases(rows: &Rows, leases: &[(Name, u32)]) -> usize {
    let is_newer = |(name, attempt): &&(Name, u32)| {
        let lease = rows.find(name).and_then(|row| rows.leases.get(&row.id));
        lease.is_some_and(|lease| {
            lease.attempt > *attempt && !leases.contains(&(name.clone(), lease.attempt))
        })
    };
    leases.iter().filter(is_newer).count()
}
