//! The way to the hub: requests over DEALER, reports over PUSH.
//!
//! Every request may be sent twice, so one that gets no answer in time is sent again, the same
//! bytes in the same order: over a new connection when the old one is silent (ZeroMQ guide, "Lazy
//! Pirate"), and over the old one when libzmq tells that it has just come back. An answer counts
//! once. Nothing here blocks.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dhub_proto::client::{self, Denial};
use dhub_proto::exit::Exit;
use dhub_proto::find::Target;
use dhub_proto::parts::uninterrupted;
use dhub_proto::watch::{Event, Watched};
use dhub_proto::{Message, endpoint, parts, wire};
use zmq::{Context, PollItem};

use crate::pool::{Ask, Asked};

/// How long an answer may take, beyond the time that the request is parked.
pub const PATIENCE: Duration = Duration::from_millis(2500);
/// libzmq asks for a sign of life of the other side, so that a dead machine shows.
const PING: Duration = Duration::from_secs(10);
/// Of the term of a lease: a dead way for reports has to show, by two pings, before the next
/// heartbeat goes out, at a third of it. That one then goes as a request.
const PINGS_PER_TERM: u32 = 8;
/// Requests that were replaced whose answers count if they still come.
const REPLACED_MAX: usize = 100;
const CONNECT_TIMEOUT_MS: i32 = 5_000;
/// How long an end may wait for what has not left yet.
const FLUSH_MS: i32 = 1_000;
/// People are told about a silence that lasts this long, and has been watched for PATIENCE.
const SILENCE_TOLD: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("cannot talk to {endpoint}: {source}")]
    Socket { endpoint: String, source: zmq::Error },
    #[error(transparent)]
    Denied(Denial),
}

impl LinkError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Socket { .. } => Exit::System,
            Self::Denied(_) => Exit::Denied,
        }
    }
}

struct Request {
    asked: Asked,
    frame: Vec<u8>,
    sent: Instant,
    parked: Duration,
}

/// An answer to something that was asked.
pub struct Answer {
    pub asked: Asked,
    pub body: wire::reply::Body,
}

/// A socket together with what libzmq tells about its connection.
struct Connection {
    watched: Watched,
    /// None: not yet, Some(false): not any more.
    up: Option<bool>,
    /// What the last handshake that failed said; it may pass when the hub is back.
    stranger: Option<Event>,
}

/// Since when the hub does not answer.
#[derive(Clone, Copy, Debug)]
struct Silence {
    since: Instant,
    noticed: Instant,
}

pub struct Link {
    context: Context,
    target: Target,
    requests: Connection,
    /// Where reports go, and how often to ask for a sign of life.
    report_to: Option<(Target, Duration)>,
    /// Only while requests get through: a connection that helps nobody would take the place of another.
    reports: Option<Connection>,
    /// Left to others until then.
    away_until: Option<Instant>,
    connections: u64,
    last_id: u64,
    /// By id: in the order in which they were sent.
    open: BTreeMap<u64, Request>,
    /// Not expected to be answered any more; if they are, it counts.
    replaced: BTreeMap<u64, Asked>,
    heard: Instant,
    silence: Option<Silence>,
}

impl Link {
    /// Connects lazily: a hub that is down shows as silence. `term` is that of the leases.
    pub fn new(
        target: Target,
        report: &str,
        term: Duration,
        now: Instant,
    ) -> Result<Self, LinkError> {
        let context = Context::new();
        let requests = connect(&context, zmq::DEALER, &target, PING, 0)?;
        let report_to = endpoint::report_endpoint(&target.endpoint, report).map(|endpoint| {
            // At least 1 ms: 0 would mean never.
            let ping = (term / PINGS_PER_TERM).clamp(Duration::from_millis(1), PING);
            (Target { endpoint, ..target.clone() }, ping)
        });
        Ok(Self {
            context,
            target,
            requests,
            report_to,
            reports: None,
            away_until: None,
            connections: 0,
            last_id: 0,
            open: BTreeMap::new(),
            replaced: BTreeMap::new(),
            heard: now,
            silence: None,
        })
    }

    /// Others wait for a connection, and nothing is held here: leaves ours to them. What is asked
    /// meanwhile is sent at the return.
    pub fn go_away(&mut self, until: Instant) -> Result<(), LinkError> {
        self.reports = None;
        self.connections += 1;
        self.requests =
            unconnected(&self.context, zmq::DEALER, &self.target, PING, self.connections)?;
        self.away_until = Some(until);
        Ok(())
    }

