//! A hub as in server.rs, without sockets: receive, carry out, let time pass, commit, answer, fold, work.
//!
//! Each part of a turn is a function of its own, so that a crash or a pause can come in between.

mod damaged;
mod job;
mod lag;
mod reply;
mod witness;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use dhub::engine::archive;
use dhub::engine::delivery::Delivery;
use dhub::engine::message::*;
use dhub::engine::scheduler::{Config, Scheduler};
use dhub::engine::told::Told;

use crate::check::command::Expected;
use crate::check::details::Definitions;
use crate::check::line::Line;
use crate::check::long::Noted;
use crate::check::orders::Orders;
use crate::check::places::Places;
use crate::check::room::Room;
use crate::check::starts::Starts;
use crate::check::{self, Cause, Check};
use crate::clock::Clock;
use crate::describe::Brief;
use crate::message::{Ask, Frame, PeerId};
use crate::note;
use crate::store::{Moment, Store};
use crate::tally::{Met, Tally};
use crate::trace::Trace;

use job::{Finished, Running};
pub use lag::Lag;

/// As docs/architecture.md has it: no turn for so long means that the hub itself was stopped.
const PAUSE_MS: u64 = 1_250;

/// What outlives the hub.
pub struct Machine<'a> {
    pub clock: &'a Clock,
    pub store: &'a mut Store,
    pub definitions: &'a Definitions,
    pub trace: &'a mut Trace,
    pub tally: &'a mut Tally,
}

struct Route {
    peer: PeerId,
    conn: u32,
    id: u64,
    ask: Rc<Ask>,
    since: Millis,
    /// Of a long request.
    noted: Rc<Noted>,
}

pub struct Hub {
    scheduler: Scheduler,
    turn: Turn,
    lag: Lag,
    began: Millis,
    pub inbox: VecDeque<Frame>,
    routes: BTreeMap<Ticket, Route>,
    last_ticket: Ticket,
    jobs: VecDeque<Running>,
    finished_jobs: Vec<Finished>,
    told: Told,
    /// Sockets that are known to be closed.
    gone: BTreeSet<(PeerId, u32)>,
    /// What may be said after the commit.
    answered: Vec<(Ticket, Answer)>,
    delivery: Delivery,
    /// Attempts that some client was told of.
    sent: BTreeSet<(Name, u32)>,
    line: Line,
    starts: Starts,
    orders: Orders,
    places: Places,
    room: Room,
    exits: u64,
    busy: bool,
    last_turn: Option<Millis>,
    commands: u64,
}

impl Hub {
    /// `places`: for so many workers that hold tasks.
    pub fn start(
        config: Config,
        lag: Lag,
        places: usize,
        at: &mut Machine,
    ) -> Result<Self, String> {
        let line = Line::restored(&at.store.current, &config);
        let mut scheduler = Scheduler::new(config);
        scheduler.set_places(places);
        at.store.restore(0, at.clock.wall(), &mut scheduler);
        if scheduler.held() > 0 {
            at.tally.note(Met::HeldRestored);
        }
        let mut hub = Self {
            scheduler,
            turn: 0,
            lag,
            began: at.clock.now(),
            inbox: VecDeque::new(),
            routes: BTreeMap::new(),
            last_ticket: 0,
            jobs: VecDeque::new(),
            finished_jobs: Vec::new(),
            told: at.store.told(),
            gone: BTreeSet::new(),
            answered: Vec::new(),
            delivery: Delivery::default(),
            sent: BTreeSet::new(),
            line,
            starts: Starts::restored(&at.store.current),
            orders: Orders::default(),
            places: Places::new(places),
            room: Room::default(),
            exits: 0,
            busy: true,
            last_turn: None,
            commands: 0,
        };
        let changes = hub.scheduler.take_changes();
        hub.take_changes(changes, Cause::Restore, at)?;
        let damaged = at.store.found_damaged();
        hub.fail_damaged(damaged, at)?;
        Ok(hub)
    }

    fn now(&self, at: &Machine) -> Millis {
        at.clock.now() - self.began
    }

    /// When to have a turn at the latest; the world's time.
    pub fn deadline(&self) -> Option<Millis> {
        self.scheduler.deadline().map(|deadline| deadline + self.began)
    }

    /// Messages are there that the last turn did not take in.
    pub fn is_behind(&self) -> bool {
        !self.inbox.is_empty()
    }

    pub fn is_busy(&self) -> bool {
        self.busy || !self.jobs.is_empty() || !self.finished_jobs.is_empty()
    }

    /// Nothing to do, now or later, unless somebody asks for it.
    pub fn is_at_rest(&self) -> bool {
        let over = !matches!(self.scheduler.phase(), Phase::Active);
        over && !self.is_busy() && self.inbox.is_empty()
    }

    pub fn commands(&self) -> u64 {
        self.commands
    }

    pub fn lost_peer(&mut self, peer: PeerId, conn: u32) {
        self.gone.insert((peer, conn));
    }

    // --- in ----------------------------------------------------------------------------------

    pub fn receive(&mut self, most: usize, at: &mut Machine) -> Check {
        for _ in 0..most {
            let Some(frame) = self.inbox.pop_front() else {
                break;
            };
            self.take(frame, at)?;
        }
        self.busy = !self.inbox.is_empty();
        Ok(())
    }

