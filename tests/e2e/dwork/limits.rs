//! Frames that no program should send: the answer is Error, and the hub goes on.

use dhub_proto::Message;
use dhub_proto::dwork::query_msg::Type;
use dhub_proto::dwork::{QueryMsg, TaskMsg};
use dhub_proto::limits::{MESSAGE_BYTES_MAX, NAME_BYTES_MAX, STEAL_TASKS_MAX};
use e2e::{Dwork, Hub, dwork_reply, dwork_task, location};

/// The whole of dwork's error: its type.
const ERROR: [u8; 2] = [8, Type::Error as u8];

#[track_caller]
fn is_alive(dwork: &Dwork) {
    assert_eq!(dwork.status().1, "dhub: 0 active tasks, 0 ready.");
}

#[test]
fn requests_that_break_the_rules_are_errors() {
    let hub = Hub::start();
    let dwork = hub.dwork();
    let task = vec![dwork_task("a", &[])];
    let nameless = vec![TaskMsg { name: None, ..dwork_task("a", &[]) }];
    let homeless = vec![TaskMsg { origin: None, ..dwork_task("a", &[]) }];
    let name = Some("a".to_owned());
    for query in [
        QueryMsg::default(),
        dwork_reply(Type::Create),
        QueryMsg { task: task.clone(), name: name.clone(), ..dwork_reply(Type::Create) },
        QueryMsg { task: task.clone(), n: Some(1), ..dwork_reply(Type::Create) },
        QueryMsg { task: task.clone(), ..location(Type::Create, "w") },
        QueryMsg { task: nameless, ..dwork_reply(Type::Create) },
        QueryMsg { task: homeless, ..dwork_reply(Type::Create) },
        dwork_reply(Type::Steal),
        QueryMsg { task: task.clone(), ..location(Type::Steal, "w") },
        QueryMsg { name: name.clone(), ..location(Type::Steal, "w") },
        location(Type::Complete, "w"),
        QueryMsg { task: task.clone(), ..dwork_reply(Type::Complete) },
        QueryMsg { task: task.clone(), ..dwork_reply(Type::Transfer) },
        QueryMsg { task: task.clone(), ..dwork_reply(Type::Ok) },
        location(Type::Ok, "w"),
        dwork_reply(Type::Exit),
        QueryMsg { n: Some(1), ..location(Type::Exit, "w") },
        dwork_reply(Type::Lookup),
        dwork_reply(Type::NotFound),
        dwork_reply(Type::Error),
        location(Type::Steal, ""),
        location(Type::Steal, &"w".repeat(256)),
    ] {
        assert_eq!(dwork.ask_bytes(&[&query.encode_to_vec()]), ERROR, "{query:?}");
    }
    is_alive(&dwork);
}

#[test]
fn a_number_of_tasks_that_makes_no_sense_is_an_error() {
    let hub = Hub::start();
    let dwork = hub.dwork();
    for n in [0, -1, i32::MIN, i32::MAX, STEAL_TASKS_MAX as i32 + 1] {
        assert_eq!(dwork.steal("w", n), Err(Type::Error), "{n}");
    }
    dwork.create("a", &[]);
    assert_eq!(dwork.steal("w", STEAL_TASKS_MAX as i32), Ok(vec!["a".into()]));
}

#[test]
fn names_have_a_length() {
    let hub = Hub::start();
    let dwork = hub.dwork();
    assert_eq!(dwork.create("", &[]), Type::Error);
    assert_eq!(dwork.create(&"n".repeat(NAME_BYTES_MAX + 1), &[]), Type::Error);
    assert_eq!(dwork.create(&"n".repeat(1_000_000), &[]), Type::Error);
    assert_eq!(dwork.create("a", &[&"n".repeat(NAME_BYTES_MAX + 1)]), Type::Error);
    assert_eq!(dwork.create("a\0b", &[]), Type::Error);
    is_alive(&dwork);
    let longest = "n".repeat(NAME_BYTES_MAX);
    assert_eq!(dwork.create(&longest, &[]), Type::Ok);
    assert_eq!(dwork.steal("w", 1), Ok(vec![longest]));
}

#[test]
fn a_request_of_several_parts_is_an_error() {
    let hub = Hub::start();
    let dwork = hub.dwork();
    let status = dwork_reply(Type::Ok).encode_to_vec();
    for parts in [vec![&status[..], &status], vec![&status[..], &[]], vec![&[], &status[..]]] {
        assert_eq!(dwork.ask_bytes(&parts), ERROR, "{parts:?}");
    }
    is_alive(&dwork);
}

#[test]
fn bytes_that_are_no_message_are_errors() {
    let hub = Hub::start();
    let dwork = hub.dwork();
    let text = "GET / HTTP/1.1\r\n\r\n".as_bytes();
    let not_utf8 = [8, 1, 50, 2, 0xff, 0xfe];
    for frame in [&[][..], text, &[0xff; 100], &[8], &[8, 99], &[0, 0, 0], &not_utf8] {
        assert_eq!(dwork.ask_bytes(&[frame]), ERROR, "{frame:?}");
    }
    is_alive(&dwork);
}

#[test]
fn a_message_over_the_limit_ends_its_connection_only() {
    let hub = Hub::start();
    let huge = zmq::Context::new().socket(zmq::REQ).unwrap();
    huge.set_linger(0).unwrap();
    huge.connect(&hub.tcp()).unwrap();
    huge.send(vec![0; MESSAGE_BYTES_MAX + 1], 0).unwrap();
    is_alive(&hub.dwork());
    assert_eq!(huge.poll(zmq::POLLIN, 500).unwrap(), 0, "nobody answers it");
    is_alive(&hub.dwork());
}
