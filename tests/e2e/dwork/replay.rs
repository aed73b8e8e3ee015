//! The exchange recorded between dwork's own programs, frame by frame.

use dhub_proto::Message;
use dhub_proto::dwork::QueryMsg;
use e2e::Hub;

const RECORDED: &str = include_str!("../../data/dwork-frames.jsonl");

/// Asks what was asked; `check` gets the step, the reply, and the one that was recorded.
fn replay(check: impl Fn(&serde_json::Value, &[u8], &[u8])) {
    let hub = Hub::start();
    let dwork = hub.dwork();
    for line in RECORDED.lines() {
        let exchange: serde_json::Value = serde_json::from_str(line).unwrap();
        let bytes = |field: &str| from_hex(exchange[field].as_str().unwrap());
        let reply = dwork.ask_bytes(&[&bytes("request")]);
        check(&exchange["step"], &reply, &bytes("reply"));
    }
}

#[test]
fn the_recorded_exchange_gets_the_same_replies() {
    replay(|step, reply, recorded| assert_eq!(blanked(reply), blanked(recorded), "{step}"));
}

/// Times and host names differ from run to run.
fn blanked(frame: &[u8]) -> QueryMsg {
    let mut reply = QueryMsg::decode(frame).unwrap();
    for task in &mut reply.task {
        assert!(task.origin.take().is_some_and(|host| !host.is_empty()));
        for log in &mut task.log {
            assert!(log.time.take().is_some_and(|time| time > 1_600_000_000_000_000));
        }
    }
    reply
}

fn from_hex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

#[test]
fn replies_have_the_very_bytes_of_dworks_where_nothing_varies() {
    replay(|step, reply, recorded| {
        // A reply with tasks has a time in it.
        if QueryMsg::decode(reply).unwrap().task.is_empty() {
            assert_eq!(reply, recorded, "{step}");
        }
    });
}
