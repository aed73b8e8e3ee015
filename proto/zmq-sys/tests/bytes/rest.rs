//! From users at rest nothing is received, at sockets where others go on.

use std::time::{Duration, Instant};

use crate::zap::{Curve, KEYS, Zap, echo};
use crate::{PER_PIPE, connect, limited, wait_for_none_held};

const BYTES: usize = 20_000;

fn wake(socket: &mut zmq::Socket) {
    // SAFETY: the socket is open and used by this thread alone.
    unsafe { zmq_sys::zmq_wake(socket.as_mut_ptr()) };
}

/// Sends until nothing more is taken for a while; how many messages were.
fn fill(dealer: &zmq::Socket) -> u32 {
    let (mut sent, mut taken) = (0_u32, Instant::now());
    while taken.elapsed() < Duration::from_millis(300) {
        let message = [&sent.to_be_bytes()[..], &[0; BYTES]].concat();
        match dealer.send(message, zmq::DONTWAIT) {
            Ok(()) => (sent, taken) = (sent + 1, Instant::now()),
            Err(zmq::Error::EAGAIN) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => panic!("{error}"),
        }
        assert!(sent < 10_000, "it is received");
    }
    sent
}

#[test]
fn one_at_rest_keeps_what_it_sends_and_others_go_on() {
    let _turn = limited();
    let context = zmq::Context::new();
    let _zap = Zap::new(&context);
    let mut hub = Curve::new(&context, KEYS);
    let pairs = [(); 2].map(|()| zmq::CurveKeyPair::new().unwrap());
    let [lazy, other] = pairs.each_ref().map(|pair| hub.connect(&context, pair));
    lazy.set_sndhwm(10).unwrap();
    let second = hub.connect(&context, &pairs[0]);
    for dealer in [&lazy, &other, &second] {
        echo(&hub.router, dealer, 10);
    }
    for round in 0..3 {
        zmq_sys::zmq_rest(&pairs[0].public_key, true);
        let sent = fill(&lazy);
        second.send("too", 0).unwrap();
        let held = zmq_sys::zmq_held_bytes();
        assert!(held <= PER_PIPE + 2 * BYTES as u64, "round {round}: {held} bytes are held");
        // Nothing but what others send.
        echo(&hub.router, &other, 10);
        assert!(!hub.router.get_events().unwrap().contains(zmq::POLLIN));
        // One who rests may be told by any thread that it does no more; the socket, when it is asked.
        zmq_sys::zmq_rest(&pairs[0].public_key, false);
        wake(&mut hub.router);
        let (mut next, mut has_second) = (0, false);
        while next < sent || !has_second {
            let parts = hub.router.recv_multipart(0).expect("all of it");
            match parts[1].as_slice() {
                b"too" => has_second = true,
                it => {
                    assert_eq!(it[..4], u32::to_be_bytes(next), "in its order");
                    next += 1;
                }
            }
        }
        echo(&hub.router, &lazy, BYTES);
    }
    drop((lazy, other, second, hub));
    wait_for_none_held();
}

/// What they sent is in memory until it is read, whoever is gone.
#[test]
fn those_that_are_gone_are_read_whatever_rests() {
    let _turn = limited();
    let context = zmq::Context::new();
    let _zap = Zap::new(&context);
    let mut hub = Curve::new(&context, KEYS);
    let pair = zmq::CurveKeyPair::new().unwrap();
    let gone = hub.connect(&context, &pair);
    echo(&hub.router, &gone, 10);
    zmq_sys::zmq_rest(&pair.public_key, true);
    for _ in 0..3 {
        gone.send("last words", 0).unwrap();
    }
    hub.router.set_rcvtimeo(300).unwrap();
    assert_eq!(hub.router.recv_multipart(0), Err(zmq::Error::EAGAIN), "it rests");
    gone.set_linger(1_000).unwrap();
    drop(gone);
    let begin = Instant::now();
    let mut heard = 0;
    while heard < 3 {
        assert!(begin.elapsed() < Duration::from_secs(20), "{heard} are heard");
        // As at the end of a rest, of which there is another at once.
        wake(&mut hub.router);
        heard += u32::from(hub.router.recv_multipart(0).is_ok());
    }
    zmq_sys::zmq_rest(&pair.public_key, false);
    drop(hub);
    wait_for_none_held();
}

#[test]
fn one_that_leaves_at_rest_leaves_nothing_behind() {
    let _turn = limited();
    let context = zmq::Context::new();
    let _zap = Zap::new(&context);
    let mut hub = Curve::new(&context, KEYS);
    let pairs = [(); 2].map(|()| zmq::CurveKeyPair::new().unwrap());
    let [gone, other] = pairs.each_ref().map(|pair| hub.connect(&context, pair));
    echo(&hub.router, &gone, 10);
    zmq_sys::zmq_rest(&pairs[0].public_key, true);
    fill(&gone);
    echo(&hub.router, &other, 10);
    // SAFETY: the socket is open and used by this thread alone.
    let is_dropped =
        unsafe { zmq_sys::zmq_drop_user(hub.router.as_mut_ptr(), &pairs[0].public_key) };
    assert!(is_dropped);
    drop(gone);
    echo(&hub.router, &other, 10);
    zmq_sys::zmq_rest(&pairs[0].public_key, false);
    wake(&mut hub.router);
    echo(&hub.router, &other, 10);
    assert!(!hub.router.get_events().unwrap().contains(zmq::POLLIN));
    // A plain one, as nobody has limits or a rest there.
    let (router, endpoint) = crate::bind(&context, zmq::ROUTER);
    echo(&router, &connect(&context, zmq::DEALER, &endpoint), 10);
    drop((other, hub));
    wait_for_none_held();
}
