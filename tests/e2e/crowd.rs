//! A crowd: many connections of each role that ask for as much as they may and read nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dhub_proto::Message;
use dhub_proto::client;
use dhub_proto::find::Target;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::*;

use crate::plain_worker;

/// Ends what goes on until this is set, also after a panic.
pub struct AtEnd<'a>(pub &'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a connection asks for, by its number.
pub type Asks = fn(usize) -> Body;

/// The roles, and what those who have one ask for.
pub const CROWDS: [(&str, Asks); 3] = [("observe", observe), ("submit", submit), ("work", work)];

fn selection(prefix: &str, n: usize) -> Option<Selection> {
    let patterns = (0..900).map(|i| format!("*{prefix}{n}-{i}?x")).collect();
    Some(Selection { patterns, ..Selection::default() })
}

fn observe(n: usize) -> Body {
    let list = |limit| Body::List(List { limit, ..List::default() });
    match n % 10 {
        // The same by all, again and again.
        6 | 7 => list(10_000),
        8 => Body::Count(Count { selection: selection("c", 0) }),
        9 => Body::Export(Export { limit: 10_000, ..Export::default() }),
        0 => Body::Count(Count { selection: selection("c", n) }),
        1 => Body::List(List { selection: selection("l", n), limit: 10_000, ..List::default() }),
        2 => Body::Show(Show { name: format!("task-{}", n % 1_000) }),
        3 => Body::Status(Status {}),
        4 => Body::Export(Export { selection: selection("e", n), ..Export::default() }),
        _ => {
            let names = (0..5_000).map(|i| format!("task-{}", n % 100 + i)).collect();
            Body::Wait(Wait { wait_ms: 60_000, names, output: true })
        }
    }
}

fn submit(n: usize) -> Body {
    match n % 4 {
        0 => Body::Cancel(Cancel { selection: selection("x", n) }),
        1 => Body::Retry(Retry { selection: selection("r", n), done: true }),
        2 => Body::Wait(Wait { wait_ms: 60_000, ..Wait::default() }),
        _ => observe(n / 4),
    }
}

/// Parked, for there is nothing to do.
fn work(n: usize) -> Body {
    let worker = Some(plain_worker(&format!("w{}", n % 100)));
    Body::Steal(Steal { worker, n: 0, wait_ms: 60_000, stay: true, ..Steal::default() })
}

/// Connections of one key that send as fast as they can, and never read.
pub fn flood(target: &Target, of: Asks, crowd: usize, over: &AtomicBool) {
    // A context has a thousand sockets at most.
    let contexts: Vec<_> = (0..crowd.div_ceil(500)).map(|_| zmq::Context::new()).collect();
    let open = |n: usize| {
        let socket = client::open(&contexts[n / 500], target, zmq::DEALER).expect("a socket");
        socket.set_rcvhwm(1).expect("an option");
        socket.set_sndhwm(10).expect("an option");
        socket.connect(&target.endpoint).expect("an endpoint");
        socket
    };
    let sockets: Vec<_> = (0..crowd).map(open).collect();
    for n in 0.. {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let frame =
            Request { id: n as u64, body: Some(of(n)), ..Request::default() }.encode_to_vec();
        // What does not fit is not waited for.
        let _ = sockets[n % crowd].send_multipart([&b""[..], &frame], zmq::DONTWAIT);
        if n % crowd == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
