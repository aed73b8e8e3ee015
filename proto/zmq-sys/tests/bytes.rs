//! Limits in bytes: nothing is lost and nothing waits for ever, whatever the sizes, and what peers
//! can make a process hold is bounded.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

const PER_PIPE: u64 = 256 << 10;
const TOTAL: u64 = 8 << 20;
/// For a large frame to arrive.
const FRAME: Duration = Duration::from_secs(1);

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

/// Sizes around every limit, in an order that a seed gives.
fn sizes(seed: u64) -> impl Iterator<Item = usize> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::from_fn(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let kind = state >> 60;
        let size = (state & 0xffff_ffff) as usize;
        Some(match kind {
            0..8 => size % 200,
            8..12 => size % 5_000,
            12..15 => size % 40_000,
            _ => size % 300_000,
        })
    })
}

#[test]
fn many_sizes_arrive_and_come_back_whole() {
    let _turn = limited();
    let context = zmq::Context::new();
    let (router, endpoint) = bind(&context, zmq::ROUTER);
    const PEERS: usize = 6;
    const EACH: usize = 1_500;
    std::thread::scope(|scope| {
        for peer in 0..PEERS {
            let (context, endpoint) = (&context, &endpoint);
            scope.spawn(move || {
                let dealer = connect(context, zmq::DEALER, endpoint);
                // Sends far ahead of what comes back, so that both directions fill.
                let mut sent = 0;
                for (n, size) in sizes(peer as u64 + 1).take(EACH).enumerate() {
                    while sent < EACH && sent < n + 200 {
                        let size = sizes(peer as u64 + 1).nth(sent).unwrap();
                        dealer.send_multipart([b"begin", &vec![sent as u8; size][..]], 0).unwrap();
                        sent += 1;
                    }
                    let parts = dealer.recv_multipart(0).unwrap();
                    assert_eq!(parts[0], b"begin");
                    assert_eq!(parts[1].len(), size, "message {n} of {peer}");
                    assert!(parts[1].iter().all(|&byte| byte == n as u8));
                }
            });
        }
        let mut waiting: std::collections::VecDeque<Vec<Vec<u8>>> = Default::default();
        let mut done = 0;
        let begin = Instant::now();
        while done < PEERS * EACH {
            assert!(begin.elapsed() < Duration::from_secs(120), "{done}");
            match router.recv_multipart(zmq::DONTWAIT) {
                Ok(parts) => waiting.push_back(parts),
                Err(_) if waiting.is_empty() => drop(router.poll(zmq::POLLIN, 10)),
                Err(_) => {}
            }
            // One whose pipe is full goes to the end of the line, but not before its own next ones.
            for _ in 0..waiting.len() {
                let parts = waiting.pop_front().unwrap();
                let is_later = |it: &Vec<Vec<u8>>| it[0] == parts[0];
                router.set_router_mandatory(true).unwrap();
                if router.send_multipart(&parts, zmq::DONTWAIT).is_ok() {
                    done += 1;
                } else if waiting.iter().any(is_later) {
                    waiting.push_front(parts);
                    break;
                } else {
                    waiting.push_back(parts);
                }
            }
        }
    });
    drop(router);
    wait_for_none_held();
}

#[test]
fn a_slow_reader_gets_everything() {
    let _turn = limited();
    let context = zmq::Context::new();
    let (pull, endpoint) = bind(&context, zmq::PULL);
    const EACH: usize = 1_500;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let push = connect(&context, zmq::PUSH, &endpoint);
            push.set_linger(5_000).unwrap();
            for (n, size) in sizes(99).take(EACH).enumerate() {
                push.send(vec![n as u8; size], 0).unwrap();
            }
        });
        for (n, size) in sizes(99).take(EACH).enumerate() {
            if n % 50 == 0 {
                std::thread::sleep(Duration::from_millis(3));
            }
            assert!(zmq_sys::zmq_held_bytes() < TOTAL * 2);
            assert_eq!(pull.recv_bytes(0).unwrap().len(), size, "message {n}");
        }
    });
}

