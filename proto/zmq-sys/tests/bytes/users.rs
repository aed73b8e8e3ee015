//! What is shared by all who connect is shared by users, however many connections each has.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::wire::{is_closed, large, shake_hands};
use crate::{TOTAL, connect, limited, wait_for_none_held};

const MIB: usize = 1 << 20;
/// An eighth of all, less what the messages of a handshake take.
const ANNOUNCED: u64 = TOTAL / 8 - 10_000;

/// Lets everybody in; the user is called as the domain of the socket.
struct Zap {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Zap {
    fn new(context: &zmq::Context) -> Self {
        let socket = context.socket(zmq::REP).unwrap();
        socket.set_rcvtimeo(20).unwrap();
        socket.bind("inproc://zeromq.zap.01").unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = is_over.clone();
        let thread = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                let Ok(asked) = socket.recv_multipart(0) else { continue };
                let reply: [&[u8]; 6] = [b"1.0", &asked[1], b"200", b"", &asked[2], b""];
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
fn router_of(context: &zmq::Context, user: &str) -> (zmq::Socket, String) {
    let router = context.socket(zmq::ROUTER).unwrap();
    router.set_router_mandatory(true).unwrap();
    router.set_linger(0).unwrap();
    router.set_rcvtimeo(5_000).unwrap();
    // Little goes to the network before it waits here.
    router.set_sndbuf(4096).unwrap();
    if !user.is_empty() {
        router.set_zap_domain(user).unwrap();
    }
    router.bind("tcp://127.0.0.1:*").unwrap();
    let endpoint = router.get_last_endpoint().unwrap().unwrap();
    (router, endpoint)
}

/// Connections that announce a large frame and send nothing of it; how many were not closed.
fn announce(endpoints: [&str; 2], count: usize) -> (Vec<TcpStream>, usize) {
    let mut streams: Vec<TcpStream> = (0..count)
        .map(|n| {
            let mut stream = shake_hands(endpoints[n % 2], b"");
            stream.write_all(&large(0, ANNOUNCED)).unwrap();
            stream
        })
        .collect();
    let still_open = |stream: &mut TcpStream| {
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        !is_closed(stream)
    };
    let open = streams.iter_mut().map(still_open).filter(|&is| is).count();
    (streams, open)
}

fn echo(router: &zmq::Socket, dealer: &zmq::Socket, bytes: usize) {
    dealer.send(vec![1; bytes], 0).unwrap();
    let parts = router.recv_multipart(0).expect("it got through");
    assert_eq!(parts[1].len(), bytes);
    router.send_multipart(&parts, 0).unwrap();
    assert_eq!(dealer.recv_bytes(0).expect("the answer as well").len(), bytes);
}

#[test]
fn frames_that_one_user_announces_leave_room_for_those_of_others() {
    let _turn = limited();
    let context = zmq::Context::new();
    let _zap = Zap::new(&context);
    for hostile in ["announcer", ""] {
        let (one, one_at) = router_of(&context, hostile);
        let (two, two_at) = router_of(&context, hostile);
        let (router, endpoint) = router_of(&context, "guest");
        let (begun, open) = announce([&one_at, &two_at], 20);
        assert_eq!(open, 4, "as much as it leaves");
        let guest = connect(&context, zmq::DEALER, &endpoint);
        echo(&router, &guest, MIB * 3 / 2);
        drop((begun, guest, one, two));
        wait_for_none_held();
    }
}

#[test]
fn users_that_announce_leave_something_each() {
    let _turn = limited();
    let context = zmq::Context::new();
    let _zap = Zap::new(&context);
    let hostile = ["first", "second"].map(|user| router_of(&context, user));
    let begun = hostile.each_ref().map(|(_, at)| announce([at, at], 8));
    assert_eq!(begun.each_ref().map(|(_, open)| *open), [4, 2]);
    let (router, endpoint) = router_of(&context, "guest");
    let guest = connect(&context, zmq::DEALER, &endpoint);
    echo(&router, &guest, MIB / 2);
}

#[test]
fn replies_that_one_user_does_not_read_leave_room_for_those_of_others() {
    let _turn = limited();
    let context = zmq::Context::new();
    let _zap = Zap::new(&context);
    let (router, endpoint) = router_of(&context, "lazy");
    let peers: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = shake_hands(&endpoint, b"");
            stream.write_all(&[0, 1, b'x']).unwrap();
            stream
        })
        .collect();
    let ids: Vec<Vec<u8>> =
        peers.iter().map(|_| router.recv_multipart(0).unwrap().remove(0)).collect();
    // More than the network takes beside.
    let reply = vec![1; 200_000];
    for id in &ids {
        let before = zmq_sys::zmq_held_bytes();
        router.send_multipart([&id[..], &reply], zmq::DONTWAIT).unwrap();
        if zmq_sys::zmq_held_bytes() <= before {
            // There was no room for it.
            break;
        }
    }
    assert!(zmq_sys::zmq_held_bytes() > TOTAL * 3 / 8, "{}", zmq_sys::zmq_held_bytes());
    assert!(zmq_sys::zmq_held_bytes() < TOTAL * 5 / 8, "{}", zmq_sys::zmq_held_bytes());
    let (router, endpoint) = router_of(&context, "guest");
    let guest = connect(&context, zmq::DEALER, &endpoint);
    echo(&router, &guest, MIB);
}

#[test]
fn who_is_exempt_gets_through_when_there_is_no_room_for_others() {
    let _turn = limited();
    let context = zmq::Context::new();
    let _zap = Zap::new(&context);
    let (_hostile, hostile_at) = router_of(&context, "announcer");
    let (_begun, open) = announce([&hostile_at, &hostile_at], 8);
    assert_eq!(open, 4);
    // More than half of what is left.
    let bytes = 3 * MIB;
    let owner = format!("owner{}", zmq_sys::ZMQ_EXEMPT);
    for (user, is_let_through) in [("guest", false), (&owner, true)] {
        let keys = zmq::CurveKeyPair::new().unwrap();
        let router = context.socket(zmq::ROUTER).unwrap();
        router.set_linger(0).unwrap();
        router.set_rcvtimeo(if is_let_through { 5_000 } else { 500 }).unwrap();
        router.set_curve_server(true).unwrap();
        router.set_curve_secretkey(&keys.secret_key).unwrap();
        router.set_zap_domain(user).unwrap();
        router.bind("tcp://127.0.0.1:*").unwrap();
        let pair = zmq::CurveKeyPair::new().unwrap();
        let dealer = context.socket(zmq::DEALER).unwrap();
        dealer.set_linger(0).unwrap();
        dealer.set_rcvtimeo(5_000).unwrap();
        dealer.set_curve_serverkey(&keys.public_key).unwrap();
        dealer.set_curve_publickey(&pair.public_key).unwrap();
        dealer.set_curve_secretkey(&pair.secret_key).unwrap();
        dealer.connect(&router.get_last_endpoint().unwrap().unwrap()).unwrap();
        if is_let_through {
            echo(&router, &dealer, bytes);
        } else {
            dealer.send(vec![1; bytes], 0).unwrap();
            assert_eq!(router.recv_multipart(0), Err(zmq::Error::EAGAIN));
            dealer.disconnect(&router.get_last_endpoint().unwrap().unwrap()).unwrap();
        }
    }
}
