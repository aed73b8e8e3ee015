//! Bytes that no ZeroMQ library would send.

use std::io::{Read, Write};
use std::net::TcpStream;

use dhub_proto::wire::Counts;
use e2e::{Hub, PATIENCE};

/// ZMTP 3.1 with this mechanism.
fn greeting(mechanism: &[u8]) -> [u8; 64] {
    let mut bytes = [0; 64];
    (bytes[0], bytes[9], bytes[10], bytes[11]) = (0xff, 0x7f, 3, 1);
    bytes[12..12 + mechanism.len()].copy_from_slice(mechanism);
    bytes
}

/// READY, as the command that it is.
fn ready(socket_type: &[u8]) -> Vec<u8> {
    let mut body = b"\x05READY\x0bSocket-Type".to_vec();
    body.extend((socket_type.len() as u32).to_be_bytes());
    body.extend(socket_type);
    [&[4, body.len() as u8], body.as_slice()].concat()
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    stream
}

/// A connection whose handshake is over.
fn welcome(port: u16, socket_type: &[u8]) -> TcpStream {
    let mut stream = connect(port);
    stream.write_all(&greeting(b"NULL")).unwrap();
    stream.write_all(&ready(socket_type)).unwrap();
    let mut answer = [0; 66];
    stream.read_exact(&mut answer).unwrap();
    let mut rest = vec![0; answer[65].into()];
    stream.read_exact(&mut rest).unwrap();
    assert!(rest.starts_with(b"\x05READY"), "{rest:?}");
    stream
}

/// Reads until the hub hangs up.
#[track_caller]
fn hub_hangs_up(mut stream: TcpStream) {
    let mut bytes = [0; 1024];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return,
            Err(error) => panic!("the hub keeps the connection: {error}"),
        }
    }
}

#[track_caller]
fn serves_others(hub: &Hub) {
    assert_eq!(hub.native().counts(), Counts::default());
}

#[test]
fn who_does_not_finish_the_handshake_is_dropped() {
    let hub = Hub::start();
    let whole = [&greeting(b"NULL")[..], &ready(b"DEALER")].concat();
    let mut waiting = Vec::new();
    for port in [hub.port(), hub.port() + 1] {
        for bytes in [0, 1, 10, 11, 63, 64, 70, whole.len() - 1] {
            let mut stream = connect(port);
            stream.write_all(&whole[..bytes]).unwrap();
            waiting.push(stream);
        }
    }
    serves_others(&hub);
    waiting.into_iter().for_each(hub_hangs_up);
    serves_others(&hub);
}

#[test]
fn handshakes_of_another_kind_are_dropped() {
    let hub = Hub::start();
    let huge = b"\x04\x20\x05READY\x0bSocket-Type\xff\xff\xff\xffDEALER".to_vec();
    let endless = [&[6][..], &[0xff; 8], b"\x05READY"].concat();
    let message = b"\x00\x05hello".to_vec();
    let types = [&b"PUB"[..], b"SUB", b"PAIR", b"STREAM", b"", &[b'x'; 200]].map(ready);
    let commands: Vec<_> = types.into_iter().chain([huge, endless, message]).collect();
    let mut waiting = Vec::new();
    // The hub may hang up while we talk.
    let mut talk = |port, mechanism: &[u8], command: &[u8]| {
        let mut stream = connect(port);
        let _ = stream.write_all(&greeting(mechanism));
        let _ = stream.write_all(command);
        waiting.push(stream);
    };
    for port in [hub.port(), hub.port() + 1] {
        for mechanism in [&b"CURVE"[..], b"PLAIN", b"GSSAPI", b"", &[0xff; 20]] {
            talk(port, mechanism, &ready(b"DEALER"));
        }
        commands.iter().for_each(|command| talk(port, b"NULL", command));
    }
    waiting.into_iter().for_each(hub_hangs_up);
    serves_others(&hub);
}

#[test]
fn bytes_of_any_kind_leave_the_hub_alive() {
    let hub = Hub::start();
    let mut random = Random(1);
    for port in [hub.port(), hub.port() + 1] {
        for _ in 0..100 {
            let mut stream = connect(port);
            // It hangs up as soon as it cannot be ZMTP.
            let _ = stream.write_all(&random.bytes(2_000));
        }
    }
    serves_others(&hub);
}

#[test]
fn frames_of_any_kind_after_the_handshake_leave_the_hub_alive() {
    let hub = Hub::start();
    let mut random = Random(2);
    for (port, socket_type) in [(hub.port(), &b"DEALER"[..]), (hub.port() + 1, b"PUSH")] {
        for _ in 0..100 {
            let mut stream = welcome(port, socket_type);
            for _ in 0..20 {
                // Last or more, short or long, command or not; reserved bits now and then.
                let flags = (random.next() % 8) as u8
                    | if random.next().is_multiple_of(16) { 0x40 } else { 0 };
                let body = random.bytes(300);
                let length = match random.next() % 8 {
                    0 => random.next(),
                    _ => body.len() as u64,
                };
                let mut frame = vec![flags];
                match flags & 2 {
                    0 => frame.push(length as u8),
                    _ => frame.extend(length.to_be_bytes()),
                }
                frame.extend(body);
                let _ = stream.write_all(&frame);
            }
        }
    }
    serves_others(&hub);
}

#[test]
fn commands_that_make_no_sense_leave_the_hub_alive() {
    let hub = Hub::start();
    let commands: [&[u8]; 9] = [
        b"",
        b"\x04PING",
        b"\x04PING\x00",
        b"\x04PING\x00\x01\x02345678901234567890",
        b"\x04PONG",
        b"\x05READY",
        b"\x05ERROR\xff",
        b"\x09SUBSCRIBEx",
        b"\xffPING",
    ];
    for (port, socket_type) in [(hub.port(), &b"DEALER"[..]), (hub.port() + 1, b"PUSH")] {
        for command in commands {
            let mut stream = welcome(port, socket_type);
            let _ = stream.write_all(&[4, command.len() as u8]);
            let _ = stream.write_all(command);
            let _ = stream.write_all(b"\x01\x00\x00\x02\x40\x07");
        }
    }
    serves_others(&hub);
}

/// A small generator of numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 20
    }

    fn bytes(&mut self, max: u64) -> Vec<u8> {
        let count = self.next() % max;
        (0..count).map(|_| self.next() as u8).collect()
    }
}

/// 64 bytes of memory for each part, if it is kept.
#[test]
fn a_message_that_never_ends_is_not_kept() {
    let hub = Hub::start();
    for (part, size) in [(&b"\x01\x00"[..], 2), (&[&b"\x01\xff"[..], &[7; 255]].concat(), 257)] {
        assert_eq!(part.len(), size);
        let mut stream = welcome(hub.port(), b"DEALER");
        let parts = part.repeat(1_000);
        // Until the hub has had enough, which it has long before.
        let ended = (0..100_000).find_map(|_| stream.write_all(&parts).err());
        assert!(ended.is_some(), "a hundred million parts are taken");
    }
    serves_others(&hub);
}