#[test]
fn replies_that_are_not_read_are_bounded_in_bytes() {
    let _turn = limited();
    let context = zmq::Context::new();
    let (router, endpoint) = bind(&context, zmq::ROUTER);
    router.set_router_mandatory(true).unwrap();
    let peers: Vec<zmq::Socket> = (0..50)
        .map(|_| {
            let dealer = context.socket(zmq::DEALER).unwrap();
            dealer.set_linger(0).unwrap();
            dealer.set_rcvhwm(1).unwrap();
            dealer.connect(&endpoint).unwrap();
            dealer.send("x", 0).unwrap();
            dealer
        })
        .collect();
    let ids: Vec<Vec<u8>> =
        peers.iter().map(|_| router.recv_multipart(0).unwrap().remove(0)).collect();
    let reply = vec![1; 100_000];
    for id in &ids {
        // What the network takes beside is not this process's.
        let mut tries = 0;
        while tries < 200 {
            match router.send_multipart([&id[..], &reply], zmq::DONTWAIT) {
                Ok(()) => {}
                Err(zmq::Error::EAGAIN | zmq::Error::EHOSTUNREACH) => tries += 1,
                Err(error) => panic!("{error}"),
            }
            assert!(zmq_sys::zmq_held_bytes() < TOTAL + TOTAL / 8, "{}", zmq_sys::zmq_held_bytes());
        }
    }
    drop(peers);
    drop(router);
    wait_for_none_held();
}

const GREETING: usize = 64;

/// What ZMTP 3.0 begins with.
fn greeting(mechanism: &str) -> Vec<u8> {
    let mut bytes = vec![0; GREETING];
    bytes[0] = 0xff;
    bytes[9] = 0x7f;
    bytes[10] = 3;
    bytes[12..12 + mechanism.len()].copy_from_slice(mechanism.as_bytes());
    bytes
}

