//! Sends many Create requests, several at a time, so that the hub never waits for the next one.
//!
//! A silent hub gets all that is open again over a new connection: a repeated Create counts its
//! tasks as existing. Replies come in any order and carry the number of their request.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use dhub_proto::Message;
use dhub_proto::client::{Client, ClientError};
use dhub_proto::parts;
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
                    let endpoint = self.client.target().place();
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
        let parts = parts::receive(socket).map_err(|source| self.broken(source))?;
        match parts.as_slice() {
            [delimiter, bytes] if delimiter.is_empty() => {
                Reply::decode(bytes.as_slice()).map(Some).map_err(|_| self.unexpected())
            }
            _ => Err(self.unexpected()),
        }
    }

    /// A new socket has room for all that may be open.
    fn send(&self, socket: &zmq::Socket, frame: &[u8]) -> Result<(), ClientError> {
        parts::send(socket, &[b"", frame]).map_err(|source| self.broken(source))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Batches, Defaults};
    use crate::fake;
    use crate::taskfile::{Format, TaskFile};
    use dhub_proto::wire::{self, request};

    /// Feeds 10,000 tasks, in 5 requests, to a hub that answers like this.
    fn feed(
        timeout: Duration,
        mut answer: impl FnMut(&wire::Create) -> Option<reply::Body> + Send + 'static,
    ) -> (Result<(), ClientError>, Created) {
        let text: String = (0..10_000).map(|n| format!("{n}\n")).collect();
        let file = TaskFile::parse("t", text.as_bytes(), Format::Lines).expect("tasks");
        let defaults = Defaults::default();
        let hub = fake::hub(timeout, move |body| match body {
            request::Body::Create(create) => answer(&create),
            _ => None,
        });
        let mut feed = Feed::new(hub.client(), hub.timeout());
        let result = feed.run(Batches::new(&file, &defaults, 0..10_000), &ProgressBar::hidden());
        (result, feed.sum)
    }

    fn created(create: &wire::Create) -> reply::Body {
        let added = create.tasks.len() as u64;
        reply::Body::Created(Created { added, existing: 0, ready: added })
    }

    #[test]
    fn requests_that_were_lost_are_sent_again() {
        let mut requests = 0;
        let (result, sum) = feed(Duration::from_secs(20), move |create| {
            requests += 1;
            (requests > 3).then(|| created(create))
        });
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(sum.added, 10_000);
    }

    #[test]
    fn a_refusal_ends_it_and_what_was_added_is_known() {
        let refused = wire::Error { message: "no".into(), ..wire::Error::default() };
        let (result, sum) = feed(Duration::from_secs(20), move |create| {
            Some(match create.tasks[0].name.as_str() {
                "2000" => reply::Body::Error(refused.clone()),
                _ => created(create),
            })
        });
        assert!(matches!(result, Err(ClientError::Refused(error)) if error.message == "no"));
        assert_eq!(sum.added, 8_000);
    }

    #[test]
    fn a_hub_that_stays_silent_is_given_up() {
        let start = Instant::now();
        let (result, _) = feed(Duration::from_millis(200), |_| None);
        assert!(matches!(result, Err(ClientError::NoHub { .. })));
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}
