//! What has arrived: taken in, checked, and handed on by its dialect.

use std::time::{Duration, Instant};

use dhub_proto::Message;
use dhub_proto::verb::{Verb, Way};
use dhub_proto::wire::{self, reply};

use super::read::Read;
use super::{Fatal, Server};
use crate::dialect::frame::{Shape, is_bounded, request_id};
use crate::dialect::native::envelope::Envelope;
use crate::dialect::native::{Asked, error};
use crate::dialect::{dwork, native};
use crate::engine::message::{Body, Load, Request, Ticket, User, Who};
use crate::engine::quota::{Amount, Claim};
use crate::engine::told::Known;
use crate::net::gate::Denied;
use crate::net::route::{Dialect, Route};
use crate::net::security::Security;
use crate::net::socket::Received;

/// A guest's request with more names than this waits its turn.
const SOON_NAMES_MAX: usize = 4_096;
/// What one of them takes while it waits, about.
const NAME_BYTES: usize = 128;
/// Messages taken in before a commit.
const TURN_MESSAGES_MAX: usize = 1_000;
/// Bytes taken in before a commit: large requests should not make all others wait.
const TURN_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Time for that: one message can name thousands of tasks that have to be looked up.
const TURN_TIME: Duration = Duration::from_millis(50);

/// What a request with so many names takes while it waits.
fn long(names: usize) -> Amount {
    Amount { long: 1, long_bytes: names * NAME_BYTES, ..Amount::default() }
}

impl Server {
    /// Takes in what has arrived, from all sockets in turn.
    pub(super) fn receive(&mut self) -> Result<(), Fatal> {
        self.gate.serve(&self.sockets)?;
        self.end_rest();
        let (mut messages, mut bytes) = (0, 0);
        let mut quiet = false;
        let begin = Instant::now();
        while !quiet
            && messages < TURN_MESSAGES_MAX
            && bytes < TURN_BYTES_MAX
            && begin.elapsed() < TURN_TIME
        {
            quiet = true;
            for i in 0..self.sockets.len() {
                if let Some(report) = self.sockets[i].pull.receive(false)? {
                    quiet = false;
                    messages += 1;
                    bytes += report.bytes;
                    self.take_report(i, &report)?;
                }
                if let Some(request) = self.sockets[i].router.receive(true)? {
                    quiet = false;
                    messages += 1;
                    bytes += request.bytes;
                    self.take_request(i, request)?;
                }
            }
        }
        self.busy = !quiet;
        Ok(())
    }

    /// Identity, empty part of a REQ, request. Whatever else comes is refused, not fatal.
    fn take_request(&mut self, socket: usize, received: Received) -> Result<(), Fatal> {
        let Received { peer, user, frame, has_more, .. } = received;
        let security = self.sockets[socket].security;
        let is_owner = self.gate.key(security, user).is_empty();
        let guest = user.filter(|_| !is_owner);
        let (dialect, tag, claim) = (Dialect::Dwork, None, None);
        let route = Route { socket, peer, user, guest, dialect, tag, claim };
        let begin = Instant::now();
        self.share.begin();
        self.take_frame(route, frame, has_more)?;
        if let Some(guest) = guest {
            let now = Instant::now();
            self.share.took(guest, begin, now);
            self.begin_rest(now);
        }
        Ok(())
    }

    fn take_frame(
        &mut self,
        mut route: Route,
        frame: Option<zmq::Message>,
        has_more: bool,
    ) -> Result<(), Fatal> {
        let security = self.sockets[route.socket].security;
        if let Err(denied) = self.gate.grant(security, route.user) {
            // Nothing else is read of what it sent.
            if let Some(frame) = frame.filter(|frame| !dwork::is_dwork(frame)) {
                route.dialect = Dialect::Native { id: request_id(&frame) };
            }
            return self.deny(&route, &denied);
        }
        let Some(frame) = frame.as_deref() else {
            return self.refuse_dwork(&route);
        };
        match (dwork::is_dwork(frame), has_more) {
            (true, true) => self.refuse_dwork(&route),
            (true, false) => self.take_dwork(route, frame),
            (false, true) => {
                route.dialect = Dialect::Native { id: 0 };
                let why = "a request has one part";
                self.refuse(&route, error(wire::ErrorCode::ErrorInvalid, why))
            }
            (false, false) => self.take_native(route, frame),
        }
    }