fn raw(endpoint: &str) -> TcpStream {
    let stream = TcpStream::connect(endpoint.trim_start_matches("tcp://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream
}

/// Of ZMTP 3.0, until both sides know each other.
fn shake_hands(endpoint: &str, name: &[u8]) -> TcpStream {
    let mut stream = raw(endpoint);
    stream.write_all(&greeting("NULL")).unwrap();
    let mut body = b"\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity".to_vec();
    body.extend((name.len() as u32).to_be_bytes());
    body.extend(name);
    stream.write_all(&large(4, body.len() as u64)).unwrap();
    stream.write_all(&body).unwrap();
    let mut answer = [0; GREETING + 2];
    stream.read_exact(&mut answer).unwrap();
    let mut ready = vec![0; answer[GREETING + 1].into()];
    stream.read_exact(&mut ready).unwrap();
    stream
}

/// A frame that begins: how large it will be.
fn large(flags: u8, size: u64) -> Vec<u8> {
    let mut bytes = vec![flags | 2];
    bytes.extend(size.to_be_bytes());
    bytes
}

/// The other side has closed the connection; what it said before is of no interest.
fn is_closed(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

#[test]
fn before_it_is_known_a_peer_may_send_small_frames_only() {
    let _turn = limited();
    let context = zmq::Context::new();
    let curve = context.socket(zmq::ROUTER).unwrap();
    let keys = zmq::CurveKeyPair::new().unwrap();
    curve.set_curve_server(true).unwrap();
    curve.set_curve_secretkey(&keys.secret_key).unwrap();
    curve.bind("tcp://127.0.0.1:*").unwrap();
    let curve_at = curve.get_last_endpoint().unwrap().unwrap();
    let (_plain, plain_at) = bind(&context, zmq::ROUTER);
    for (at, mechanism) in [(&curve_at, "CURVE"), (&plain_at, "NULL")] {
        for size in [4_097, 60 << 20, u64::MAX] {
            let mut stream = raw(at);
            stream.write_all(&greeting(mechanism)).unwrap();
            stream.write_all(&large(4, size)).unwrap();
            assert!(is_closed(&mut stream), "{mechanism} {size}");
        }
        // Small enough to be waited for.
        let mut stream = raw(at);
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        stream.write_all(&greeting(mechanism)).unwrap();
        stream.write_all(&large(4, 4_096)).unwrap();
        assert!(!is_closed(&mut stream), "{mechanism}");
    }
    // Older versions: a signature with the size of the peer's name, and no mechanism.
    let old = |version: Option<u8>, size: u64| {
        let mut bytes = vec![0xff];
        bytes.extend(size.to_be_bytes());
        bytes.push(if version.is_some() { 1 } else { 0 });
        match version {
            // Kind, then the name as the first frame.
            Some(1) => bytes.extend([1, 5, 0, 0]),
            Some(0) => bytes.extend([0, 5, 0xff]),
            _ => {}
        }
        if version == Some(1) {
            bytes.extend(large(0, size));
        } else if version == Some(0) {
            bytes.extend(size.to_be_bytes());
            bytes.push(0);
        }
        bytes
    };
    for version in [None, Some(0), Some(1)] {
        for at in [&curve_at, &plain_at] {
            let mut stream = raw(at);
            let _ = stream.write_all(&[&old(version, 60 << 20)[..], &[0; 300]].concat());
            assert!(is_closed(&mut stream), "{version:?} at {at}");
        }
        // Whatever its size is, without a key there is no way in.
        let mut stream = raw(&curve_at);
        let _ = stream.write_all(&[&old(version, 2)[..], &[0; 300]].concat());
        assert!(is_closed(&mut stream), "{version:?}");
    }
    // Names of old peers, perhaps, that the socket has not read.
    assert!(zmq_sys::zmq_held_bytes() < 4_096, "{}", zmq_sys::zmq_held_bytes());
}

#[test]
fn large_frames_that_are_begun_are_bounded_and_a_small_one_gets_through() {
    let _turn = limited();
    let context = zmq::Context::new();
    let (router, endpoint) = bind(&context, zmq::ROUTER);
    let mut begun: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = shake_hands(&endpoint, b"");
            stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            stream.write_all(&large(0, 1 << 20)).unwrap();
            let _ = stream.write_all(b"x");
            stream
        })
        .collect();
    let refused = begun.iter_mut().filter_map(|stream| is_closed(stream).then_some(())).count();
    assert!(refused > 150, "{refused}");
    assert!(zmq_sys::zmq_held_bytes() <= TOTAL, "{}", zmq_sys::zmq_held_bytes());
    assert!(zmq_sys::zmq_held_bytes() >= 2 << 20, "{}", zmq_sys::zmq_held_bytes());
    let dealer = connect(&context, zmq::DEALER, &endpoint);
    dealer.send("small", 0).unwrap();
    let parts = router.recv_multipart(0).unwrap();
    assert_eq!(parts[1], b"small");
    router.send_multipart(&parts, 0).unwrap();
    assert_eq!(dealer.recv_bytes(0).unwrap(), b"small");
    drop(begun);
    wait_for_none_held();
    dealer.send(vec![1; 1 << 20], 0).unwrap();
    assert_eq!(router.recv_multipart(0).unwrap()[1].len(), 1 << 20);
}

#[test]
fn peers_that_name_themselves_do_no_harm() {
    let _turn = limited();
    let context = zmq::Context::new();
    let (router, endpoint) = bind(&context, zmq::ROUTER);
    let first = connect(&context, zmq::DEALER, &endpoint);
    first.send("a", 0).unwrap();
    let id = router.recv_multipart(0).unwrap().remove(0);
    // What the router would call the next one, and the one after.
    let next = u32::from_be_bytes(id[1..].try_into().unwrap()).wrapping_add(1);
    let named: Vec<TcpStream> = (0..3)
        .map(|n| {
            let mut name = vec![0];
            name.extend((next.wrapping_add(n)).to_be_bytes());
            let mut stream = shake_hands(&endpoint, &name);
            stream.write_all(&[0, 1, b'x']).unwrap();
            assert_eq!(router.recv_multipart(0).unwrap()[0], name);
            stream
        })
        .collect();
    let second = connect(&context, zmq::DEALER, &endpoint);
    second.send("b", 0).unwrap();
    let parts = router.recv_multipart(0).unwrap();
    assert_eq!(parts[1], b"b");
    // A name that is taken, and one that is too long.
    for name in [&parts[0][..], &[7; 300]] {
        let mut stream = shake_hands(&endpoint, name);
        // It may be closed already.
        let _ = stream.write_all(&[0, 1, b'x']);
        router.set_rcvtimeo(100).unwrap();
        assert!(router.recv_multipart(0).is_err());
        assert!(is_closed(&mut stream));
    }
    drop(named);
}

/// The large one has arrived whole; that there is no room for it in the pipe is not its sender's fault.
#[test]
fn a_large_frame_may_wait_for_the_reader_longer_than_it_may_take_to_arrive() {
    let _turn = limited();
    zmq_sys::zmq_limit_frame(FRAME);
    let context = zmq::Context::new();
    let pull = context.socket(zmq::PULL).unwrap();
    pull.set_rcvhwm(1).unwrap();
    pull.set_rcvtimeo(5_000).unwrap();
    pull.bind("tcp://127.0.0.1:*").unwrap();
    let push = connect(&context, zmq::PUSH, &pull.get_last_endpoint().unwrap().unwrap());
    for size in [5, 1 << 20, 4] {
        push.send(vec![7; size], 0).unwrap();
    }
    std::thread::sleep(FRAME * 2);
    for size in [5, 1 << 20, 4] {
        assert_eq!(pull.recv_bytes(0).unwrap().len(), size);
    }
}

#[test]
fn a_large_frame_that_does_not_arrive_ends_its_connection_wherever_it_began() {
    let _turn = limited();
    zmq_sys::zmq_limit_frame(FRAME);
    let context = zmq::Context::new();
    let router = context.socket(zmq::ROUTER).unwrap();
    router.set_rcvhwm(1).unwrap();
    router.set_rcvtimeo(5_000).unwrap();
    router.bind("tcp://127.0.0.1:*").unwrap();
    let mut stream = shake_hands(&router.get_last_endpoint().unwrap().unwrap(), b"");
    // The second message waits for the first to be read, and what follows waits with it.
    let small = [0, 1, b'x'];
    stream.write_all(&[&small, &small, &large(0, 1 << 20)[..], b"begun"].concat()).unwrap();
    for _ in 0..2 {
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(router.recv_multipart(0).unwrap()[1], b"x");
    }
    stream.set_read_timeout(Some(FRAME * 4)).unwrap();
    assert!(is_closed(&mut stream));
    wait_for_none_held();
}

#[test]
fn a_peer_whose_pipe_is_full_is_not_told_to_be_gone() {
    let _turn = limited();
    let context = zmq::Context::new();
    let (router, endpoint) = bind(&context, zmq::ROUTER);
    router.set_router_mandatory(true).unwrap();
    let dealer = connect(&context, zmq::DEALER, &endpoint);
    dealer.send("x", 0).unwrap();
    let id = router.recv_multipart(0).unwrap().remove(0);
    let reply = vec![1; 20_000];
    const REPLIES: usize = 20_000;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..REPLIES {
                dealer.recv_bytes(0).unwrap();
            }
        });
        let mut sent = 0;
        while sent < REPLIES {
            match router.send_multipart([&id[..], &reply], zmq::DONTWAIT) {
                Ok(()) => sent += 1,
                Err(zmq::Error::EAGAIN) => {}
                Err(error) => panic!("{error} after {sent}"),
            }
        }
    });
}

