//! What is shared by all who connect is shared by users, however many connections each has.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use crate::wire::{is_closed, large, shake_hands};
use crate::zap::{Curve, Zap, echo, router_of};
use crate::{PER_PIPE, TOTAL, connect, limited, wait_for_none_held};

const MIB: usize = 1 << 20;
/// An eighth of all, less what the messages of a handshake take.
const ANNOUNCED: u64 = TOTAL / 8 - 10_000;

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

#[test]
fn small_messages_of_many_connections_leave_room_for_those_of_others() {
    let _turn = limited();
    zmq_sys::zmq_limit_bytes(PER_PIPE, 512 << 10);
    let context = zmq::Context::new();
    let _zap = Zap::new(&context);
    let (crowded, endpoint) = router_of(&context, "crowd");
    // Those that always get through, and are not received.
    let small = vec![1; 3_900];
    let message = [&[2][..], &3_900_u64.to_be_bytes(), &small].concat();
    let mut crowd: Vec<TcpStream> = (0..200).map(|_| shake_hands(&endpoint, b"")).collect();
    crowd.iter_mut().for_each(|stream| stream.write_all(&message).unwrap());
    let (router, endpoint) = router_of(&context, "quiet");
    let quiet = connect(&context, zmq::DEALER, &endpoint);
    echo(&router, &quiet, 100_000);
    for _ in &crowd {
        assert_eq!(crowded.recv_multipart(0).unwrap()[1], small);
    }
    drop((crowd, crowded, quiet, router));
    wait_for_none_held();
}
