//! Sends many Create requests, several at a time, so that the hub never waits for the next one.
//!
//! A silent hub gets all that is open again over a new connection: a repeated Create counts its
//! tasks as existing. Replies come in any order and carry the number of their request.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use dhub_proto::Message;
use dhub_proto::client::{Client, ClientError};
use dhub_proto::wire::{Created, Reply, reply};
use indicatif::ProgressBar;

use crate::batch::Batch;

/// Requests under way at the same time, and their size together.
const OPEN_MAX: usize = 8;
const OPEN_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long a connection may be silent before everything open is sent again over a new one.
const TRY: Duration = Duration::from_millis(2500);

pub struct Feed<'a> {
    client: &'a Client,
    timeout: Duration,
    open: VecDeque<Batch>,
    open_bytes: usize,
    /// What has been added so far, also when the rest fails.
    pub sum: Created,
}

impl<'a> Feed<'a> {
    pub fn new(client: &'a Client, timeout: Duration) -> Self {
        let (open, open_bytes) = (VecDeque::new(), 0);
        Self { client, timeout, open, open_bytes, sum: Created::default() }
    }

    /// Sends all batches. After a refusal nothing more is sent; what is open is waited for.
    pub fn run(
        &mut self,
        mut batches: impl Iterator<Item = Batch>,
        progress: &ProgressBar,
    ) -> Result<(), ClientError> {
        let mut socket = self.connect()?;
        let mut refusal = None;
        let mut heard = Instant::now();
        let mut tried = heard;
        loop {
            while refusal.is_none() && self.has_room() {
                let Some(batch) = batches.next() else { break };
                self.send(&socket, &batch.frame)?;
                self.open_bytes += batch.frame.len();
                self.open.push_back(batch);
            }
            if self.open.is_empty() {
                return refusal.map_or(Ok(()), Err);
            }
            let wait = (heard + self.timeout).min(tried + TRY);
            match self.receive(&socket, wait)? {
                Some(reply) => {
                    heard = Instant::now();
                    tried = heard;
                    if let Err(error) = self.take(reply, progress) {
                        refusal.get_or_insert(error);
                    }
                }
                None if heard.elapsed() >= self.timeout => {
                    let endpoint = self.client.endpoint().to_owned();
                    return Err(ClientError::NoHub { endpoint, waited: self.timeout });
                }
                None => {
                    tried = Instant::now();
                    socket = self.connect()?;
                    for batch in &self.open {
                        self.send(&socket, &batch.frame)?;
                    }
                }
            }
        }
    }

    /// One request fits always.
    fn has_room(&self) -> bool {
        self.open.is_empty() || (self.open.len() < OPEN_MAX && self.open_bytes < OPEN_BYTES_MAX)
    }

    fn take(&mut self, reply: Reply, progress: &ProgressBar) -> Result<(), ClientError> {
        let Some(place) = self.open.iter().position(|batch| batch.id == reply.id) else {
            // The second answer to a request that was sent twice.
            return Ok(());
        };
        if let Some(batch) = self.open.remove(place) {
            self.open_bytes -= batch.frame.len();
            progress.inc(batch.tasks);
        }
        match reply.body {
            Some(reply::Body::Created(created)) => {
                self.sum.added += created.added;
                self.sum.existing += created.existing;
                self.sum.ready += created.ready;
                Ok(())
            }
            Some(reply::Body::Error(error)) => Err(ClientError::Refused(error)),
            _ => Err(self.unexpected()),
        }
    }

    fn receive(&self, socket: &zmq::Socket, until: Instant) -> Result<Option<Reply>, ClientError> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            // Rounded up: a poll of 0 ms would spin until the time is over.
            let ms = i64::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i64::MAX);
            match socket.poll(zmq::POLLIN, ms) {
                Ok(0) => return Ok(None),
                Ok(_) => break,
                Err(zmq::Error::EINTR) => {}
                Err(source) => return Err(self.broken(source)),
            }
        }
        let parts = socket.recv_multipart(zmq::DONTWAIT).map_err(|source| self.broken(source))?;
        match parts.as_slice() {
            [delimiter, bytes] if delimiter.is_empty() => {
                Reply::decode(bytes.as_slice()).map(Some).map_err(|_| self.unexpected())
            }
            _ => Err(self.unexpected()),
        }
    }

    /// A new socket has room for all that may be open.
    fn send(&self, socket: &zmq::Socket, frame: &[u8]) -> Result<(), ClientError> {
        let parts: [&[u8]; 2] = [b"", frame];
        socket.send_multipart(parts, zmq::DONTWAIT).map_err(|source| self.broken(source))
    }

    fn connect(&self) -> Result<zmq::Socket, ClientError> {
        self.client.dealer()
    }

    fn broken(&self, source: zmq::Error) -> ClientError {
        ClientError::Socket { endpoint: self.client.endpoint().to_owned(), source }
    }

    fn unexpected(&self) -> ClientError {
        ClientError::Unexpected { endpoint: self.client.endpoint().to_owned() }
    }
}