#[test]
fn a_peer_may_be_dropped_for_want_of_room_while_a_message_of_its_was_begun() {
    let _turn = limited();
    zmq_sys::zmq_limit_bytes(PER_PIPE, 256 << 10);
    let context = zmq::Context::new();
    let (router, endpoint) = bind(&context, zmq::ROUTER);
    router.set_router_mandatory(true).unwrap();
    let reply = vec![1; 300 << 10];
    // How many parts of it were read.
    for read in 0..3 {
        let dealer = connect(&context, zmq::DEALER, &endpoint);
        dealer.send("x", 0).unwrap();
        let id = router.recv_multipart(0).unwrap().remove(0);
        dealer.send_multipart(["first", "second"], 0).unwrap();
        // libzmq has fetched the first part now.
        assert_eq!(router.poll(zmq::POLLIN, 5_000).unwrap(), 1);
        for part in [&id[..], b"first"].iter().take(read) {
            assert_eq!(router.recv_bytes(0).unwrap(), *part);
        }
        router.send_multipart([&id[..], &reply], zmq::DONTWAIT).unwrap();
        let rest = [&b"first"[..], b"second"].into_iter().skip(read.saturating_sub(1));
        for part in rest.filter(|_| read > 0) {
            assert_eq!(router.recv_bytes(0).unwrap(), part);
        }
        let begin = Instant::now();
        while router.send_multipart([&id[..], b"small"], zmq::DONTWAIT)
            != Err(zmq::Error::EHOSTUNREACH)
        {
            assert!(begin.elapsed() < Duration::from_secs(5), "still there");
        }
    }
    drop(router);
    wait_for_none_held();
}