    fn take_dwork(&mut self, route: Route, frame: &[u8]) -> Result<(), Fatal> {
        let frame = Some(frame).filter(|frame| is_bounded(frame, Shape::Dwork));
        let Some(asked) = frame.and_then(dwork::decode) else {
            return self.refuse_dwork(&route);
        };
        if let Err(denied) = self.check(&route, asked.verb()) {
            return self.deny(&route, &denied);
        }
        match asked {
            dwork::Asked::Request(Request { body: Body::Create { .. }, .. })
                if self.disk.is_full() =>
            {
                self.refuse_dwork(&route)?;
            }
            dwork::Asked::Request(request) => self.take_asked(route, request)?,
            dwork::Asked::Status => self.read(route, Read::DworkStatus)?,
        }
        Ok(())
    }

    fn take_native(&mut self, mut route: Route, frame: &[u8]) -> Result<(), Fatal> {
        if !is_bounded(frame, Shape::Native) {
            route.dialect = Dialect::Native { id: request_id(frame) };
            let why = "the request has more tasks, names or dependencies than one may have";
            return self.refuse(&route, error(wire::ErrorCode::ErrorLimit, why));
        }
        let Ok(request) = wire::Request::decode(frame) else {
            return self.refuse_dwork(&route);
        };
        route.dialect = Dialect::Native { id: request.id };
        if let Some(verb) = request.body.as_ref().map(Verb::of) {
            if let Err(denied) = self.check(&route, verb) {
                return self.deny(&route, &denied);
            }
            if verb.way() == Way::Ipc && !self.sockets[route.socket].is_ipc {
                let why = format!(
                    "{} can be asked for over ipc only, on the hub's machine: there leave out -s, or use --access FILE alone",
                    verb.name().to_lowercase()
                );
                return self.refuse(&route, error(wire::ErrorCode::ErrorInvalid, why));
            }
        }
        route.tag = match native::tag(self.key(&route), &request, frame) {
            Ok(tag) => tag.map(Box::new),
            Err(why) => return self.refuse(&route, why),
        };
        let known = route.tag.as_ref().map_or(Known::Nothing, |tag| self.told.look_up(tag));
        if known == Known::Another {
            let why = "the token of this request was given to another one";
            return self.refuse(&route, error(wire::ErrorCode::ErrorInvalid, why));
        }
        let asked = match native::decode(request.body) {
            Ok(asked) => asked,
            Err(why) => return self.refuse(&route, why),
        };
        match asked {
            // But for a copy of one that was carried out.
            Asked::Request(Request { body: Body::Create { .. }, .. })
                if self.disk.is_full() && known == Known::Nothing =>
            {
                self.refuse(&route, self.disk.refusal())?;
            }
            Asked::Request(request) => self.take_asked(route, request)?,
            Asked::Heartbeat(request, load) => self.take_heartbeat(route, request, load)?,
            Asked::Hello => {
                let body = reply::Body::Welcome(self.welcome(&route));
                self.send(&route, body)?;
            }
            Asked::Status => self.read(route, Read::Status)?,
            Asked::Show(name) => self.read(route, Read::Show(name))?,
            Asked::Workers { limit, after } => self.read(route, Read::Workers { limit, after })?,
            Asked::Long(asked) => {
                let ticket = self.next_ticket();
                self.start_job(ticket, route, asked)?;
            }
            Asked::Reload => {
                let body = match self.gate.reload() {
                    Ok(keys) => {
                        self.take_back(&keys.revoked)?;
                        reply::Body::Reloaded(wire::Reloaded { keys: keys.valid as u32 })
                    }
                    Err(why) => {
                        reply::Body::Error(error(wire::ErrorCode::ErrorInvalid, why.to_string()))
                    }
                };
                self.outbox.say(vec![route], Envelope::new(body));
            }
            Asked::Shutdown => {
                self.stopping = true;
                let body = reply::Body::ShuttingDown(wire::ShuttingDown {});
                self.outbox.say(vec![route], Envelope::new(body));
            }
        }
        Ok(())
    }

    /// One that may wait in the hub counts until it is answered.
    fn take_asked(&mut self, mut route: Route, request: Request) -> Result<(), Fatal> {
        let request = self.stamped(&route, request);
        let names = match &request.body {
            Body::Await { names, .. } => names.len(),
            Body::Steal(steal) if steal.wait_ms > 0 => 0,
            Body::Wait { .. } => 0,
            body if route.guest.is_some() && self.takes_long(body) => {
                let names = body.names().count();
                return match self.claim(&mut route, long(names)) {
                    Ok(()) => {
                        self.put_off(route, request, None);
                        Ok(())
                    }
                    Err(why) => self.refuse(&route, why),
                };
            }
            _ => {
                self.share.note_work(Instant::now());
                let is_told = route.tag.is_some();
                self.outbox.owe(request.ticket, route);
                return match is_told {
                    true => self.apply_once(request),
                    false => self.apply(request),
                };
            }
        };
        if let Err(why) = self.claim(&mut route, Amount { parked: 1, names, ..Amount::default() }) {
            return self.refuse(&route, why);
        }
        if route.guest.is_some() && matches!(request.body, Body::Await { .. }) {
            self.put_off(route, request, None);
            return Ok(());
        }
        self.share.note_work(Instant::now());
        self.outbox.owe(request.ticket, route);
        self.apply(request)
    }