    /// At the time that was said, or sooner if there is something to tell.
    pub fn come_back(&mut self, now: Instant) -> Result<(), LinkError> {
        if self.away_until.take().is_some() {
            let target = self.target.clone();
            self.requests = self.connect(zmq::DEALER, &target, PING)?;
            self.heard = now;
            self.resend(now);
        }
        Ok(())
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Sends now, and again until there is an answer.
    pub fn ask(&mut self, ask: Ask, now: Instant) {
        if ask.replaces {
            self.replace_parked();
        }
        self.last_id += 1;
        let id = self.last_id;
        let frame =
            wire::Request { id, body: Some(ask.body), ..wire::Request::default() }.encode_to_vec();
        tracing::debug!(id, asked = ?ask.asked, bytes = frame.len(), "ask");
        self.requests.send_request(&frame);
        self.open.insert(id, Request { asked: ask.asked, frame, sent: now, parked: ask.parked });
    }

    /// Before the end: gives what was asked last a moment to leave.
    pub fn flush(&mut self) {
        if let Err(error) = self.requests.watched.socket().set_linger(FLUSH_MS) {
            tracing::debug!(%error, "no time to send the rest");
        }
    }

    pub fn is_asked(&self, asked: Asked) -> bool {
        self.open.values().any(|request| request.asked == asked)
    }

    /// The next answer that has come.
    pub fn answer(&mut self, now: Instant) -> Result<Option<Answer>, LinkError> {
        loop {
            let parts = match parts::receive(self.requests.watched.socket()) {
                Ok(parts) => parts,
                Err(zmq::Error::EAGAIN) => return Ok(None),
                Err(source) => {
                    let endpoint = self.target.endpoint.clone();
                    return Err(LinkError::Socket { endpoint, source });
                }
            };
            let Some(reply) =
                parts.last().and_then(|part| wire::Reply::decode(part.as_slice()).ok())
            else {
                tracing::warn!("something came that is no reply");
                continue;
            };
            self.heard = now;
            self.silence = None;
            let asked = match self.open.remove(&reply.id) {
                Some(request) => Some(request.asked),
                None => self.replaced.remove(&reply.id),
            };
            tracing::debug!(id = reply.id, ?asked, "answer");
            // No id of ours: answered before, to a repeat.
            if let (Some(asked), Some(body)) = (asked, reply.body) {
                return Ok(Some(Answer { asked, body }));
            }
        }
    }

    /// Sends again what is unanswered for too long, or was lost with a connection.
    pub fn tick(&mut self, now: Instant) -> Result<(), LinkError> {
        match self.away_until {
            Some(until) if now < until => return Ok(()),
            Some(_) => return self.come_back(now),
            None => {}
        }
        match self.requests.news() {
            Some(News::Up { again }) => {
                self.open_reports()?;
                if again {
                    self.resend(now);
                }
            }
            Some(News::Down) => {
                self.reports = None;
                self.silent(now, now);
            }
            // Whatever else goes wrong at a handshake may pass when the hub is back.
            Some(News::Denied) => {
                let denial = client::denial(&self.target, Event::Denied);
                return denial.map_or(Ok(()), |denial| Err(LinkError::Denied(denial)));
            }
            _ => {}
        }
        if self.next_timeout().is_some_and(|at| at <= now) {
            self.silent(self.heard, now);
            let (target, stranger) = (self.target.clone(), self.requests.stranger);
            self.reports = None;
            self.requests = self.connect(zmq::DEALER, &target, PING)?;
            self.requests.stranger = stranger;
            self.resend(now);
        }
        Ok(())
    }

    /// When `tick` has something to do.
    pub fn next_timeout(&self) -> Option<Instant> {
        if self.away_until.is_some() {
            return self.away_until;
        }
        self.open.values().map(|request| request.sent + request.parked + PATIENCE).min()
    }

    /// Whether the hub is silent at all; a question that it answers at once will tell more.
    pub fn is_silent(&self) -> bool {
        self.silence.is_some()
    }

    pub fn silent_since(&self) -> Option<Instant> {
        self.silence.map(|silence| silence.since)
    }

    /// Since when the hub has been silent, once that is long enough to tell people.
    pub fn long_silence(&self, now: Instant) -> Option<Instant> {
        let silence = self.silence?;
        (self.silence_told_at()? <= now).then_some(silence.since)
    }

    /// Who answers in place of a silent hub, if it is not the hub that is meant.
    pub fn stranger(&self) -> Option<Denial> {
        client::denial(&self.target, self.requests.stranger?)
    }

    pub fn silence_told_at(&self) -> Option<Instant> {
        let Silence { since, noticed } = self.silence?;
        Some((since + SILENCE_TOLD).max(noticed + PATIENCE))
    }

    /// Sends a report, if there is a connection for it; it may still be lost.
    pub fn report(&mut self, report: &wire::Report) -> bool {
        let Some(reports) = &mut self.reports else { return false };
        reports.news();
        reports.up == Some(true)
            && parts::send(reports.watched.socket(), &[&report.encode_to_vec()]).is_ok()
    }

    /// What to poll.
    pub fn poll_items(&self) -> [PollItem<'_>; 2] {
        self.requests.watched.poll_items()
    }

    /// The hub drops the parked request for a new one, and so do we.
    fn replace_parked(&mut self) {
        let parked = |request: &Request| matches!(request.asked, Asked::Steal | Asked::Listen);
        // An answer may be on the way, with leases that nothing else tells of: to each of them.
        self.replaced.extend(
            self.open
                .extract_if(.., |_, request| parked(request))
                .map(|(id, request)| (id, request.asked)),
        );
        while self.replaced.len() > REPLACED_MAX {
            self.replaced.pop_first();
        }
    }

    fn silent(&mut self, since: Instant, now: Instant) {
        self.silence.get_or_insert(Silence { since, noticed: now });
    }

    fn resend(&mut self, now: Instant) {
        tracing::info!(requests = self.open.len(), "sending again");
        for request in self.open.values_mut() {
            request.sent = now;
            self.requests.send_request(&request.frame);
        }
    }

    fn open_reports(&mut self) -> Result<(), LinkError> {
        if let (None, Some((target, ping))) = (&self.reports, self.report_to.clone()) {
            self.reports = Some(self.connect(zmq::PUSH, &target, ping)?);
        }
        Ok(())
    }

    fn connect(
        &mut self,
        kind: zmq::SocketType,
        target: &Target,
        ping: Duration,
    ) -> Result<Connection, LinkError> {
        self.connections += 1;
        connect(&self.context, kind, target, ping, self.connections)
    }
}

enum News {
    Up { again: bool },
    Down,
    Denied,
}

impl Connection {
    /// An empty part first, as REQ does. What does not fit into the queue is sent again later.
    fn send_request(&mut self, frame: &[u8]) {
        if let Err(error) = parts::send(self.watched.socket(), &[&[], frame]) {
            tracing::debug!(%error, "not sent");
        }
    }