/// Lets everybody in, and exempts one.
fn answer_zap(zap: &zmq::Socket, exempt: &[u8]) {
    let Ok(asked) = zap.recv_multipart(0) else { return };
    let user = if asked[6] == exempt { format!("1{}", zmq_sys::ZMQ_EXEMPT) } else { "2".into() };
    let reply: [&[u8]; 6] = [b"1.0", &asked[1], b"200", b"", user.as_bytes(), b""];
    zap.send_multipart(reply, 0).unwrap();
}

#[test]
fn who_is_exempt_gets_through_when_there_is_no_room_for_others() {
    let _turn = limited();
    let context = zmq::Context::new();
    let zap = context.socket(zmq::REP).unwrap();
    zap.set_rcvtimeo(20).unwrap();
    zap.bind("inproc://zeromq.zap.01").unwrap();
    let keys = zmq::CurveKeyPair::new().unwrap();
    let router = context.socket(zmq::ROUTER).unwrap();
    router.set_router_mandatory(true).unwrap();
    router.set_linger(0).unwrap();
    router.set_curve_server(true).unwrap();
    router.set_curve_secretkey(&keys.secret_key).unwrap();
    router.set_zap_domain("test").unwrap();
    router.bind("tcp://127.0.0.1:*").unwrap();
    let endpoint = router.get_last_endpoint().unwrap().unwrap();
    let (_plain, plain_at) = bind(&context, zmq::ROUTER);
    let begun: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = shake_hands(&plain_at, b"");
            stream.write_all(&large(0, 1 << 20)).unwrap();
            stream
        })
        .collect();
    let begin = Instant::now();
    while zmq_sys::zmq_held_bytes() < TOTAL - (2 << 20) {
        assert!(begin.elapsed() < Duration::from_secs(5), "{}", zmq_sys::zmq_held_bytes());
        std::thread::sleep(Duration::from_millis(2));
    }
    let (owner, guest) = (zmq::CurveKeyPair::new().unwrap(), zmq::CurveKeyPair::new().unwrap());
    // More than all others together may still hold.
    let message = vec![1; 3 << 20];
    for (pair, is_let_through) in [(&guest, false), (&owner, true)] {
        let dealer = context.socket(zmq::DEALER).unwrap();
        dealer.set_linger(0).unwrap();
        dealer.set_rcvtimeo(5_000).unwrap();
        dealer.set_curve_serverkey(&keys.public_key).unwrap();
        dealer.set_curve_publickey(&pair.public_key).unwrap();
        dealer.set_curve_secretkey(&pair.secret_key).unwrap();
        dealer.connect(&endpoint).unwrap();
        dealer.send(&message, 0).unwrap();
        let begin = Instant::now();
        let mut arrived = false;
        while !arrived && begin.elapsed() < Duration::from_secs(if is_let_through { 5 } else { 1 })
        {
            answer_zap(&zap, &owner.public_key);
            arrived = router.poll(zmq::POLLIN, 0).unwrap() == 1;
        }
        assert_eq!(arrived, is_let_through);
        if arrived {
            let parts = router.recv_multipart(0).unwrap();
            router.send_multipart(&parts, zmq::DONTWAIT).unwrap();
            assert_eq!(dealer.recv_bytes(0).unwrap().len(), message.len());
        }
    }
    drop(begun);
}
