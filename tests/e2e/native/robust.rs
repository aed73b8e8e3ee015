//! No input from outside stops the hub.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dhub_proto::Message;
use dhub_proto::limits::MESSAGE_BYTES_MAX;
use dhub_proto::wire::*;
use e2e::{Hub, outcome_done, task, worker};
use rustix::process::{Pid, Signal, kill_process};

/// A native request whose body no hub of this version knows: field 99, with a message in it.
const OF_THE_FUTURE: [u8; 5] = [0x40, 7, 0x9a, 0x06, 0];

#[test]
fn a_request_that_is_not_known_is_unsupported() {
    let hub = Hub::start();
    let native = hub.native();
    for frame in [&OF_THE_FUTURE[..], &[0x40, 7]] {
        native.send_parts(&[&[], frame]);
        let reply = native.receive();
        let Some(reply::Body::Error(error)) = reply.body else { panic!("no error") };
        assert_eq!((reply.id, error.code()), (7, ErrorCode::ErrorUnsupported));
    }
}

#[test]
fn a_native_request_of_several_parts_is_invalid() {
    let hub = Hub::start();
    let native = hub.native();
    native.send_parts(&[&[], &OF_THE_FUTURE, &OF_THE_FUTURE]);
    let Some(reply::Body::Error(error)) = native.receive().body else { panic!("no error") };
    assert_eq!(error.code(), ErrorCode::ErrorInvalid);
}

#[test]
fn frames_cut_off_anywhere_leave_the_hub_alive() {
    let hub = Hub::start();
    let native = hub.native();
    let create = Create { tasks: vec![task("a", &["b", "c"])] };
    let whole = Request { id: 1, body: Some(request::Body::Create(create)), ..Request::default() }
        .encode_to_vec();
    for end in 0..whole.len() {
        native.send_parts(&[&[], &whole[..end]]);
        native.skip_reply();
    }
    assert_eq!(native.counts(), Counts::default());
}

#[test]
fn parts_in_any_number_leave_the_hub_alive() {
    let hub = Hub::start();
    let native = hub.native();
    let parts: [&[&[u8]]; 6] =
        [&[&[]], &[&[], &[]], &[&[], &[], &[]], &[b"x"], &[b"x", b"y"], &[&[], b"x", b"y", b"z"]];
    for parts in parts {
        native.send_parts(parts);
    }
    let other = hub.native();
    assert_eq!(other.counts(), Counts::default());
}

#[test]
fn a_message_over_the_limit_leaves_the_hub_alive() {
    let hub = Hub::start();
    let native = hub.native();
    native.send_parts(&[&[], &vec![0xff; MESSAGE_BYTES_MAX + 1]]);
    assert_eq!(hub.native().counts(), Counts::default());
}

#[test]
fn reports_that_cannot_be_read_are_dropped() {
    let hub = Hub::start();
    let push = zmq::Context::new().socket(zmq::PUSH).unwrap();
    push.connect(&format!("tcp://127.0.0.1:{}", hub.port() + 1)).unwrap();
    let nobody = report::Body::Heartbeat(Heartbeat::default());
    let nobody = Report { body: Some(nobody) }.encode_to_vec();
    for frame in [&[][..], &[0xff; 64], b"GET / HTTP/1.1\r\n\r\n", &nobody] {
        push.send(frame, 0).unwrap();
        push.send_multipart([frame, frame], 0).unwrap();
    }
    // After those it hears one that makes sense, of a worker that it knows.
    let native = hub.native();
    native.create(&[task("a", &[])]);
    native.steal_one(&e2e::worker(1));
    let note = "I am here".to_owned();
    let known = Heartbeat { worker: Some(e2e::worker(1)), note, ..Heartbeat::default() };
    let known = Report { body: Some(report::Body::Heartbeat(known)) };
    push.send(known.encode_to_vec(), 0).unwrap();
    let is_heard = || native.status().workers.iter().any(|worker| worker.note == "I am here");
    e2e::eventually("the note", || is_heard().then_some(()));
}

#[test]
fn who_speaks_another_protocol_leaves_the_hub_alive() {
    use std::io::Write;
    let hub = Hub::start();
    for port in [hub.port(), hub.port() + 1] {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        // The other end may hang up while we talk.
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n");
        let _ = stream.write_all(&[0xff; 100_000]);
    }
    assert_eq!(hub.native().counts(), Counts::default());
}

#[test]
fn idle_connections_hinder_nobody() {
    let hub = Hub::start();
    let connect = |_| std::net::TcpStream::connect(("127.0.0.1", hub.port())).expect("connection");
    let idle: Vec<_> = (0..500).map(connect).collect();
    assert_eq!(hub.native().create(&[task("a", &[])]).added, 1);
    drop(idle);
    assert_eq!(hub.native().counts().ready, 1);
}

/// A signal that the hub catches makes each of libzmq's calls give up, between two parts of a message
/// too. SIGXFSZ is caught and means nothing: no different from the one that a hub is ended by.
#[test]
fn signals_neither_end_a_hub_nor_garble_its_replies() {
    let mut hub = Hub::start();
    let pid = Pid::from_raw(hub.id() as i32).expect("a process");
    let native = hub.native();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) && kill_process(pid, Signal::XFSZ).is_ok() {
                std::thread::sleep(Duration::from_micros(20));
            }
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for n in 0..500 {
                native.create(&[task(&format!("t{n}"), &[])]);
                let lease = native.steal_one(&worker(1));
                assert_eq!(native.report(&worker(1), vec![outcome_done(&lease)]), []);
            }
        }));
        over.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    assert_eq!(native.counts().done, 500);
    hub.terminate().exits(0);
}
