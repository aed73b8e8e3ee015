//! Sockets of the wrong kind, frames of the wrong size and number.

use dhub_proto::limits::MESSAGE_BYTES_MAX;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::{Counts, ErrorCode, Status, reply};
use e2e::{Hub, PATIENCE};

use crate::memory::{MIB, rss};

fn dealer(hub: &Hub) -> zmq::Socket {
    let socket = zmq::Context::new().socket(zmq::DEALER).unwrap();
    socket.set_linger(0).unwrap();
    socket.set_rcvtimeo(PATIENCE.as_millis() as i32).unwrap();
    socket.connect(&hub.tcp()).unwrap();
    socket
}

#[test]
fn sockets_of_the_wrong_kind_leave_the_hub_alive() {
    let hub = Hub::start();
    let context = zmq::Context::new();
    let mut sockets = Vec::new();
    for port in [hub.port(), hub.port() + 1] {
        for kind in [zmq::PUB, zmq::PUSH, zmq::DEALER, zmq::REQ, zmq::ROUTER, zmq::PAIR, zmq::XPUB]
        {
            let socket = context.socket(kind).unwrap();
            socket.set_linger(0).unwrap();
            socket.connect(&format!("tcp://127.0.0.1:{port}")).unwrap();
            for _ in 0..100 {
                // What is refused by our own side is none of the hub's.
                let _ = socket.send_multipart([&b""[..], b"\x40\x07"], zmq::DONTWAIT);
            }
            sockets.push(socket);
        }
    }
    for _ in 0..10 {
        assert_eq!(hub.native().counts(), Counts::default());
    }
}

#[test]
fn a_message_of_just_the_limit_is_answered_and_one_byte_more_is_not() {
    let hub = Hub::start();
    let native = hub.native();
    native.send_parts(&[&[], &vec![0xff; MESSAGE_BYTES_MAX]]);
    native.skip_reply();
    // As a native request of one long field.
    let mut frame = vec![0x40, 7, 0x9a, 0x06];
    let length = MESSAGE_BYTES_MAX - frame.len() - 4;
    frame.extend([0, 7, 14, 21].map(|shift| (length >> shift) as u8 | 0x80));
    frame[7] &= 0x7f;
    frame.resize(MESSAGE_BYTES_MAX, 0);
    native.send_parts(&[&[], &frame]);
    let Some(reply::Body::Error(error)) = native.receive().body else { panic!("no error") };
    assert_eq!(error.code(), ErrorCode::ErrorUnsupported);
    frame.push(0);
    let other = hub.native();
    other.send_parts(&[&[], &frame]);
    assert_eq!(native.counts(), Counts::default());
    assert!(!other.has_reply(500));
}

/// A peer that has more than a few bytes to say before the last part is hung up on.
#[test]
fn a_message_of_very_many_parts_ends_its_connection_and_takes_no_memory() {
    let mut hub = Hub::start();
    let id = hub.id();
    let native = hub.native();
    let before = rss(id);
    for _ in 0..10 {
        let socket = dealer(&hub);
        socket.send("", zmq::SNDMORE).unwrap();
        for _ in 1..100_000 {
            socket.send(&b"\x40\x07"[..], zmq::SNDMORE).unwrap();
        }
        socket.send(&b"\x40\x07"[..], 0).unwrap();
        socket.set_rcvtimeo(200).unwrap();
        assert_eq!(socket.recv_multipart(0), Err(zmq::Error::EAGAIN));
        native.ask(Body::Status(Status {}));
    }
    let grown = rss(id).saturating_sub(before);
    eprintln!("100,000 parts, ten times: {} MiB more", grown / MIB);
    assert!(grown < 20 * MIB, "{grown} bytes");
}
