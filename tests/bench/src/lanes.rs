//! Clients in closed loops: each sends its next request when it has the reply to the last one.
//!
//! Several clients share a thread, so that the load needs as little of the machine as it can: what
//! it takes is missing to the hub, here as with real workers on the same machine.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Without a reply for this long the run has failed.
const PATIENCE_MS: i64 = 60_000;
/// Threads that drive the clients.
const THREADS_MAX: usize = 2;

/// What one client does.
pub trait Lane: Send {
    /// The next request, after the reply to the last one; None when it is done.
    fn next(&mut self, reply: Option<&[u8]>) -> Option<Vec<u8>>;
}

pub struct Measured {
    pub time: Duration,
    pub requests: u64,
    /// Of one round trip, in nanoseconds.
    pub latency: Histogram<u64>,
}

impl Measured {
    pub fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.time.as_secs_f64()
    }

    pub fn micros(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1000.0
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(100, 100_000_000_000, 3).expect("valid bounds")
}

/// All of them to their end. Panics if the server falls silent: there is nothing to measure then.
pub fn drive(endpoint: &str, lanes: Vec<Box<dyn Lane>>) -> Measured {
    let context = zmq::Context::new();
    let threads = THREADS_MAX.min(lanes.len());
    let mut shares: Vec<Vec<Client>> = (0..threads).map(|_| Vec::new()).collect();
    for (i, lane) in lanes.into_iter().enumerate() {
        let socket = context.socket(zmq::REQ).expect("a socket");
        socket.set_linger(0).expect("an option");
        socket.connect(endpoint).expect("an endpoint");
        shares[i % threads].push(Client { socket, lane, sent: Instant::now(), open: false });
    }
    // Connections are not part of what is measured.
    std::thread::sleep(Duration::from_millis(100));
    let begin = Instant::now();
    let (mut latency, mut requests) = (histogram(), 0);
    std::thread::scope(|scope| {
        let running: Vec<_> =
            shares.into_iter().map(|share| scope.spawn(move || drive_share(share))).collect();
        for thread in running {
            let own = thread.join().expect("a load thread");
            requests += own.len();
            latency.add(own).expect("the same bounds");
        }
    });
    Measured { time: begin.elapsed(), requests, latency }
}

struct Client {
    socket: zmq::Socket,
    lane: Box<dyn Lane>,
    sent: Instant,
    open: bool,
}

impl Client {
    fn go_on(&mut self, reply: Option<&[u8]>) {
        self.open = false;
        if let Some(request) = self.lane.next(reply) {
            self.socket.send(request, 0).expect("to send");
            (self.sent, self.open) = (Instant::now(), true);
        }
    }
}

fn drive_share(mut clients: Vec<Client>) -> Histogram<u64> {
    let mut latency = histogram();
    let mut message = zmq::Message::new();
    clients.iter_mut().for_each(|client| client.go_on(None));
    while clients.iter().any(|client| client.open) {
        let mut items: Vec<zmq::PollItem> = clients
            .iter()
            .filter(|client| client.open)
            .map(|client| client.socket.as_poll_item(zmq::POLLIN))
            .collect();
        let ready = zmq::poll(&mut items, PATIENCE_MS).expect("to poll");
        assert!(ready > 0, "no reply for {} s", PATIENCE_MS / 1000);
        let readable: Vec<bool> = items.iter().map(zmq::PollItem::is_readable).collect();
        let open = clients.iter_mut().filter(|client| client.open);
        for (client, _) in open.zip(readable).filter(|(_, readable)| *readable) {
            client.socket.recv(&mut message, 0).expect("a reply");
            let nanos = client.sent.elapsed().as_nanos() as u64;
            latency.saturating_record(nanos);
            client.go_on(Some(&message));
        }
    }
    latency
}
