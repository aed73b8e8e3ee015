//! Names of every kind: the same everywhere, or refused everywhere.

use dhub_proto::Message;
use dhub_proto::dwork::query_msg::Type;
use dhub_proto::limits::NAME_BYTES_MAX;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::{Create, ErrorCode};
use e2e::{Hub, dwork_reply, plain_worker, task};

const NAMES: [&str; 13] = [
    "two\nlines",
    "\n",
    "tab\there",
    "return\rhere",
    "it's \"quoted\" `x` $(x)",
    "\x1b[31mred\x1b[2J\x07",
    "c1 \u{9b}31m",
    "grüße 任务 😀",
    "\u{202e}backwards",
    " spaces ",
    "a,b #c",
    "{}\\{{}}",
    "\u{7f}",
];

#[test]
fn a_name_of_any_kind_goes_round_through_dquery() {
    let hub = Hub::start();
    for name in NAMES {
        hub.query(&["create", name]).ok();
        assert_eq!(hub.show(name)["task"]["name"], name);
        let listed = hub.query(&["list", "--json"]).json_lines();
        assert_eq!(listed.last().unwrap()["name"], name);
        let stolen = hub.query(&["steal", "--json"]).json();
        assert_eq!(stolen["tasks"][0]["name"], name);
        hub.query(&["release", name]).ok();
        assert_eq!(hub.query(&["steal", "-q"]).ok(), format!("{name}\n"));
        hub.query(&["complete", name]).ok();
        assert_eq!(hub.state(name), "done");
    }
    for name in NAMES {
        assert_eq!(hub.native().show(name).task.unwrap().name, name);
    }
}

/// Each task has one line, and nothing in it steers the terminal.
#[test]
fn tables_and_messages_show_names_without_control_characters() {
    let hub = Hub::start();
    for name in NAMES {
        hub.query(&["create", name, "--command", name]).ok();
    }
    let list = hub.query(&["list"]);
    assert_eq!(list.ok().lines().count(), NAMES.len() + 1, "{list:#?}");
    hub.query(&["steal", "-q", "-n", "13"]).ok();
    let mut outputs = vec![list, hub.query(&["status"])];
    for name in NAMES {
        outputs.push(hub.query(&["show", name]));
        outputs.push(hub.query(&["fail", name, "--reason", name]));
        outputs.push(hub.query(&["complete", name]));
        outputs.push(hub.query(&["create", name, "--priority", "9"]));
        outputs.push(hub.query(&["show", &format!("{name}?")]));
    }
    outputs.push(hub.query(&["list", "--failed"]));
    outputs.push(hub.query(&["status"]));
    for output in outputs {
        let text = output.stdout.clone() + &output.stderr;
        let steers = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!text.contains(steers), "{output:?}");
    }
}

#[test]
fn dwork_programs_see_the_same_names() {
    let hub = Hub::start();
    let dwork = hub.dwork();
    for name in NAMES {
        assert_eq!(dwork.create(name, &[]), Type::Ok);
        assert_eq!(hub.state(name), "ready");
        assert_eq!(dwork.steal("w", 1), Ok(vec![name.to_owned()]));
        assert_eq!(dwork.complete("w", &[name]).r#type(), Type::Ok);
        assert_eq!(hub.state(name), "done");
    }
}

#[test]
fn names_that_are_none_are_refused_everywhere() {
    let hub = Hub::start();
    let native = hub.native();
    let (long, huge) = ("n".repeat(NAME_BYTES_MAX + 1), "n".repeat(1 << 20));
    for name in ["", "nul\0", &long, &huge] {
        for tasks in [vec![task(name, &[])], vec![task("a", &[name])]] {
            let (code, error) = native.error(Body::Create(Create { tasks }));
            let expected = if name.len() > NAME_BYTES_MAX {
                ErrorCode::ErrorLimit
            } else {
                ErrorCode::ErrorInvalid
            };
            assert_eq!(code, expected, "{}", error.message);
            assert!(error.message.len() < 3_000, "{} bytes", error.message.len());
        }
        assert_eq!(hub.dwork().create(name, &[]), Type::Error);
        let line = serde_json::json!({ "name": name }).to_string();
        hub.write("tasks.jsonl", line);
        let output = hub.query(&["addfile", "tasks.jsonl"]);
        output.exits(8).is_one_message().says(&["tasks.jsonl:1: "]);
    }
    for name in ["", &long] {
        hub.query(&["create", name]).exits(2);
        hub.query(&["create", "a", name]).exits(2);
    }
    assert_eq!(native.counts().ready, 0);
}

/// Protobuf strings are UTF-8; a frame with others is no message in either dialect.
#[test]
fn a_name_that_is_not_utf8_is_an_error() {
    let hub = Hub::start();
    let create = Create { tasks: vec![task("abcdefgh", &[])] };
    let mut native = dhub_proto::wire::Request {
        id: 7,
        body: Some(Body::Create(create)),
        ..dhub_proto::wire::Request::default()
    }
    .encode_to_vec();
    let mut dwork = dhub_proto::dwork::QueryMsg {
        task: vec![e2e::dwork_task("abcdefgh", &[])],
        ..dwork_reply(Type::Create)
    }
    .encode_to_vec();
    for frame in [&mut native, &mut dwork] {
        let at = frame.windows(8).position(|bytes| bytes == b"abcdefgh").unwrap();
        frame[at..at + 2].copy_from_slice(&[0xff, 0xfe]);
        let reply = hub.dwork().ask_bytes(&[frame]);
        let reply = dhub_proto::dwork::QueryMsg::decode(reply.as_slice()).unwrap();
        assert_eq!(reply.r#type(), Type::Error);
    }
    assert_eq!(hub.native().counts().ready, 0);
    assert_eq!(hub.native().create(&[task("a", &[])]).added, 1);
    hub.native().steal_one(&plain_worker("w"));
}
