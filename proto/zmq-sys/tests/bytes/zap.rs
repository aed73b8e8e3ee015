//! Those who connect, and what they are called by whoever lets them in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// The domain where users are called as their keys.
pub const KEYS: &str = "keys";

/// Lets everybody in; elsewhere the user is called as the domain of the socket.
pub struct Zap {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Zap {
    pub fn new(context: &zmq::Context) -> Self {
        let socket = context.socket(zmq::REP).unwrap();
        socket.set_rcvtimeo(20).unwrap();
        socket.bind("inproc://zeromq.zap.01").unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = is_over.clone();
        let thread = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                let Ok(asked) = socket.recv_multipart(0) else { continue };
                let user = &asked[if asked[2] == KEYS.as_bytes() { 6 } else { 2 }];
                let reply: [&[u8]; 6] = [b"1.0", &asked[1], b"200", b"", user, b""];
                socket.send_multipart(reply, 0).unwrap();
            }
        });
        Self { is_over, thread: Some(thread) }
    }
}

impl Drop for Zap {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking());
    }
}

/// Where a user connects; without a name, where nobody asks who it is.
pub fn bind_for(
    context: &zmq::Context,
    kind: zmq::SocketType,
    user: &str,
) -> (zmq::Socket, String) {
    let socket = context.socket(kind).unwrap();
    socket.set_linger(0).unwrap();
    socket.set_rcvtimeo(5_000).unwrap();
    // Little goes to the network before it waits here.
    socket.set_sndbuf(4096).unwrap();
    if !user.is_empty() {
        socket.set_zap_domain(user).unwrap();
    }
    if kind == zmq::ROUTER {
        socket.set_router_mandatory(true).unwrap();
    }
    socket.bind("tcp://127.0.0.1:*").unwrap();
    let endpoint = socket.get_last_endpoint().unwrap().unwrap();
    (socket, endpoint)
}

pub fn router_of(context: &zmq::Context, user: &str) -> (zmq::Socket, String) {
    bind_for(context, zmq::ROUTER, user)
}

/// One that knows its peers by their keys, and how to connect to it.
pub struct Curve {
    pub router: zmq::Socket,
    endpoint: String,
    public_key: Vec<u8>,
}

impl Curve {
    pub fn new(context: &zmq::Context, domain: &str) -> Self {
        let keys = zmq::CurveKeyPair::new().unwrap();
        let router = context.socket(zmq::ROUTER).unwrap();
        router.set_router_mandatory(true).unwrap();
        router.set_linger(0).unwrap();
        router.set_rcvtimeo(5_000).unwrap();
        router.set_curve_server(true).unwrap();
        router.set_curve_secretkey(&keys.secret_key).unwrap();
        router.set_zap_domain(domain).unwrap();
        router.bind("tcp://127.0.0.1:*").unwrap();
        let endpoint = router.get_last_endpoint().unwrap().unwrap();
        Self { router, endpoint, public_key: keys.public_key.to_vec() }
    }

    pub fn connect(&self, context: &zmq::Context, pair: &zmq::CurveKeyPair) -> zmq::Socket {
        let dealer = context.socket(zmq::DEALER).unwrap();
        dealer.set_linger(0).unwrap();
        dealer.set_rcvtimeo(5_000).unwrap();
        dealer.set_curve_serverkey(&self.public_key).unwrap();
        dealer.set_curve_publickey(&pair.public_key).unwrap();
        dealer.set_curve_secretkey(&pair.secret_key).unwrap();
        dealer.connect(&self.endpoint).unwrap();
        dealer
    }
}

/// There and back.
pub fn echo(router: &zmq::Socket, dealer: &zmq::Socket, bytes: usize) {
    dealer.send(vec![1; bytes], 0).unwrap();
    let parts = router.recv_multipart(0).expect("it got through");
    assert_eq!(parts[1].len(), bytes);
    router.send_multipart(&parts, 0).unwrap();
    assert_eq!(dealer.recv_bytes(0).expect("the answer as well").len(), bytes);
}
