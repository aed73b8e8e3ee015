//! A client that does not give up: what is not answered is asked again over a new connection.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use dhub_proto::Message;
use dhub_proto::wire::reply::Body as Answer;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::{Reply, Request};

use crate::shared::Shared;

/// Short, so that there are repeats also where the hub lives; doubled each time.
const PATIENCE: Duration = Duration::from_millis(150);
const PATIENCE_MAX: Duration = Duration::from_secs(5);
/// How often to look whether the hub is another one.
const LOOK_MS: i64 = 10;
/// One of so many requests is sent twice at once.
const TWICE: u32 = 50;

pub struct Link<'a> {
    shared: &'a Shared,
    kind: zmq::SocketType,
    socket: Option<zmq::Socket>,
    last_id: u64,
    random: fastrand::Rng,
}

/// An answer, and whether the hub may have seen the request more than once.
pub struct Heard<T> {
    pub body: T,
    pub repeated: bool,
}

impl<'a> Link<'a> {
    pub fn native(shared: &'a Shared, seed: u64) -> Self {
        Self::new(shared, zmq::DEALER, seed)
    }

    pub fn dwork(shared: &'a Shared, seed: u64) -> Self {
        Self::new(shared, zmq::REQ, seed)
    }

    fn new(shared: &'a Shared, kind: zmq::SocketType, seed: u64) -> Self {
        Self { shared, kind, socket: None, last_id: 0, random: fastrand::Rng::with_seed(seed) }
    }

    /// None: the run is over.
    pub fn ask(&mut self, body: Body) -> Option<Heard<Answer>> {
        self.ask_parked(body, Duration::ZERO)
    }

    /// A request that the hub may keep for so long.
    pub fn ask_parked(&mut self, body: Body, parked: Duration) -> Option<Heard<Answer>> {
        self.last_id += 1;
        let id = self.last_id;
        let frame = Request { id, body: Some(body), ..Request::default() }.encode_to_vec();
        let twice = self.random.u32(0..TWICE) == 0;
        let read = |bytes: &[u8]| {
            let reply = Reply::decode(bytes).expect("a Reply");
            // The other answer to something that was sent twice.
            (reply.id == id).then(|| reply.body.expect("a reply with a body"))
        };
        self.insist(&frame, twice, parked, read)
    }

    /// One frame of the other dialect each way. None: the run is over.
    pub fn ask_dwork(
        &mut self,
        query: &dhub_proto::dwork::QueryMsg,
    ) -> Option<Heard<dhub_proto::dwork::QueryMsg>> {
        let read =
            |bytes: &[u8]| Some(dhub_proto::dwork::QueryMsg::decode(bytes).expect("a QueryMsg"));
        self.insist(&query.encode_to_vec(), false, Duration::ZERO, read)
    }

    fn insist<T>(
        &mut self,
        frame: &[u8],
        twice: bool,
        parked: Duration,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Option<Heard<T>> {
        let (mut patience, mut repeated, mut times) = (PATIENCE, twice, 1 + u32::from(twice));
        loop {
            let hub = self.shared.hub();
            self.send(frame, std::mem::replace(&mut times, 1));
            self.shared.requests.fetch_add(1, Ordering::Relaxed);
            let until = Instant::now() + patience + parked;
            while Instant::now() < until && self.shared.hub() == hub {
                if self.shared.stops() {
                    return None;
                }
                if let Some(body) = self.receive(&read) {
                    return Some(Heard { body, repeated });
                }
            }
            self.socket = None;
            repeated = true;
            self.shared.repeats.fetch_add(1, Ordering::Relaxed);
            patience = (patience * 2).min(PATIENCE_MAX);
        }
    }

    fn send(&mut self, frame: &[u8], times: u32) {
        let socket = self.socket.get_or_insert_with(|| connect(self.shared, self.kind));
        for _ in 0..times {
            let parts: &[&[u8]] = if self.kind == zmq::DEALER { &[&[], frame] } else { &[frame] };
            // What cannot be sent is not answered, and sent again.
            let _ = socket.send_multipart(parts, zmq::DONTWAIT);
        }
    }

    fn receive<T>(&mut self, read: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        let socket = self.socket.as_ref()?;
        if socket.poll(zmq::POLLIN, LOOK_MS).unwrap_or(0) == 0 {
            return None;
        }
        let parts = socket.recv_multipart(zmq::DONTWAIT).ok()?;
        read(parts.last()?)
    }
}

fn connect(shared: &Shared, kind: zmq::SocketType) -> zmq::Socket {
    let open = || {
        let socket = shared.context.socket(kind)?;
        socket.set_linger(0)?;
        socket.set_reconnect_ivl(10)?;
        socket.connect(&shared.endpoint)?;
        Ok::<_, zmq::Error>(socket)
    };
    open().unwrap_or_else(|error| panic!("cannot connect to {}: {error}", shared.endpoint))
}
