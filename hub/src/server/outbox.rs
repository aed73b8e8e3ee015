//! Who waits for what, and what is said to them. Nothing leaves before the commit that justifies
//! it; a refusal needs none.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dhub_proto::Message;
use dhub_proto::dwork::QueryMsg;
use dhub_proto::wire::{self, reply};

use super::read::Questions;
use super::{Fatal, Server};
use crate::dialect::native::envelope::Envelope;
use crate::dialect::native::error;
use crate::dialect::{dwork, native};
use crate::engine::delivery;
use crate::engine::delivery::Delivery;
use crate::engine::job::EndedJob;
use crate::engine::message::{Answer, Body, Leased, Name, Request, Ticket};
use crate::engine::told::Known;
use crate::engine::turns::Turns;
use crate::net::gate::Denied;
use crate::net::route::{Dialect, Route};
use crate::net::socket::Socket;
use crate::store::{StoreError, unix_ms};

/// Connections over which copies of one parked steal may be answered.
const COPIES_MAX: usize = 4;
/// Spent a turn on replies that are ready, about.
const TELL_TIME: Duration = Duration::from_millis(10);

/// A reply that can leave, and who has yet to get it.
struct Finished {
    routes: Vec<Route>,
    body: Envelope,
}

#[derive(Default)]
pub struct Outbox {
    /// Who gets an answer, the asker and earlier copies of a parked steal. After the answers of a turn:
    /// those that wait for something.
    pub owed: BTreeMap<Ticket, Vec<Route>>,
    delivery: Delivery,
    finished: Turns<Finished>,
    pub questions: Questions,
}

impl Outbox {
    /// The scheduler will answer, in this turn or a later one.
    pub fn owe(&mut self, ticket: Ticket, route: Route) {
        self.owed.insert(ticket, vec![route]);
    }

    /// A reply that leaves after the next commit.
    pub fn say(&mut self, routes: Vec<Route>, body: Envelope) {
        if let Some(route) = routes.first() {
            self.finished.push(route.guest, Finished { routes, body });
        }
    }

    /// Replies are ready that guests have not been sent.
    pub fn has_to_tell_guests(&self) -> bool {
        self.finished.has_guests()
    }

    /// Of a request that the scheduler does not have yet: whether somebody waits for its answer.
    pub fn is_awaited(&mut self, ticket: Ticket, sockets: &mut [Socket]) -> bool {
        let routes = self.owed.get(&ticket);
        let is_awaited =
            routes.is_some_and(|routes| routes.iter().any(|route| route.is_there(sockets)));
        if !is_awaited {
            self.owed.remove(&ticket);
        }
        is_awaited
    }

    /// The copy of a parked request that came last is asked for by its predecessors too; they go on counting.
    fn join(&mut self, mut routes: Vec<Route>, by: Ticket) {
        if let Some(copy) = self.owed.get_mut(&by) {
            routes.retain(|route| copy.iter().all(|other| other.peer != route.peer));
            copy.extend(routes);
            copy.truncate(COPIES_MAX);
        }
    }
}

impl Server {
    /// Everything so far is committed: it may be said now.
    pub(super) fn answer(&mut self) -> Result<(), Fatal> {
        for (ticket, answer) in self.scheduler.take_answers() {
            let Some(routes) = self.outbox.owed.remove(&ticket) else {
                continue;
            };
            match answer {
                Answer::Joined { by } => {
                    let routes = self.still_in(routes)?;
                    self.outbox.join(routes, by);
                }
                // What these tasks are now has to be read.
                Answer::Awaited { finished, unknown, output } => {
                    let routes = self.still_in(routes)?;
                    let job = EndedJob::new(finished, unknown, output);
                    self.jobs.tell_ended(routes, job);
                }
                answer => {
                    let routes = self.still_in(routes)?;
                    self.answer_command(&routes, &answer)?;
                }
            }
        }
        let leases = self.outbox.delivery.undelivered();
        if !leases.is_empty() {
            self.apply(Body::Undelivered { leases })?;
            self.busy = true;
        }
        self.tell_finished()?;
        self.answer_questions()
    }

    /// Carries it out, unless a copy was before; and notes what it is answered, for those that come.
    pub(super) fn apply_once(&mut self, request: Request) -> Result<(), Fatal> {
        let ticket = request.ticket;
        let routes = self.outbox.owed.get(&ticket);
        let Some(tag) = routes.and_then(|routes| routes.first()?.tag.clone()) else {
            return self.apply(request);
        };
        if let Known::Answered(body) = self.told.look_up(&tag) {
            let routes = self.outbox.owed.remove(&ticket).unwrap_or_default();
            self.outbox.say(routes, Envelope::of(&body));
            return Ok(());
        }
        self.apply(request)?;
        let now = self.now();
        // What changed nothing can be asked again; but whoever has left is not known any more.
        let is_kept = |answer: &&Answer| {
            let has_left = matches!(answer, Answer::Exited { .. });
            !answer.is_refusal() && (has_left || self.scheduler.has_changes())
        };
        if let Some(answer) = self.scheduler.answer_to(ticket).filter(is_kept) {
            let progress = || (wire::Counts::default(), 0.0);
            // It has no leases.
            let details = |_: &Leased| Ok::<_, StoreError>(None);
            if let Some(body) = native::encode(answer, progress, details)? {
                self.told.note_reply(now, &tag, Envelope::new(body).reply());
            }
        }
        Ok(())
    }

