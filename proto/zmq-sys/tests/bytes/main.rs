//! Limits in bytes: nothing is lost and nothing waits for ever, whatever the sizes, and what peers
//! can make a process hold is bounded.

mod ends;
mod flow;
mod frames;
mod names;
mod rest;
mod users;
mod wire;
mod zap;

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

const PER_PIPE: u64 = 256 << 10;
const TOTAL: u64 = 8 << 20;

/// What is counted is counted for the process.
fn limited() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    zmq_sys::zmq_limit_bytes(PER_PIPE, TOTAL);
    zmq_sys::zmq_limit_frame(Duration::from_secs(60));
    turn
}

fn bind(context: &zmq::Context, kind: zmq::SocketType) -> (zmq::Socket, String) {
    let socket = context.socket(kind).unwrap();
    socket.set_linger(0).unwrap();
    socket.set_rcvtimeo(20_000).unwrap();
    socket.bind("tcp://127.0.0.1:*").unwrap();
    let endpoint = socket.get_last_endpoint().unwrap().unwrap();
    (socket, endpoint)
}

fn connect(context: &zmq::Context, kind: zmq::SocketType, endpoint: &str) -> zmq::Socket {
    let socket = context.socket(kind).unwrap();
    socket.set_linger(0).unwrap();
    socket.set_rcvtimeo(20_000).unwrap();
    socket.connect(endpoint).unwrap();
    socket
}

fn wait_for_none_held() {
    let begin = Instant::now();
    while zmq_sys::zmq_held_bytes() != 0 {
        assert!(begin.elapsed() < Duration::from_secs(10), "{}", zmq_sys::zmq_held_bytes());
        std::thread::sleep(Duration::from_millis(2));
    }
}
