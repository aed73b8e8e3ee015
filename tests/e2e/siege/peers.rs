//! Those who attack.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dhub_proto::Message;
use dhub_proto::find::Target;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::{Create, Request, Status, Task};
use fastrand::Rng;

/// Connections of one kind at a time.
const BATCH: usize = 24;

/// One batch after the other, until it is over.
pub fn attack(
    mut rng: Rng,
    port: u16,
    targets: &[Target],
    over: &AtomicBool,
    connections: &AtomicU64,
) {
    let context = zmq::Context::new();
    while !over.load(Ordering::Relaxed) {
        match rng.u8(..3) {
            0 => raw(&mut rng, port),
            1 => reset_with_a_key(&mut rng, port, targets, &context),
            _ => with_a_key(&mut rng, targets, &context),
        }
        connections.fetch_add(BATCH as u64, Ordering::Relaxed);
    }
}

/// Bytes that begin as ZMTP does, cut off somewhere, and an end of some kind.
fn raw(rng: &mut Rng, port: u16) {
    let mut streams: Vec<TcpStream> = (0..BATCH)
        .filter_map(|_| TcpStream::connect(("127.0.0.1", port + u16::from(rng.bool()))).ok())
        .collect();
    for stream in &mut streams {
        let mut bytes = greeting(["CURVE", "NULL", "PLAIN"][rng.usize(..3)]);
        match rng.u8(..4) {
            // A large frame that is never sent.
            0 => bytes.extend([6, 0, 0, 0, 0, 3, 0x93, 0x87, 0]),
            // HELLO, of noise.
            1 => {
                bytes.extend([4, 200]);
                bytes.extend(b"\x05HELLO\x01\x00");
                bytes.extend(std::iter::repeat_with(|| rng.u8(..)).take(192));
            }
            // An old version, and another large frame.
            2 => {
                bytes = vec![0xff, 0, 0, 0, 0, 3, 0x93, 0x87, 0, rng.u8(..2), rng.u8(..3), 5];
                bytes.extend(std::iter::repeat_with(|| rng.u8(..)).take(30));
            }
            _ => bytes.truncate(rng.usize(..64)),
        }
        // The hub may have closed it.
        let _ = stream.write_all(&bytes);
    }
    std::thread::sleep(Duration::from_millis(rng.u64(..20)));
    streams.into_iter().for_each(|stream| end(rng, &stream));
}

fn end(rng: &mut Rng, stream: &TcpStream) {
    match rng.u8(..3) {
        0 => drop(rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO))),
        1 => drop(stream.shutdown(std::net::Shutdown::Write)),
        _ => {}
    }
}

fn greeting(mechanism: &str) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    (bytes[0], bytes[9], bytes[10], bytes[11]) = (0xff, 0x7f, 3, 1);
    bytes[12..12 + mechanism.len()].copy_from_slice(mechanism.as_bytes());
    bytes
}

fn dealer(
    target: &Target,
    endpoint: &str,
    context: &zmq::Context,
) -> Result<zmq::Socket, zmq::Error> {
    let keys = target.keys.as_ref().expect("keys");
    let socket = context.socket(zmq::DEALER)?;
    socket.set_linger(0)?;
    socket.set_rcvhwm(1)?;
    socket.set_sndhwm(5)?;
    socket.set_sndtimeo(50)?;
    keys.apply(&socket)?;
    socket.connect(endpoint)?;
    Ok(socket)
}

/// What is denied, or answered at length, and large.
fn request(rng: &mut Rng) -> Vec<u8> {
    let tasks = |count: usize| {
        let task = |n| Task { name: format!("q{n}"), needs: vec!["a".into()], ..Task::default() };
        Body::Create(Create { tasks: (0..count).map(task).collect() })
    };
    let body = match rng.u8(..3) {
        0 => tasks(rng.usize(..20_000)),
        1 => tasks(10),
        _ => Body::Status(Status {}),
    };
    Request { id: 1, body: Some(body), ..Request::default() }.encode_to_vec()
}