    /// Some of those whose replies are ready; the rest in the next turns.
    fn tell_finished(&mut self) -> Result<(), Fatal> {
        let begin = Instant::now();
        while begin.elapsed() < TELL_TIME
            && let Some((guest, finished)) = self.outbox.finished.pop(false)
        {
            let now = Instant::now();
            let Finished { routes, mut body } = finished;
            let mut routes = self.still_in(routes)?;
            while begin.elapsed() < TELL_TIME
                && let Some(route) = routes.pop()
            {
                route.send_body(&self.sockets, &mut body)?;
            }
            if !routes.is_empty() {
                self.outbox.finished.insert(guest, Finished { routes, body }, 0);
            }
            if let Some(guest) = guest {
                self.share.spent_by(guest, now, Instant::now());
            }
        }
        self.busy |= !self.outbox.finished.is_empty();
        Ok(())
    }

    /// Without those that are gone, or whose key was taken back while they waited.
    fn still_in(&mut self, routes: Vec<Route>) -> Result<Vec<Route>, Fatal> {
        let check = |route: Route| {
            if !route.is_there(&mut self.sockets) {
                return None;
            }
            let security = self.sockets[route.socket].security;
            match self.gate.grant(security, route.user).err() {
                None => Some(Ok(route)),
                Some(denied) => self.deny(&route, &denied).err().map(Err),
            }
        };
        routes.into_iter().filter_map(check).collect()
    }

    /// To all who asked; it has arrived if one of them is there.
    fn answer_command(&mut self, routes: &[Route], answer: &Answer) -> Result<(), Fatal> {
        let mut damaged = Vec::new();
        let sent = match routes {
            [] => false,
            [route, ..] if route.dialect == Dialect::Dwork => {
                match dwork::encode(answer, &self.host, unix_ms() * 1000) {
                    Some(reply) => route.send(&self.sockets, &reply)?,
                    None => return Ok(()),
                }
            }
            routes => {
                let progress = || {
                    let counts =
                        native::info::counts(self.scheduler.counts(), self.scheduler.held());
                    let rate = self.monitor.rate(self.now(), counts.done);
                    (counts, rate)
                };
                let details = |lease: &Leased| {
                    let details = self.store.details(lease.id)?;
                    if details.is_none() {
                        damaged.push(lease.name.clone());
                    }
                    Ok::<_, StoreError>(details)
                };
                let Some(body) = native::encode(answer, progress, details)? else {
                    return Ok(());
                };
                let (mut body, mut sent) = (Envelope::new(body), false);
                for route in routes {
                    sent |= route.send_body(&self.sockets, &mut body)?;
                }
                sent
            }
        };
        if let Some(handed) = delivery::handed(answer) {
            self.outbox.delivery.note(handed, sent);
        }
        if !damaged.is_empty() {
            self.fail_damaged(damaged)?;
        }
        Ok(())
    }

    /// These are not given out; that they failed is committed in the next turn.
    fn fail_damaged(&mut self, names: Vec<Name>) -> Result<(), Fatal> {
        for name in &names {
            tracing::warn!("task '{name}' fails: its definition is damaged");
        }
        self.busy = true;
        self.apply(Body::Damaged { names })
    }

    pub(super) fn deny(&mut self, route: &Route, denied: &Denied) -> Result<(), Fatal> {
        self.gate.requests_denied += 1;
        if let (Denied::Revoked { .. }, Some(user)) = (denied, route.user) {
            self.leaving.add(user, self.now());
        }
        self.refuse(route, error(wire::ErrorCode::ErrorDenied, denied.to_string()))
    }

    pub(super) fn refuse(&self, route: &Route, why: wire::Error) -> Result<(), Fatal> {
        match route.dialect {
            Dialect::Dwork => self.refuse_dwork(route),
            Dialect::Native { .. } => self.send(route, reply::Body::Error(why)).map(drop),
        }
    }

    /// dwork has no words for why.
    pub(super) fn refuse_dwork(&self, route: &Route) -> Result<(), Fatal> {
        self.send_dwork(route, &dwork::error())
    }

    /// False if it reached nobody.
    pub(super) fn send(&self, route: &Route, body: reply::Body) -> Result<bool, Fatal> {
        Ok(route.send_body(&self.sockets, &mut Envelope::new(body))?)
    }

    pub(super) fn send_dwork(&self, route: &Route, reply: &QueryMsg) -> Result<(), Fatal> {
        route.send(&self.sockets, &reply.encode_to_vec())?;
        Ok(())
    }
}
