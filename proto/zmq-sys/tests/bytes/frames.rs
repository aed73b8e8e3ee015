//! Frames that are announced, and do not come.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use crate::wire::{greeting, is_closed, large, raw, shake_hands};
use crate::{TOTAL, bind, connect, limited, wait_for_none_held};

/// For a large frame to arrive.
const FRAME: Duration = Duration::from_secs(1);

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
