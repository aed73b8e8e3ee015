//! Connections that do not say who they are: only so many of them are let in, and they make way for others.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const MOST: usize = 20;

/// The other side said that it is full, and closed it.
fn is_refused(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut greeting = [0; 10];
    stream.read_exact(&mut greeting).unwrap();
    let is_full = greeting == zmq_sys::ZMQ_FULL;
    assert!(!is_full || is_closed(stream));
    is_full
}

fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 64]) {
        Ok(bytes) => bytes == 0,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            true
        }
    }
}

fn await_one_let_in(address: &str) -> TcpStream {
    let begin = Instant::now();
    loop {
        let mut stream = TcpStream::connect(address).unwrap();
        if !is_refused(&mut stream) {
            return stream;
        }
        assert!(begin.elapsed() < Duration::from_secs(5), "there is room");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn so_many_are_let_in_and_more_as_soon_as_some_are_known_or_gone_or_have_had_their_time() {
    zmq_sys::zmq_limit_handshakes(MOST as u32);
    let context = zmq::Context::new();
    let router = context.socket(zmq::ROUTER).unwrap();
    router.set_handshake_ivl(60_000).unwrap();
    router.set_rcvtimeo(5_000).unwrap();
    router.bind("tcp://127.0.0.1:*").unwrap();
    let endpoint = router.get_last_endpoint().unwrap().unwrap();
    let address = endpoint.trim_start_matches("tcp://");
    // Those who are known do not count, whatever the version of what they speak.
    let clients: Vec<zmq::Socket> = (0..MOST)
        .map(|_| {
            let client = context.socket(zmq::DEALER).unwrap();
            client.set_linger(0).unwrap();
            client.set_rcvtimeo(5_000).unwrap();
            client.connect(&endpoint).unwrap();
            client.send("x", 0).unwrap();
            router.recv_multipart(0).unwrap();
            client
        })
        .collect();
    let old: Vec<TcpStream> = (0..MOST)
        .map(|_| {
            let mut stream = await_one_let_in(address);
            // ZMTP 2.0, and not the name that is to follow; what comes back is a greeting.
            stream.write_all(&[0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 1, 5]).unwrap();
            stream
        })
        .collect();
    let silent: Vec<TcpStream> = (0..MOST).map(|_| await_one_let_in(address)).collect();
    // Those that have had some time make way, one after the other; until then nobody else is let in.
    let before = zmq_sys::zmq_connections_refused();
    let mut newer = Vec::new();
    while newer.len() < MOST || zmq_sys::zmq_connections_refused() == before {
        newer.push(await_one_let_in(address));
        assert!(newer.len() < 500, "each of them finds one that has had its time");
    }
    for mut stream in silent {
        assert!(is_closed(&mut stream));
    }
    clients[0].send("y", 0).unwrap();
    assert_eq!(router.recv_multipart(0).unwrap()[1], b"y");
    drop(newer);
    drop(await_one_let_in(address));
    drop(old);
}
