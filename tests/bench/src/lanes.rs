//! Clients in closed loops: each sends its next request when it has the reply to the last one, and
//! waits for it in a thread of its own, as real clients do.

use std::time::{Duration, Instant};

use dhub_proto::client;
use dhub_proto::find::Target;
use hdrhistogram::Histogram;

/// Without a reply for this long the run has failed.
const PATIENCE_MS: i32 = 60_000;

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
pub fn drive(target: Target, lanes: Vec<Box<dyn Lane>>) -> Measured {
    let context = zmq::Context::new();
    let connect = |lane| {
        let socket = client::open(&context, &target, zmq::REQ).expect("a socket");
        socket.set_rcvtimeo(PATIENCE_MS).expect("an option");
        socket.connect(&target.endpoint).expect("an endpoint");
        (socket, lane)
    };
    let clients: Vec<_> = lanes.into_iter().map(connect).collect();
    // Connections are not part of what is measured.
    std::thread::sleep(Duration::from_millis(100));
    let begin = Instant::now();
    let (mut latency, mut requests) = (histogram(), 0);
    std::thread::scope(|scope| {
        let run = |(socket, lane)| scope.spawn(move || drive_one(&socket, lane));
        let running: Vec<_> = clients.into_iter().map(run).collect();
        for thread in running {
            let own = thread.join().expect("a load thread");
            requests += own.len();
            latency.add(own).expect("the same bounds");
        }
    });
    Measured { time: begin.elapsed(), requests, latency }
}

fn drive_one(socket: &zmq::Socket, mut lane: Box<dyn Lane>) -> Histogram<u64> {
    let mut latency = histogram();
    let mut reply = zmq::Message::new();
    let mut request = lane.next(None);
    while let Some(frame) = request {
        let sent = Instant::now();
        socket.send(frame, 0).expect("to send");
        socket.recv(&mut reply, 0).expect("a reply");
        latency.saturating_record(sent.elapsed().as_nanos() as u64);
        request = lane.next(Some(&reply));
    }
    latency
}
