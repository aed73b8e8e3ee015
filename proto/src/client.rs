//! The blocking client: one request, one reply, on a fresh socket when the hub was silent.
//!
//! Every request may be sent twice: the hub answers a repeat as it answered the original. So a
//! silent hub is asked again over a new connection (ZeroMQ guide, "Lazy Pirate") until the
//! time-out is over.

use std::time::{Duration, Instant};

use prost::Message;

use crate::door::{Door, Found};
use crate::endpoint;
use crate::find::Target;
use crate::limits::MESSAGE_BYTES_MAX;
use crate::parts::uninterrupted;
use crate::span::exact;
use crate::verb::Verb;
use crate::watch::{Event, Watched};
use crate::wire::{self, reply, request};

/// How long one connection may stay silent before the request goes out again over a new one.
const TRY: Duration = Duration::from_millis(2500);

/// How long the sign of life of a hub may take that is busy with a long request.
const PING: Duration = Duration::from_millis(1000);
/// How long a hub that lives may take for one request.
const LONGEST: Duration = Duration::from_secs(600);

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no hub answers at {endpoint} (waited {})", exact(*.waited))]
    NoHub { endpoint: String, waited: Duration },
    #[error(
        "the hub at {endpoint} has no room for another connection (waited {}); its log says more",
        exact(*.waited)
    )]
    Full { endpoint: String, waited: Duration },
    #[error(
        "{endpoint} is unreachable (waited {}): {}",
        exact(*.waited),
        in_its_place(.found)
    )]
    Unreachable { endpoint: String, waited: Duration, found: Found },
    #[error("{0}")]
    Denied(Denial),
    #[error("{}", .0.message)]
    Refused(wire::Error),
    #[error(
        "the hub at {endpoint} answered something else than was asked; is it a dhub of version {}?",
        crate::VERSION
    )]
    Unexpected { endpoint: String },
    #[error("the request has {bytes} bytes; a message has at most {MESSAGE_BYTES_MAX}")]
    TooLarge { bytes: usize },
    #[error("cannot talk to {endpoint}: {source}")]
    Socket { endpoint: String, source: zmq::Error },
}

impl ClientError {
    /// Nobody answered who showed that it is the hub, whoever else may be at its place.
    pub fn is_silence(&self) -> bool {
        use Denial::{Plain, Stranger};
        match self {
            Self::Denied(denial) => matches!(denial, Plain { .. } | Stranger { .. }),
            other => matches!(other, Self::NoHub { .. } | Self::Unreachable { .. }),
        }
    }
}

/// Of what is there in place of a hub.
fn in_its_place(found: &Found) -> String {
    match found {
        Found::Says(words) => format!("what is there is no hub and says '{words}'"),
        _ => {
            "something there takes connections and closes them at once, as a tunnel to nowhere does"
                .into()
        }
    }
}

/// Somebody is there and does not let us in.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
pub enum Denial {
    #[error(
        "the hub at {endpoint} does not let the key of {access} in: it was taken back, or is of another hub\n  another one: dhub access new, by the hub's user"
    )]
    Key { endpoint: String, access: String },
    #[error(
        "the hub at {endpoint} lets only known keys in, and none was given\n  give one with --access FILE or DHUB_ACCESS; dhub access new makes it"
    )]
    NoKey { endpoint: String },
    #[error(
        "what answers at {endpoint} is another hub than {access} is for, or none: it is not encrypted\n  to a hub with --insecure: -s ENDPOINT --insecure, without --access and DHUB_ACCESS"
    )]
    Plain { endpoint: String, access: String },
    #[error(
        "what answers at {endpoint} is another hub than {access} is for, or none, or a hub that has no room for connections (its log says so), or one of a version before this: it breaks the encrypted handshake off"
    )]
    Stranger { endpoint: String, access: String },
}

/// What an event of a connection says about being let in.
pub fn denial(target: &Target, event: Event) -> Option<Denial> {
    let endpoint = target.endpoint.clone();
    let access =
        target.access.as_ref().map_or("the access file".into(), |it| it.display().to_string());
    match (event, &target.keys) {
        (Event::Denied, _) => Some(Denial::Key { endpoint, access }),
        (Event::Mismatch, None) => Some(Denial::NoKey { endpoint }),
        (Event::Mismatch, Some(_)) => Some(Denial::Plain { endpoint, access }),
        (Event::BrokenOff, Some(_)) => Some(Denial::Stranger { endpoint, access }),
        (Event::BrokenOff, None) | (Event::Up | Event::Down, _) => None,
    }
}

