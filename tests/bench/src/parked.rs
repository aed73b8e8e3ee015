//! Steals of one busy worker while thousands of idle ones are parked.

use dhub_proto::find::Target;
use dhub_proto::limits::WAIT_MS_MAX;
use dhub_proto::wire::{self, request::Body};

use crate::case::{Bench, fill};
use crate::client::request;
use crate::lanes::{Lane, Measured, drive};

const WORKERS: usize = 10_000;
/// Each has a connection of its own as far as file descriptors allow; more share one.
const CONNECTIONS: usize = 4_000;
const TASKS: u64 = 10_000;
/// A context has about a thousand sockets at most.
const CONTEXT_SOCKETS: usize = 1_000;

/// Steals one at a time and leaves completion to a request in between, whose time does not count.
struct Timed {
    worker: wire::Worker,
    number: u64,
    left: u64,
}

impl Lane for Timed {
    fn next(&mut self, _: Option<&[u8]>) -> Option<Vec<u8>> {
        self.left = self.left.checked_sub(1)?;
        self.number += 1;
        Some(steal(&self.worker, self.number, 0))
    }
}

fn worker(i: usize) -> wire::Worker {
    let mut id = vec![0xaa; 16];
    id[..8].copy_from_slice(&(i as u64).to_le_bytes());
    wire::Worker { name: format!("idle{i}"), id, ..wire::Worker::default() }
}

fn steal(who: &wire::Worker, number: u64, wait_ms: u64) -> Vec<u8> {
    let worker = Some(who.clone());
    request(Body::Steal(wire::Steal {
        worker,
        n: u32::from(wait_ms == 0),
        wait_ms,
        number,
        stay: true,
        ..wire::Steal::default()
    }))
}

/// One worker steals one task after the other.
pub fn steals(endpoint: &str, tasks: u64) -> Measured {
    drive(
        Target::plain(endpoint),
        vec![Box::new(Timed { worker: worker(usize::MAX), number: 0, left: tasks })],
    )
}

pub fn measure(bench: &Bench) -> (f64, f64) {
    let (_hub, endpoint) = bench.hub();
    fill(Target::plain(&endpoint), bench.bag(), 2 * TASKS);
    let without = steals(&endpoint, TASKS).micros(0.99);
    // They listen (n = 0), so that they do not take the tasks that are measured.
    let contexts: Vec<zmq::Context> =
        (0..CONNECTIONS.div_ceil(CONTEXT_SOCKETS)).map(|_| zmq::Context::new()).collect();
    let sockets: Vec<zmq::Socket> = (0..CONNECTIONS)
        .map(|i| {
            let socket = contexts[i / CONTEXT_SOCKETS].socket(zmq::DEALER).expect("a socket");
            socket.set_linger(0).expect("an option");
            socket.connect(&endpoint).expect("an endpoint");
            socket
        })
        .collect();
    for i in 0..WORKERS {
        let socket = &sockets[i % CONNECTIONS];
        socket.send("", zmq::SNDMORE).expect("to send");
        socket.send(steal(&worker(i), 1, WAIT_MS_MAX), 0).expect("to send");
    }
    await_workers(&endpoint, WORKERS as u64);
    let with = steals(&endpoint, TASKS).micros(0.99);
    (with, with / without)
}

/// Until the hub has heard of so many.
fn await_workers(endpoint: &str, workers: u64) {
    use dhub_proto::Message;
    let socket = zmq::Context::new().socket(zmq::REQ).expect("a socket");
    socket.set_linger(0).expect("an option");
    socket.connect(endpoint).expect("an endpoint");
    loop {
        socket.send(request(Body::Status(wire::Status {})), 0).expect("to send");
        let reply = socket.recv_bytes(0).expect("a status");
        match wire::Reply::decode(reply.as_slice()).expect("a reply").body {
            Some(wire::reply::Body::Status(status)) if status.workers_total >= workers => return,
            Some(wire::reply::Body::Status(_)) => {}
            other => panic!("{other:?}"),
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}
