//! What was answered holds, whatever happens to the hub.

use dhub_proto::Message;
use dhub_proto::dwork::QueryMsg;
use dhub_proto::dwork::query_msg::Type;
use e2e::{Hub, dwork_reply, dwork_task};

#[test]
fn assignments_survive_a_kill() {
    let mut hub = Hub::start();
    let dwork = hub.dwork();
    for name in ["a", "b", "c"] {
        dwork.create(name, &[]);
    }
    dwork.create("after", &["a", "b"]);
    assert_eq!(dwork.steal("w1", 2), Ok(vec!["a".into(), "b".into()]));
    dwork.complete("w1", &["a"]);
    hub.restart();
    let dwork = hub.dwork();
    assert_eq!(dwork.status(), (1, "dhub: 3 active tasks, 1 ready.".into()));
    assert_eq!(dwork.steal("w2", 5), Ok(vec!["c".into()]), "a is done, b is held");
    assert_eq!(dwork.complete("w2", &["b"]).r#type(), Type::Error);
    assert_eq!(dwork.complete("w1", &["b"]).r#type(), Type::Ok);
    assert_eq!(dwork.steal("w1", 5), Ok(vec!["after".into()]));
}

#[test]
fn an_exit_after_a_restart_frees_what_the_worker_held() {
    let mut hub = Hub::start();
    hub.dwork().create("a", &[]);
    hub.dwork().steal("w1", 1).unwrap();
    hub.restart();
    let dwork = hub.dwork();
    assert_eq!(dwork.ask(&e2e::location(Type::Exit, "w1")).r#type(), Type::Ok);
    assert_eq!(dwork.steal("w2", 1), Ok(vec!["a".into()]));
}

#[test]
fn a_finished_hub_is_finished_after_a_restart_too() {
    let mut hub = Hub::start();
    let dwork = hub.dwork();
    dwork.create("a", &[]);
    dwork.steal("w", 1).unwrap();
    dwork.complete("w", &["a"]);
    hub.restart();
    assert_eq!(hub.dwork().steal("w", 1), Err(Type::Exit));
    assert_eq!(hub.dwork().create("a", &[]), Type::Ok);
    assert_eq!(hub.dwork().steal("w", 1), Err(Type::Exit), "it does not run again");
}

/// What was answered is in the file; what was not can be sent again.
#[test]
fn requests_in_flight_at_a_shutdown_are_answered_or_repeatable() {
    const REQUESTS: usize = 2_000;
    let mut hub = Hub::start();
    let socket = zmq::Context::new().socket(zmq::DEALER).unwrap();
    socket.set_linger(0).unwrap();
    socket.connect(&hub.tcp()).unwrap();
    let create = |n: usize| {
        let task = vec![dwork_task(&format!("t{n}"), &[])];
        QueryMsg { task, ..dwork_reply(Type::Create) }.encode_to_vec()
    };
    for n in 0..REQUESTS {
        socket.send_multipart([&[][..], &create(n)], 0).unwrap();
        if n == REQUESTS / 2 {
            hub.signal(rustix::process::Signal::TERM);
        }
    }
    hub.end().exits(0);
    let mut answered = 0;
    while socket.poll(zmq::POLLIN, 0).unwrap() > 0 {
        let reply = socket.recv_multipart(0).unwrap();
        assert_eq!(reply[1], [8, Type::Ok as u8]);
        answered += 1;
    }
    drop(socket);
    hub.restart();
    let there = hub.dwork().status().0;
    assert!(there >= answered, "{answered} were acknowledged, {there} are there");
    let dwork = hub.dwork();
    for n in 0..REQUESTS {
        dwork.ask_bytes(&[&create(n)]);
    }
    assert_eq!(dwork.status().0 as usize, REQUESTS);
}
