//! A request that is sent again tells all that it did, also before a copy of it came, and before the hub
//! was killed.

use std::time::Instant;

use dhub_proto::Message;
use dhub_proto::wire::reply::Body as Answer;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::*;
use e2e::{Hub, PATIENCE, Proxy, task};

use crate::query::{behind_proxy, meanwhile, with_lost_answer};

/// Enough for dozens of slices.
const TASKS: u64 = 60_000;
const KILLS: u64 = 4;

fn with_tasks() -> Hub {
    let hub = Hub::start();
    hub.write("tasks.txt", (0..TASKS).map(|n| format!("t{n}\n")).collect::<String>());
    hub.query(&["addfile", "tasks.txt"]).ok();
    hub
}

/// Kills the hub under a long request, each time when it has come further. What it says in the end.
fn with_kills(hub: &mut Hub, args: &[&str], changed: fn(&Counts) -> u64) -> serde_json::Value {
    let asking = hub.query_process(args);
    for kill in 1..=KILLS {
        let native = hub.native();
        let deadline = Instant::now() + PATIENCE;
        // Answered between two slices.
        let changed = loop {
            let changed = changed(&native.counts());
            if changed > TASKS * kill / (KILLS + 2) {
                break changed;
            }
            assert!(Instant::now() < deadline, "{args:?} stays at {changed} tasks");
        };
        // On a busy machine the later ones may come too late.
        assert!(kill > 1 || changed < TASKS, "too late to be in the middle");
        hub.restart();
    }
    asking.end().exits(0).json()
}

#[test]
fn a_cancel_of_all_tells_all_whatever_the_hub_is_killed_for() {
    let mut hub = with_tasks();
    let said = with_kills(&mut hub, &["cancel", "*", "--yes", "--json"], |it| it.cancelled);
    assert_eq!(said["cancelled"], TASKS);
    assert_eq!(hub.count("cancelled"), TASKS);
}

#[test]
fn a_retry_of_all_tells_all_whatever_the_hub_is_killed_for() {
    let mut hub = with_tasks();
    hub.query(&["cancel", "*", "--yes"]).ok();
    let args = ["retry", "--state", "cancelled", "--json"];
    let said = with_kills(&mut hub, &args, |it| it.ready + it.waiting);
    assert_eq!(said["retried"], TASKS);
    assert_eq!(hub.count("ready"), TASKS);
}

/// Those that are held no more are not chosen again, and those that are held again count once.
#[test]
fn hold_and_unhold_tell_all_whatever_the_hub_is_killed_for() {
    let mut hub = with_tasks();
    let said = with_kills(&mut hub, &["hold", "*", "--json"], |it| it.held);
    assert_eq!(said["adjusted"], TASKS);
    let said = with_kills(&mut hub, &["unhold", "--held", "--json"], |it| TASKS - it.held);
    assert_eq!(said["adjusted"], TASKS);
    assert_eq!(hub.count("ready"), TASKS);
}

#[test]
fn what_was_added_is_told_so_when_the_answer_was_lost() {
    let (hub, proxy) = behind_proxy();
    let said = with_lost_answer(&hub, &proxy, &["create", "a", "--json"]).exits(0).json();
    assert_eq!((&said["added"], &said["existing"]), (&1.into(), &0.into()));
    hub.write("tasks.txt", (0..5_000).map(|n| format!("t{n}\n")).collect::<String>());
    let args = ["addfile", "tasks.txt", "--json"];
    let said = with_lost_answer(&hub, &proxy, &args).exits(0).json();
    assert_eq!((&said["added"], &said["existing"]), (&5_000.into(), &0.into()));
}

#[test]
fn what_was_changed_is_told_so_when_the_answer_was_lost() {
    let (hub, proxy) = behind_proxy();
    hub.query(&["create", "a"]).ok();
    let lost = |args: &[&str]| with_lost_answer(&hub, &proxy, args).exits(0).json();
    assert_eq!(lost(&["cancel", "a", "--json"])["cancelled"], 1);
    assert_eq!(lost(&["retry", "a", "--json"])["retried"], 1);
    hub.query(&["steal", "-q", "w"]).ok();
    assert_eq!(lost(&["exit", "w", "--json"])["released"], 1);
}

/// An outcome that counted is not refused because others have gone on since.
#[test]
fn a_failure_that_was_recorded_is_told_so_although_the_next_try_runs() {
    let hub = Hub::with(&["--retry-delay", "0s"]);
    let proxy = Proxy::to(&hub);
    hub.query(&["create", "a", "--retries", "3"]).ok();
    hub.query(&["steal", "-q", "w1"]).ok();
    let fail = ["fail", "a", "--worker", "w1"];
    let said = meanwhile(&hub, &proxy, &fail, || {
        assert_eq!(hub.query(&["steal", "-q", "w2"]).ok(), "a\n");
    });
    said.exits(0);
    assert_eq!(hub.show("a")["task"]["failures"], 1);
}

fn tagged(id: u64, token: &[u8], name: &str) -> Vec<u8> {
    let body = Some(Body::Create(Create { tasks: vec![task(name, &[])] }));
    Request { id, token: token.into(), body }.encode_to_vec()
}

#[test]
fn copies_are_known_by_their_token_also_after_a_restart() {
    let mut hub = Hub::start();
    let ask = |hub: &Hub, id, token: &[u8], name| {
        let native = hub.native();
        native.send_parts(&[&[], &tagged(id, token, name)]);
        let reply = native.receive();
        assert_eq!(reply.id, id);
        reply.body.expect("a reply")
    };
    let created = |added| Answer::Created(Created { added, existing: 1 - added, ready: added });
    assert_eq!(ask(&hub, 1, &[7; 16], "a"), created(1));
    assert_eq!(ask(&hub, 2, &[7; 16], "a"), created(1));
    hub.restart();
    assert_eq!(ask(&hub, 3, &[7; 16], "a"), created(1));
    assert_eq!(ask(&hub, 4, &[8; 16], "a"), created(0));
    assert_eq!(ask(&hub, 5, &[], "a"), created(0));
    for (token, name) in [(&[7; 16][..], "b"), (&[7; 15], "a")] {
        let Answer::Error(why) = ask(&hub, 6, token, name) else { panic!("it was taken") };
        assert_eq!(why.code(), ErrorCode::ErrorInvalid, "{why:?}");
    }
    assert_eq!(hub.count("ready"), 1);
    // Two copies in one turn, or in two.
    let native = hub.native();
    for id in [7, 8] {
        native.send_parts(&[&[], &tagged(id, &[9; 16], "c")]);
    }
    let mut replies = [native.receive(), native.receive()].map(|it| (it.id, it.body));
    replies.sort_by_key(|(id, _)| *id);
    assert_eq!(replies, [(7, Some(created(1))), (8, Some(created(1)))]);
}