    fn take(&mut self, frame: Frame, at: &mut Machine) -> Check {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        note!(at.trace, at.clock.now(), "hub <- {}: {}", frame.from, Brief(&*frame.ask));
        let tag = frame.tag();
        let noted = self.noted(&frame.ask, tag.as_ref(), at.store);
        if frame.id > 0 {
            let (peer, conn, id, ask) = (frame.from, frame.conn, frame.id, frame.ask.clone());
            let since = self.now(at);
            let noted = noted.clone();
            self.routes.insert(ticket, Route { peer, conn, id, ask, since, noted });
        }
        match &*frame.ask {
            Ask::Request(request) => {
                let ticket = if frame.id > 0 { ticket } else { 0 };
                self.carry_out(Request { ticket, ..request.clone() }, false, at)
            }
            _ => {
                self.start_job(ticket, frame.ask, tag, at);
                Ok(())
            }
        }
    }

    fn carry_out(&mut self, request: Request, done: bool, at: &mut Machine) -> Check {
        let (ticket, now) = (request.ticket, self.now(at));
        self.expect_of_leases(now, &request, at.store);
        let rows = &at.store.current;
        if let Body::Hasten { names } = &request.body {
            self.line.hasten(rows, names);
        }
        self.orders.note(&request.body, &self.scheduler);
        self.starts.note(rows, &request);
        let steals = matches!(request.body, Body::Steal(_) | Body::Complete { .. });
        let asked = steals.then(|| request.clone());
        let who = request.worker();
        let worker = who.and_then(|who| self.scheduler.worker_id(who).or_else(|| rows.worker(who)));
        let expected = Expected::of(&request, rows, worker);
        let cause = Cause::of(&request.body, done);
        archive::carry_out(&mut self.scheduler, &at.store.tables, now, request)?;
        self.commands += 1;
        self.exits += u64::from(matches!(cause, Cause::Exit));
        let answers = self.scheduler.take_answers();
        let changes = self.scheduler.take_changes();
        let own = answers.iter().find(|(it, _)| *it == ticket).map(|(_, answer)| answer);
        let going_on = self.who_goes_on(asked.as_ref(), own, &answers);
        let got_less = self.who_got_less(&answers);
        let refused = self.who_is_refused(asked.as_ref(), own);
        self.places.note(&changes);
        if expected.check(&at.store.current, own, &changes)? {
            at.tally.note(Met::UnheardTold);
        }
        if let Some(token) = self.token_of(ticket) {
            *at.store.did.entry(token).or_default() += check::told::count(own, &changes);
        }
        for (other, answer) in answers {
            self.witness(other, &answer, ticket, cause, at)?;
            self.answered.push((other, answer));
        }
        self.room.note(now, refused);
        if self.line.are_some_worn() {
            let waits = self.who_waits();
            self.room.note(now, waits);
        }
        self.take_changes(changes, cause, at)?;
        // Who got less than it wanted may make room from then on, also if its steal was parked before.
        self.room.note(now, refused.into_iter().chain(got_less));
        let may_have = |worker| self.orders.of(Some(worker)) == Order::None;
        self.room.settle(now, &self.line, &at.store.current, may_have);
        going_on.into_iter().for_each(|(worker, slots)| self.starts.goes_on(worker, slots));
        self.places.note(&[]);
        self.orders.forget_gone(&self.scheduler);
        Ok(())
    }

    fn take_changes(&mut self, changes: Vec<Change>, cause: Cause, at: &mut Machine) -> Check {
        let moment = Moment { now: self.now(at), wall: at.clock.wall(), step: self.commands };
        // Of a Tick: what comes back by its time comes after what is reclaimed.
        let is_gift =
            |change: &Change| matches!(change, Change::Worker { .. } | Change::Leased { .. });
        let mut passes = cause == Cause::Tick;
        let any = !changes.is_empty();
        for change in changes {
            if passes && is_gift(&change) {
                passes = false;
                self.line.pass(&at.store.current, moment.now);
            }
            note!(at.trace, at.clock.now(), "      {}", Brief(&change));
            check::change::check(&at.store.current, &change, cause, moment)?;
            if let Change::Leased { task, worker, .. } = change {
                self.orders.may_be_given(worker)?;
                self.places.may_be_given(&at.store.current, worker)?;
                self.line.settle(&at.store.current);
                let rows = &at.store.current;
                self.room.may_be_given(moment.now, &self.line, rows, task, worker)?;
            }
            self.starts.follow(&at.store.current, &change)?;
            self.tally(&change, cause, at);
            at.store.note(change.clone(), moment);
            self.line.follow(&at.store.current, &change, moment.now)?;
        }
        if passes {
            self.line.pass(&at.store.current, moment.now);
        }
        self.line.settle(&at.store.current);
        match any {
            true => check::memory::after_command(&self.scheduler, &at.store.current),
            false => Ok(()),
        }
    }

    /// When leases should end: a pause of the hub lengthens all, a heartbeat those that it lists.
    fn expect_of_leases(&mut self, now: Millis, request: &Request, store: &mut Store) {
        let pause = self.last_turn.map_or(0, |last| now - last);
        self.last_turn = Some(now);
        let rows = &mut store.current;
        if pause > PAUSE_MS {
            rows.leases.values_mut().for_each(|lease| lease.expires += pause);
        }
        if let Body::Hasten { names } = &request.body {
            names.iter().for_each(|name| rows.hasten(name));
        }
        let Body::Heartbeat { attempts } = &request.body else {
            return;
        };
        let worker = rows.worker(&request.who);
        for attempt in attempts {
            let Some(task) = rows.find(&attempt.name).map(|row| row.id) else {
                continue;
            };
            if let Some(lease) = rows.leases.get_mut(&task)
                && Some(lease.worker) == worker
                && lease.attempt == attempt.attempt
            {
                lease.expires = now + lease.term_ms;
            }
        }
    }

    pub fn pass_time(&mut self, at: &mut Machine) -> Check {
        self.carry_out(Body::Tick.into(), false, at)
    }
}
