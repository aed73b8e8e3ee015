//! The blocking client: one request, one reply, on a fresh socket when the hub was silent.
//!
//! Every request may be sent twice: the hub answers a repeat as it answered the original. So a
//! silent hub is asked again over a new connection (ZeroMQ guide, "Lazy Pirate") until the
//! time-out is over.

use std::time::{Duration, Instant};

use prost::Message;

use crate::limits::MESSAGE_BYTES_MAX;
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
    #[error("no hub answers at {endpoint} (waited {})", humantime::format_duration(*.waited))]
    NoHub { endpoint: String, waited: Duration },
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

/// A connection to one hub. Not for several threads.
pub struct Client {
    context: zmq::Context,
    endpoint: String,
    timeout: Duration,
    socket: Option<zmq::Socket>,
    last_id: u64,
}

impl Client {
    /// Connects lazily: a hub that is down shows at the first request.
    pub fn new(endpoint: impl Into<String>, timeout: Duration) -> Self {
        let endpoint = endpoint.into();
        Self { context: zmq::Context::new(), endpoint, timeout, socket: None, last_id: 0 }
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A further connection for several requests at a time; each begins with an empty part.
    pub fn dealer(&self) -> Result<zmq::Socket, ClientError> {
        connect(&self.context, &self.endpoint, zmq::DEALER)
            .map_err(|source| ClientError::Socket { endpoint: self.endpoint.clone(), source })
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
        let frame = wire::Request { id, body: Some(body) }.encode_to_vec();
        if frame.len() > MESSAGE_BYTES_MAX {
            return Err(ClientError::TooLarge { bytes: frame.len() });
        }
        let begin = Instant::now();
        let mut deadline = begin + self.timeout + parked;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let endpoint = self.endpoint.clone();
                return Err(ClientError::NoHub { endpoint, waited: self.timeout + parked });
            }
            match self.one_try(&frame, id, left.min(TRY + parked)) {
                Ok(Some(wire::Reply { body: Some(reply::Body::Error(error)), .. })) => {
                    return Err(ClientError::Refused(error));
                }
                Ok(Some(wire::Reply { body: Some(body), .. })) => return Ok(body),
                Ok(Some(wire::Reply { body: None, .. })) => {
                    let endpoint = self.endpoint.clone();
                    return Err(ClientError::Unexpected { endpoint });
                }
                // Silent: the connection may be dead without knowing it, or the request is long.
                Ok(None) => {
                    self.socket = None;
                    let left = deadline.saturating_duration_since(Instant::now());
                    if begin.elapsed() < LONGEST && self.hub_lives(left.min(PING)) {
                        deadline = Instant::now() + self.timeout + parked;
                    }
                }
                Err(source) => {
                    let endpoint = self.endpoint.clone();
                    return Err(ClientError::Socket { endpoint, source });
                }
            }
        }
    }

    /// Does the hub answer something that takes no time? Then the request is worth waiting for; it
    /// goes out again all the same, and the hub joins it to the one that it works on.
    fn hub_lives(&mut self, wait: Duration) -> bool {
        self.last_id += 1;
        let id = self.last_id;
        let version = crate::VERSION.into();
        let body = Some(request::Body::Hello(wire::Hello { version }));
        let frame = wire::Request { id, body }.encode_to_vec();
        let lives = matches!(self.one_try(&frame, id, wait), Ok(Some(_)));
        if !lives {
            self.socket = None;
        }
        lives
    }

    /// Sends once and waits for the reply that carries `id`.
    fn one_try(
        &mut self,
        frame: &[u8],
        id: u64,
        wait: Duration,
    ) -> Result<Option<wire::Reply>, zmq::Error> {
        let until = Instant::now() + wait;
        let socket = match &self.socket {
            Some(socket) => socket,
            None => self.socket.insert(connect(&self.context, &self.endpoint, zmq::REQ)?),
        };
        match socket.send(frame, zmq::DONTWAIT) {
            Ok(()) => {}
            Err(zmq::Error::EAGAIN) => return Ok(None),
            Err(error) => return Err(error),
        }
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let ms = i64::try_from(left.as_millis()).unwrap_or(i64::MAX);
            match socket.poll(zmq::POLLIN, ms) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                // A signal that does not end the program.
                Err(zmq::Error::EINTR) => continue,
                Err(error) => return Err(error),
            }
            let bytes = socket.recv_bytes(zmq::DONTWAIT)?;
            match wire::Reply::decode(bytes.as_slice()) {
                Ok(reply) if reply.id == id => return Ok(Some(reply)),
                // Not ours: the hub could not even read the request's id, or it is no hub.
                _ => return Ok(Some(wire::Reply::default())),
            }
        }
    }
}

/// A socket that gives up what it could not send when it is closed.
fn connect(
    context: &zmq::Context,
    endpoint: &str,
    kind: zmq::SocketType,
) -> Result<zmq::Socket, zmq::Error> {
    let socket = context.socket(kind)?;
    socket.set_linger(0)?;
    socket.set_maxmsgsize(MESSAGE_BYTES_MAX as i64)?;
    socket.set_reconnect_ivl(50)?;
    socket.set_reconnect_ivl_max(1000)?;
    socket.connect(endpoint)?;
    Ok(socket)
}