impl Denial {
    /// An unknown key stays unknown, and plain does not become encrypted; but where the hub was
    /// reached before, it may come back to its place. Whether the one who broke off is another hub,
    /// or ours that has no room or was stopped just then, time will tell.
    pub fn is_final(&self, was_reached: bool) -> bool {
        match self {
            Denial::Stranger { .. } => false,
            Denial::Plain { .. } => !was_reached,
            Denial::Key { .. } | Denial::NoKey { .. } => true,
        }
    }
}

/// A connection to one hub. Not for several threads.
pub struct Client {
    context: zmq::Context,
    target: Target,
    timeout: Duration,
    socket: Option<Watched>,
    connections: u64,
    last_id: u64,
    /// What the last connections that came to nothing told.
    denial: Option<Denial>,
    was_reached: bool,
    door: Door,
}

impl Client {
    /// Connects lazily: a hub that is down shows at the first request.
    pub fn new(target: Target, timeout: Duration) -> Self {
        let context = zmq::Context::new();
        let (socket, connections, last_id, denial) = (None, 0, 0, None);
        let (was_reached, door) = (false, Door::default());
        Self { context, target, timeout, socket, connections, last_id, denial, was_reached, door }
    }

    pub fn endpoint(&self) -> &str {
        &self.target.endpoint
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    /// A further connection for several requests at a time; each begins with an empty part.
    pub fn dealer(&self) -> Result<zmq::Socket, ClientError> {
        let open = || {
            let socket = open(&self.context, &self.target, zmq::DEALER)?;
            uninterrupted(|| socket.connect(&self.target.endpoint))?;
            Ok(socket)
        };
        open().map_err(|source| self.broken(source))
    }

    fn broken(&self, source: zmq::Error) -> ClientError {
        ClientError::Socket { endpoint: self.target.endpoint.clone(), source }
    }

    /// Asks until there is an answer or the time is over. `parked` is how long the hub may keep
    /// the request by its own `wait_ms`; it does not count as silence.
    pub fn request(
        &mut self,
        body: request::Body,
        parked: Duration,
    ) -> Result<reply::Body, ClientError> {
        self.last_id += 1;
        let id = self.last_id;
        let token = match Verb::of(&body).takes_token() {
            true => token(),
            false => Vec::new(),
        };
        let frame = wire::Request { id, token, body: Some(body) }.encode_to_vec();
        if frame.len() > MESSAGE_BYTES_MAX {
            return Err(ClientError::TooLarge { bytes: frame.len() });
        }
        let begin = Instant::now();
        let mut deadline = begin + self.timeout + parked;
        let mut found = Found::Nothing;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.gives_up(found, self.timeout + parked));
            }
            match self.one_try(&frame, id, left.min(TRY + parked)) {
                Ok(Some(wire::Reply { body: Some(reply::Body::Error(error)), .. })) => {
                    return Err(ClientError::Refused(error));
                }
                Ok(Some(wire::Reply { body: Some(body), .. })) => return Ok(body),
                Ok(Some(wire::Reply { body: None, .. })) => {
                    let endpoint = self.target.endpoint.clone();
                    return Err(ClientError::Unexpected { endpoint });
                }
                // It will not be let in a second later either.
                Ok(None) if self.is_denied() => deadline = Instant::now(),
                // Silent: the connection may be dead without knowing it, or the request is long.
                Ok(None) => {
                    self.socket = None;
                    let left = deadline.saturating_duration_since(Instant::now());
                    if begin.elapsed() < LONGEST && self.hub_lives(left.min(PING)) {
                        deadline = Instant::now() + self.timeout + parked;
                    } else if found != Found::Full {
                        // One that was full is being started again, perhaps.
                        found = self.door.look(&self.target.endpoint);
                    }
                }
                Err(source) => return Err(self.broken(source)),
            }
        }
    }

    fn gives_up(&mut self, found: Found, waited: Duration) -> ClientError {
        let is_denied = self.is_denied();
        let (denial, endpoint) = (self.denial.take(), self.target.place());
        match (found, denial) {
            (Found::Full, _) if !is_denied => ClientError::Full { endpoint, waited },
            (found @ (Found::Closes | Found::Says(_)), _) if !is_denied => {
                ClientError::Unreachable { endpoint, waited, found }
            }
            (_, Some(denial)) => ClientError::Denied(denial),
            (_, None) => ClientError::NoHub { endpoint, waited },
        }
    }

    /// Does the hub answer something that takes no time? Then the request is worth waiting for; it
    /// goes out again all the same, and the hub joins it to the one that it works on.
    fn hub_lives(&mut self, wait: Duration) -> bool {
        self.last_id += 1;
        let id = self.last_id;
        let version = crate::VERSION.into();
        let body = Some(request::Body::Hello(wire::Hello { version }));
        let frame = wire::Request { id, body, ..wire::Request::default() }.encode_to_vec();
        let lives = matches!(self.one_try(&frame, id, wait), Ok(Some(_)));
        if !lives {
            self.socket = None;
        }
        lives
    }

    fn is_denied(&self) -> bool {
        self.denial.as_ref().is_some_and(|denial| denial.is_final(self.was_reached))
    }

    /// Sends once and waits for the reply that carries `id`.
    fn one_try(
        &mut self,
        frame: &[u8],
        id: u64,
        wait: Duration,
    ) -> Result<Option<wire::Reply>, zmq::Error> {
        let until = Instant::now() + wait;
        if self.socket.is_none() {
            self.connections += 1;
            let socket = open(&self.context, &self.target, zmq::REQ)?;
            let watched = Watched::new(&self.context, socket, self.connections)?;
            uninterrupted(|| watched.socket().connect(&self.target.endpoint))?;
            self.socket = Some(watched);
        }
        let Some(watched) = &self.socket else { return Ok(None) };
        let socket = watched.socket();
        match uninterrupted(|| socket.send(frame, zmq::DONTWAIT)) {
            Ok(()) => {}
            Err(zmq::Error::EAGAIN) => return Ok(None),
            Err(error) => return Err(error),
        }
        loop {
            while let Some(event) = watched.next() {
                if let Some(denial) = denial(&self.target, event) {
                    self.denial = Some(denial);
                }
            }
            if self.is_denied() {
                return Ok(None);
            }
            let left = until.saturating_duration_since(Instant::now());
            let ms = i64::try_from(left.as_millis()).unwrap_or(i64::MAX);
            let mut items = watched.poll_items();
            match zmq::poll(&mut items, ms) {
                Ok(0) => return Ok(None),
                Ok(_) if !items[0].is_readable() => continue,
                Ok(_) => {}
                // A signal that does not end the program.
                Err(zmq::Error::EINTR) => continue,
                Err(error) => return Err(error),
            }
            self.denial = None;
            let bytes = uninterrupted(|| socket.recv_bytes(zmq::DONTWAIT))?;
            match wire::Reply::decode(bytes.as_slice()) {
                Ok(reply) if reply.id == id => {
                    self.was_reached = true;
                    return Ok(Some(reply));
                }
                // Not ours: the hub could not even read the request's id, or it is no hub.
                _ => return Ok(Some(wire::Reply::default())),
            }
        }
    }
}

/// By which the hub knows a request again that is sent again. A machine without random bytes does without.
pub fn token() -> Vec<u8> {
    crate::random_id().unwrap_or_default()
}

/// A socket that gives up what it could not send when it is closed; not yet connected.
pub fn open(
    context: &zmq::Context,
    target: &Target,
    kind: zmq::SocketType,
) -> Result<zmq::Socket, zmq::Error> {
    let socket = context.socket(kind)?;
    socket.set_linger(0)?;
    socket.set_ipv6(endpoint::is_ipv6(&target.endpoint))?;
    socket.set_maxmsgsize(MESSAGE_BYTES_MAX as i64)?;
    socket.set_reconnect_ivl(50)?;
    socket.set_reconnect_ivl_max(1000)?;
    if let Some(keys) = &target.keys {
        keys.apply(&socket)?;
    }
    Ok(socket)
}
