//! Whatever the sizes: all arrives, or waits.

use std::time::{Duration, Instant};

use crate::{TOTAL, bind, connect, limited, wait_for_none_held};

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