/// Sends what it may not, reads nothing, and goes.
fn with_a_key(rng: &mut Rng, targets: &[Target], context: &zmq::Context) {
    let target = &targets[rng.usize(..targets.len())];
    let sockets: Vec<_> =
        (0..BATCH).filter_map(|_| dealer(target, &target.endpoint, context).ok()).collect();
    let frame = request(rng);
    let until = Instant::now() + Duration::from_millis(rng.u64(10..600));
    while Instant::now() < until {
        for socket in &sockets {
            let _ = socket.send_multipart([&b""[..], &frame], zmq::DONTWAIT);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The same through a relay that cuts the connection off: in the middle of frames, with a reset.
fn reset_with_a_key(rng: &mut Rng, port: u16, targets: &[Target], context: &zmq::Context) {
    let target = &targets[rng.usize(..targets.len())];
    let Ok(listener) = std::net::TcpListener::bind("127.0.0.1:0") else { return };
    let Ok(address) = listener.local_addr() else { return };
    let endpoint = format!("tcp://{address}");
    let Ok(socket) = dealer(target, &endpoint, context) else { return };
    let frame = request(rng);
    for _ in 0..BATCH {
        // A client that may take in no more does not notice that it was cut off.
        while socket.recv_multipart(zmq::DONTWAIT).is_ok() {}
        let Some(client) = accept(&listener) else { return };
        let Ok(hub) = TcpStream::connect(("127.0.0.1", port)) else { return };
        for _ in 0..5 {
            let _ = socket.send_multipart([&b""[..], &frame], zmq::DONTWAIT);
        }
        relay(&client, &hub, rng.usize(64..200_000), Duration::from_millis(rng.u64(5..60)));
        end(rng, &hub);
        end(rng, &client);
    }
}

/// The next connection, if it comes soon.
fn accept(listener: &std::net::TcpListener) -> Option<TcpStream> {
    listener.set_nonblocking(true).ok()?;
    let until = Instant::now() + Duration::from_millis(300);
    while Instant::now() < until {
        if let Ok((client, _)) = listener.accept() {
            client.set_nonblocking(false).ok()?;
            return Some(client);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}

/// Passes on what comes, both ways, until so many bytes went to the hub, or the time is over.
fn relay(mut client: &TcpStream, mut hub: &TcpStream, mut bytes: usize, time: Duration) {
    let until = Instant::now() + time;
    let mut buffer = [0; 16 << 10];
    for stream in [client, hub] {
        if stream.set_read_timeout(Some(Duration::from_millis(1))).is_err()
            || stream.set_write_timeout(Some(Duration::from_millis(10))).is_err()
        {
            return;
        }
    }
    while bytes > 0 && Instant::now() < until {
        if let Ok(n) = client.read(&mut buffer) {
            let n = n.min(bytes);
            if hub.write_all(&buffer[..n]).is_err() {
                return;
            }
            bytes -= n;
        }
        if let Ok(n) = hub.read(&mut buffer)
            && client.write_all(&buffer[..n]).is_err()
        {
            return;
        }
    }
}

/// One connection that sends what is denied for 14 s and then is gone, at a hub that reads no more
/// from it: at 15 s a ping is due.
pub fn flood_until_the_ping(target: &Target) {
    let context = zmq::Context::new();
    let socket = dealer(target, &target.endpoint, &context).expect("a socket");
    let task =
        |n| Task { name: format!("q{n}"), needs: vec!["a".into(), "b".into()], ..Task::default() };
    let body = Body::Create(Create { tasks: (0..60_000).map(task).collect() });
    let frame = Request { id: 1, body: Some(body), ..Request::default() }.encode_to_vec();
    let until = Instant::now() + Duration::from_secs(14);
    while Instant::now() < until {
        if socket.send_multipart([&b""[..], &frame], zmq::DONTWAIT).is_err() {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
