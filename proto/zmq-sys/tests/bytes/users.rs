//! What is shared by all who connect is shared by users, however many connections each has.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::wire::{is_closed, large, shake_hands, shake_hands_as};
use crate::{TOTAL, connect, limited, wait_for_none_held};

const MIB: usize = 1 << 20;
/// An eighth of all, less what the messages of a handshake take.
const ANNOUNCED: u64 = TOTAL / 8 - 10_000;

/// The domain where users are called as their keys.
const KEYS: &str = "keys";

/// Lets everybody in; elsewhere the user is called as the domain of the socket.
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
fn bind_for(context: &zmq::Context, kind: zmq::SocketType, user: &str) -> (zmq::Socket, String) {
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

fn router_of(context: &zmq::Context, user: &str) -> (zmq::Socket, String) {
    bind_for(context, zmq::ROUTER, user)
}

/// One that knows its peers by their keys, and how to connect to it.
struct Curve {
    router: zmq::Socket,
    endpoint: String,
    public_key: Vec<u8>,
}

impl Curve {
    fn new(context: &zmq::Context, domain: &str) -> Self {
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

    fn connect(&self, context: &zmq::Context, pair: &zmq::CurveKeyPair) -> zmq::Socket {
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
        let hub = Curve::new(&context, user);
        let dealer = hub.connect(&context, &zmq::CurveKeyPair::new().unwrap());
        if is_let_through {
            echo(&hub.router, &dealer, bytes);
        } else {
            dealer.send(vec![1; bytes], 0).unwrap();
            hub.router.set_rcvtimeo(500).unwrap();
            assert_eq!(hub.router.recv_multipart(0), Err(zmq::Error::EAGAIN));
        }
    }
}

fn drop_user(socket: &mut zmq::Socket, user: &[u8]) -> bool {
    // SAFETY: the socket is open and borrowed by this thread alone.
    unsafe { zmq_sys::zmq_drop_user(socket.as_mut_ptr(), user) }
}

#[test]
fn all_connections_of_a_user_end_also_those_that_never_sent_a_message() {
    let _turn = limited();
    let context = zmq::Context::new();
    let _zap = Zap::new(&context);
    for (server, client) in [(zmq::ROUTER, "DEALER"), (zmq::PULL, "PUSH")] {
        let (mut socket, endpoint) = bind_for(&context, server, "gone");
        let mut begun = shake_hands_as(client, &endpoint, b"");
        begun.write_all(&[1, 1, b'x']).unwrap();
        let mut unread = shake_hands_as(client, &endpoint, b"");
        unread.write_all(&[0, 1, b'x']).unwrap();
        let mut silent = shake_hands_as(client, &endpoint, b"");
        assert!(drop_user(&mut socket, b"stays"));
        silent.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert!(!is_closed(&mut silent), "{client}");
        assert!(drop_user(&mut socket, b"gone"));
        for stream in [&mut begun, &mut unread, &mut silent] {
            stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
            let begin = Instant::now();
            while !is_closed(stream) {
                assert!(begin.elapsed() < Duration::from_secs(5), "{client}");
                // The socket takes part in the end of a connection.
                socket.get_events().unwrap();
            }
        }
        assert!(socket.recv_bytes(zmq::DONTWAIT).is_err());
        // Whoever is let in again goes on.
        let mut again = shake_hands_as(client, &endpoint, b"");
        again.write_all(&[0, 1, b'y']).unwrap();
        assert_eq!(socket.recv_multipart(0).unwrap().last().unwrap(), b"y");
    }
}

#[test]
fn who_comes_with_another_key_stays() {
    let _turn = limited();
    let context = zmq::Context::new();
    let _zap = Zap::new(&context);
    let mut hub = Curve::new(&context, KEYS);
    let pairs = [(); 2].map(|()| zmq::CurveKeyPair::new().unwrap());
    let [gone, stays] = pairs.each_ref().map(|pair| hub.connect(&context, pair));
    gone.send("x", 0).unwrap();
    let id = hub.router.recv_multipart(0).unwrap().remove(0);
    echo(&hub.router, &stays, 10);
    assert!(drop_user(&mut hub.router, &pairs[0].public_key));
    let refused = hub.router.send_multipart([&id[..], b"y"], zmq::DONTWAIT);
    assert_eq!(refused, Err(zmq::Error::EHOSTUNREACH));
    echo(&hub.router, &stays, 10);
}