    /// Each name may have to be looked up, and what waits for what be walked through: in the turn of its key.
    fn takes_long(&self, body: &Body) -> bool {
        body.names().nth(SOON_NAMES_MAX).is_some() || self.scheduler.walks_far(body)
    }

    /// What this takes of what the key of the asker may have; nothing if that is the owner's.
    pub(super) fn claim(&mut self, route: &mut Route, amount: Amount) -> Result<(), wire::Error> {
        if let Some(user) = route.guest {
            let security = self.sockets[route.socket].security;
            route.claim = self.claim_of(security, user, amount)?;
        }
        Ok(())
    }

    fn claim_of(
        &mut self,
        security: Security,
        user: User,
        amount: Amount,
    ) -> Result<Option<Claim>, wire::Error> {
        let guest = self.gate.guest(security, user);
        let guest =
            guest.map_err(|denied| error(wire::ErrorCode::ErrorDenied, denied.to_string()))?;
        let claim = guest.map(|guest| self.quotas.claim(&guest, amount)).transpose();
        claim.map_err(|why| error(wire::ErrorCode::ErrorBusy, why))
    }

    /// Reports have no reply: what cannot be read is dropped.
    fn take_report(&mut self, socket: usize, received: &Received) -> Result<(), Fatal> {
        let security = self.sockets[socket].security;
        if let Err(denied) = self.gate.check(security, received.user, Verb::Heartbeat.role()) {
            self.gate.requests_denied += 1;
            tracing::debug!("a report was dropped: {denied}");
            return Ok(());
        }
        let frame = received.frame.as_deref().filter(|_| !received.has_more);
        let bounded = frame.filter(|frame| is_bounded(frame, Shape::Native));
        let report = bounded.map(wire::Report::decode);
        let heartbeat = match report {
            Some(Ok(wire::Report { body: Some(wire::report::Body::Heartbeat(it)) })) => it,
            _ => {
                tracing::debug!("a report that cannot be read was dropped");
                return Ok(());
            }
        };
        match native::decode_heartbeat(heartbeat) {
            Ok((mut request, load)) => {
                let key = self.gate.key(security, received.user);
                let guest = received.user.filter(|_| !key.is_empty());
                request.who.key = key.into();
                let names = request.body.attempts();
                match guest.filter(|_| names > SOON_NAMES_MAX) {
                    None => self.apply_heartbeat(request, load)?,
                    Some(user) => match self.claim_of(security, user, long(names)) {
                        Ok(claim) => self.put_off_report(user, claim, request, load),
                        Err(why) => tracing::debug!("a heartbeat was dropped: {}", why.message),
                    },
                }
            }
            Err(why) => tracing::debug!("a heartbeat was dropped: {}", why.message),
        }
        Ok(())
    }

    /// One with thousands of names waits its turn, as any other request.
    fn take_heartbeat(
        &mut self,
        mut route: Route,
        request: Request,
        load: Load,
    ) -> Result<(), Fatal> {
        let request = self.stamped(&route, request);
        let names = request.body.attempts();
        if route.guest.is_none() || names <= SOON_NAMES_MAX {
            self.outbox.owe(request.ticket, route);
            return self.apply_heartbeat(request, load);
        }
        match self.claim(&mut route, long(names)) {
            Ok(()) => {
                self.put_off(route, request, Some(load));
                Ok(())
            }
            Err(why) => self.refuse(&route, why),
        }
    }

    pub(super) fn apply_heartbeat(&mut self, request: Request, load: Load) -> Result<(), Fatal> {
        let who = request.who.clone();
        self.share.excuse();
        self.apply(request)?;
        if let Some(id) = self.scheduler.worker_id(&who) {
            self.monitor.note_load(id, load, &self.scheduler);
        }
        Ok(())
    }

    /// Who asks is known by the key, and the answer finds its way by the ticket.
    fn stamped(&mut self, route: &Route, request: Request) -> Request {
        let who = Who { key: self.key(route).into(), ..request.who };
        Request { ticket: self.next_ticket(), who, ..request }
    }

    fn key(&self, route: &Route) -> &str {
        self.gate.key(self.sockets[route.socket].security, route.user)
    }

    /// May that be asked by who asks?
    fn check(&self, route: &Route, verb: Verb) -> Result<(), Denied> {
        self.gate.check(self.sockets[route.socket].security, route.user, verb.role())
    }

    fn next_ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        self.last_ticket
    }
}
