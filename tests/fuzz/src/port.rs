//! Bytes at the port of a real hub: frames in any number of parts, reports, and plain TCP that
//! speaks ZeroMQ badly or not at all. After each batch the hub answers, and has not grown.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use dhub_proto::Message;
use dhub_proto::wire::{self, request::Body};
use e2e::Hub;

use crate::random::Random;
use crate::run::a_frame;

/// What a hub with a few hundred tasks may take.
const MEMORY_KIB_MAX: u64 = 256 * 1024;
const MESSAGES: usize = 200;
/// The greeting of ZeroMQ's protocol, version 3.1, mechanism NULL.
const GREETING: [u8; 64] = {
    let mut greeting = [0; 64];
    greeting[0] = 0xff;
    greeting[8] = 1;
    greeting[9] = 0x7f;
    greeting[10] = 3;
    greeting[11] = 1;
    greeting[12] = b'N';
    greeting[13] = b'U';
    greeting[14] = b'L';
    greeting[15] = b'L';
    greeting
};
/// A command READY of a DEALER.
const READY: &[u8] = b"\x04\x29\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\0";

pub struct Port {
    hub: Hub,
    corpus: Vec<Vec<u8>>,
    /// To whatever was sent.
    pub replies: u64,
}

impl Port {
    pub fn start(corpus: Vec<Vec<u8>>) -> Self {
        Self { hub: Hub::start(), corpus, replies: 0 }
    }

    /// Messages of this number; panics if the hub does not stand them.
    pub fn batch(&mut self, seed: u64) {
        let mut random = Random::new(seed);
        self.by_zeromq(&mut random);
        for _ in 0..4 {
            self.by_tcp(&mut random);
        }
        let native = self.hub.native();
        match native.ask(Body::Hello(wire::Hello::default())) {
            wire::reply::Body::Welcome(_) => {}
            other => panic!("a Hello was answered with {other:?}"),
        }
        let kib = self.memory_kib();
        assert!(kib <= MEMORY_KIB_MAX, "the hub takes {kib} KiB after batch {seed}");
    }

    fn by_zeromq(&mut self, random: &mut Random) {
        let context = zmq::Context::new();
        let socket = |kind, endpoint: &str| {
            let socket = context.socket(kind).expect("a socket");
            socket.set_linger(2000).expect("an option");
            socket.connect(endpoint).expect("an endpoint");
            socket
        };
        let dealer = socket(zmq::DEALER, &self.hub.tcp());
        let push = socket(zmq::PUSH, &format!("tcp://127.0.0.1:{}", self.hub.port() + 1));
        for _ in 0..MESSAGES {
            let frame = self.frame(random);
            let sent = match random.below(12) {
                0 => push.send(frame, 0),
                1 => push.send_multipart([frame, self.frame(random)], 0),
                // Without the empty part; with one more; many.
                2 => dealer.send(frame, 0),
                3 => dealer.send_multipart([Vec::new(), frame, self.frame(random)], 0),
                4 => {
                    // Many end the connection, and with it all that is on its way.
                    let most = if random.below(200) == 0 { 40 } else { 2 };
                    let parts = (0..random.below(most)).map(|_| self.frame(random));
                    dealer.send_multipart(parts.chain([frame]).collect::<Vec<_>>(), 0)
                }
                _ => dealer.send_multipart([Vec::new(), frame], 0),
            };
            sent.expect("to send");
        }
        // Some read their replies, some never do.
        let reads = random.below(8) > 0;
        while reads && dealer.poll(zmq::POLLIN, 50).is_ok_and(|events| events > 0) {
            dealer.recv_multipart(0).expect("a reply");
            self.replies += 1;
        }
    }

    /// One that is no wish to stop.
    fn frame(&self, random: &mut Random) -> Vec<u8> {
        loop {
            let frame = a_frame(random.number(), &self.corpus);
            let request = wire::Request::decode(frame.as_slice());
            if !matches!(request, Ok(wire::Request { body: Some(Body::Shutdown(_)), .. })) {
                return frame;
            }
        }
    }

    fn by_tcp(&self, random: &mut Random) {
        let port = self.hub.port() + u16::from(random.below(4) == 0);
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the hub's port");
        stream.set_read_timeout(Some(Duration::from_millis(20))).expect("an option");
        let mut bytes = match random.below(4) {
            0 => Vec::new(),
            1 => GREETING[..random.below(64)].to_vec(),
            _ => GREETING.to_vec(),
        };
        if bytes.len() == 64 && random.below(3) > 0 {
            bytes.extend(READY);
        }
        for _ in 0..random.below(20) {
            let frame = self.frame(random);
            // Flags and length, which need not be true.
            match random.below(6) {
                0 => bytes.extend([random.number() as u8, random.number() as u8]),
                1 => {
                    bytes.push(2);
                    bytes.extend(random.number().to_be_bytes());
                }
                2 => bytes.extend([2, 0, 0, 0, 0, 3, 0xff, 0xff, 0xff]),
                _ => {
                    bytes.extend([1, 0, 2]);
                    bytes.extend((frame.len() as u64).to_be_bytes());
                }
            }
            bytes.extend(frame);
        }
        if random.below(4) == 0 && !bytes.is_empty() {
            let at = random.below(bytes.len());
            bytes[at] = random.number() as u8;
        }
        // The hub may hang up at any time.
        let _ = stream.write_all(&bytes);
        let _ = stream.read(&mut [0; 256]);
    }

    fn memory_kib(&mut self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.hub.id()));
        let status = status.expect("a hub that runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("its memory");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
    }

    /// It stops as it should, and leaves a file that is sound.
    pub fn end(mut self) {
        self.hub.terminate().exits(0);
        self.hub.space.run("dhub", &["check", "run.db"]).exits(0);
    }
}
