//! Who is dropped: a user, or a peer for whose reply there is no room.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::wire::{is_closed, shake_hands_as};
use crate::zap::{Curve, KEYS, Zap, bind_for, echo, router_of};
use crate::{PER_PIPE, connect, limited, wait_for_none_held};

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

#[test]
fn a_peer_may_be_dropped_for_want_of_room_while_a_message_of_its_was_begun() {
    let _turn = limited();
    zmq_sys::zmq_limit_bytes(PER_PIPE, 256 << 10);
    let context = zmq::Context::new();
    let _zap = Zap::new(&context);
    let (router, endpoint) = router_of(&context, "dropped");
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

#[test]
fn users_may_be_dropped_at_any_moment() {
    let _turn = limited();
    let context = zmq::Context::new();
    let zap = Zap::new(&context);
    let (mut router, endpoint) = router_of(&context, "busy");
    router.set_rcvtimeo(5).unwrap();
    let end = Instant::now() + Duration::from_secs(3);
    std::thread::scope(|scope| {
        for peer in 0..4 {
            let (context, endpoint) = (&context, &endpoint);
            scope.spawn(move || {
                let dealer = connect(context, zmq::DEALER, endpoint);
                dealer.set_rcvhwm(2).unwrap();
                for size in (0..).map(|n| [1, 3_000, 100_000, 400_000][(n + peer) % 4]) {
                    let _ = dealer.send_multipart([b"", &vec![1; size][..]], zmq::DONTWAIT);
                    // Two of them read what comes back.
                    while peer % 2 == 0 && dealer.recv_multipart(zmq::DONTWAIT).is_ok() {}
                    std::thread::sleep(Duration::from_micros(500));
                    if Instant::now() > end {
                        break;
                    }
                }
            });
        }
        let (mut received, mut dropped, mut postponed) = (0, 0, 0);
        while Instant::now() < end {
            for n in 0..20 {
                let Ok(id) = router.recv_bytes(0) else { continue };
                if n % 7 == 0 {
                    assert!(!drop_user(&mut router, b"busy"), "its message is not all received");
                    postponed += 1;
                }
                let mut parts = router.recv_multipart(0).unwrap();
                received += 1;
                parts.insert(0, id);
                let _ = router.send_multipart(&parts, zmq::DONTWAIT);
            }
            dropped += u32::from(drop_user(&mut router, b"busy"));
        }
        assert!(received > 50 && dropped > 20 && postponed > 5, "{received} {dropped} {postponed}");
    });
    drop((router, zap));
    drop(context);
    wait_for_none_held();
}