    /// The last thing that happened to the connection since this was asked.
    fn news(&mut self) -> Option<News> {
        let mut news = None;
        while let Some(event) = self.watched.next() {
            match event {
                Event::Up => {
                    news = Some(News::Up { again: self.up.is_some() });
                    self.up = Some(true);
                    self.stranger = None;
                }
                Event::Down => {
                    // After a handshake that failed, this says no more than that.
                    if !matches!(news, Some(News::Denied)) {
                        news = Some(News::Down);
                    }
                    self.up = Some(false);
                }
                Event::Denied => news = Some(News::Denied),
                Event::Mismatch | Event::BrokenOff => self.stranger = Some(event),
            }
        }
        news
    }
}

fn connect(
    context: &Context,
    kind: zmq::SocketType,
    target: &Target,
    ping: Duration,
    number: u64,
) -> Result<Connection, LinkError> {
    let connection = unconnected(context, kind, target, ping, number)?;
    uninterrupted(|| connection.watched.socket().connect(&target.endpoint))
        .map_err(|source| LinkError::Socket { endpoint: target.endpoint.clone(), source })?;
    Ok(connection)
}

fn unconnected(
    context: &Context,
    kind: zmq::SocketType,
    target: &Target,
    ping: Duration,
    number: u64,
) -> Result<Connection, LinkError> {
    let ping_ms = ping.as_millis() as i32;
    let open = || {
        let socket = client::open(context, target, kind)?;
        socket.set_connect_timeout(CONNECT_TIMEOUT_MS)?;
        socket.set_heartbeat_ivl(ping_ms)?;
        socket.set_heartbeat_timeout(ping_ms)?;
        if kind == zmq::PUSH {
            // Of reports that could not be sent only the newest is of use.
            socket.set_conflate(true)?;
        }
        let watched = Watched::new(context, socket, number)?;
        Ok(Connection { watched, up: None, stranger: None })
    };
    open().map_err(|source| LinkError::Socket { endpoint: target.endpoint.clone(), source })
}

#[cfg(test)]
mod tests;
