//! What one key may take: floods of one key hold up nobody else, and end with it.

use std::time::{Duration, Instant};

use dhub_proto::Message;
use dhub_proto::client;
use dhub_proto::limits::*;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::*;
use e2e::{Native, eventually, outcome_done, plain_worker, task, worker};

use super::Guarded;

/// While others flood the hub. A machine with one core for all of them is slow as well.
const SOON: Duration = Duration::from_secs(3);

/// A hub with so many tasks, and a key that may look at them.
fn observed(tasks: usize) -> (Guarded, Native) {
    let hub = Guarded::start();
    let owner = hub.native("owner");
    for part in (0..tasks).collect::<Vec<_>>().chunks(10_000) {
        let tasks: Vec<_> = part.iter().map(|n| task(&format!("task-{n}"), &[])).collect();
        owner.create(&tasks);
    }
    hub.new_key("look", &["observe"]);
    (hub, owner)
}

/// Goes through all tasks, and compares each with 900 patterns of which none fits.
fn count(n: usize) -> Body {
    let patterns = (0..900).map(|i| format!("*{n}-{i}?x")).collect();
    let selection = Some(Selection { patterns, ..Selection::default() });
    Body::Count(Count { selection })
}

fn is_busy(reply: &Reply) -> bool {
    matches!(&reply.body, Some(reply::Body::Error(error)) if error.code() == ErrorCode::ErrorBusy)
}

fn long_requests(owner: &Native) -> u64 {
    owner.status().hub.expect("the hub").long_requests
}

fn parked(owner: &Native) -> u64 {
    owner.status().hub.expect("the hub").parked
}

/// List, export and cancel by pattern, and how long they took.
fn the_owner_gets_through(owner: &Native, cancel: &str) {
    let selection =
        |pattern: &str| Some(Selection { patterns: vec![pattern.into()], ..Selection::default() });
    let list = List { selection: selection("task-77*"), limit: 10, ..List::default() };
    let export = Export { selection: selection("task-78*"), limit: 10, ..Export::default() };
    for body in [
        Body::List(list),
        Body::Export(export),
        Body::Cancel(Cancel { selection: selection(cancel) }),
        Body::Status(Status {}),
    ] {
        let (begin, what) = (Instant::now(), format!("{body:?}"));
        let answer = owner.ask(body);
        let took = begin.elapsed();
        assert!(took < SOON, "{took:?} for {what}");
        assert!(!matches!(answer, reply::Body::Error(_)), "{answer:?}");
    }
}

#[test]
fn a_flood_of_counts_of_one_key_holds_up_nobody_and_ends_with_its_connection() {
    let (hub, owner) = observed(20_000);
    let look = hub.native("look");
    for n in 0..1_100 {
        look.send(count(n));
    }
    the_owner_gets_through(&owner, "task-9*");
    let refused = look.receive();
    assert!(is_busy(&refused), "{refused:?}");
    let Some(reply::Body::Error(why)) = refused.body else { unreachable!() };
    assert!(why.message.contains("the key 'look' has 16 long requests under way"), "{why:?}");
    assert!(long_requests(&owner) <= KEY_LONG_REQUESTS_MAX as u64);
    drop(look);
    eventually("nothing to be left under way", || (long_requests(&owner) == 0).then_some(()));
}

#[test]
fn a_flood_of_equal_requests_of_one_key_holds_up_nobody_and_counts() {
    let (hub, owner) = observed(10_000);
    let selection = Some(Selection { patterns: vec!["task*".into()], ..Selection::default() });
    let list = List { selection: selection.clone(), limit: 10_000, ..List::default() };
    let export = Export { selection, limit: 10_000, ..Export::default() };
    for (body, cancel) in
        [(count(1), "task-97*"), (Body::List(list), "task-98*"), (Body::Export(export), "task-99*")]
    {
        let look = hub.native("look");
        for _ in 0..3_000 {
            look.send(body.clone());
        }
        the_owner_gets_through(&owner, cancel);
        let mut replies = std::iter::from_fn(|| look.has_reply(1_000).then(|| look.receive()));
        assert!(replies.any(|reply| is_busy(&reply)), "of that which ends with {cancel}");
    }
    eventually("nothing to be left under way", || (long_requests(&owner) == 0).then_some(()));
}

#[test]
fn a_long_request_that_is_repeated_on_its_connection_is_answered_once() {
    let (hub, _owner) = observed(20_000);
    let look = hub.native("look");
    let frame = Request { id: 7, body: Some(count(1)), ..Request::default() }.encode_to_vec();
    for _ in 0..2 * KEY_LONG_REQUESTS_MAX {
        look.send_parts(&[&[], &frame]);
    }
    let reply = look.receive();
    assert!(matches!(reply.body, Some(reply::Body::Counted(_))), "{reply:?}");
    assert_eq!(reply.id, 7);
    assert!(!look.has_reply(300), "another reply");
}

#[test]
fn all_who_ask_the_same_are_answered_under_their_own_ids() {
    let (hub, _owner) = observed(20_000);
    let (look, other) = (hub.native("look"), hub.native("look"));
    let ids: Vec<u64> = (0..5).map(|_| look.send(count(1))).collect();
    other.send_parts(&[
        &[],
        &Request { id: u64::MAX, body: Some(count(1)), ..Request::default() }.encode_to_vec(),
    ]);
    let mut answered: Vec<u64> = ids.iter().map(|_| look.receive().id).collect();
    answered.sort_unstable();
    assert_eq!(answered, ids);
    let reply = other.receive();
    assert_eq!(reply.id, u64::MAX);
    assert!(matches!(reply.body, Some(reply::Body::Counted(_))), "{reply:?}");
}

#[test]
fn what_a_key_asked_ends_when_it_is_taken_back() {
    let (hub, owner) = observed(20_000);
    let look = hub.native("look");
    for n in 0..KEY_LONG_REQUESTS_MAX {
        look.send(count(n));
    }
    for _ in 0..100 {
        look.send(Body::Wait(Wait { wait_ms: 60_000, ..Wait::default() }));
    }
    eventually("them to be under way", || {
        (long_requests(&owner) > 1 && parked(&owner) == 100).then_some(())
    });
    hub.dhub(&["access", "revoke", "look"]).exits(0);
    assert_eq!((long_requests(&owner), parked(&owner)), (0, 0), "at once");
    // All are told, then the connection is ended, and nobody lets it in again.
    let mut denied = 0;
    while look.has_reply(1_000) {
        match look.receive().body {
            Some(reply::Body::Error(error)) => {
                assert_eq!(error.code(), ErrorCode::ErrorDenied);
                denied += 1;
            }
            // The first few may have been done before.
            other => assert!(matches!(other, Some(reply::Body::Counted(_))), "{other:?}"),
        }
    }
    assert!((100..=100 + KEY_LONG_REQUESTS_MAX).contains(&denied), "{denied}");
    let denied = hub.status()["hub"]["requests_denied"].as_u64();
    eventually("the connection to be ended", || {
        let failed = hub.status()["hub"]["handshakes_failed"].as_u64();
        (failed > Some(0)).then_some(())
    });
    assert_eq!(hub.status()["hub"]["requests_denied"].as_u64(), denied);
}

#[test]
fn one_key_parks_a_thousand_requests_and_others_still_can() {
    let (hub, owner) = observed(10);
    hub.new_key("ada", &["observe"]);
    let (look, ada) = (hub.native("look"), hub.native("ada"));
    let wait = || Body::Wait(Wait { wait_ms: 60_000, ..Wait::default() });
    for _ in 0..KEY_PARKED_REQUESTS_MAX + 1 {
        look.send(wait());
    }
    let refused = look.receive();
    assert!(is_busy(&refused), "{refused:?}");
    ada.send(wait());
    assert!(!ada.has_reply(300), "it waits");
    assert_eq!(parked(&owner), KEY_PARKED_REQUESTS_MAX as u64 + 1);
    drop(look);
    eventually("those to be forgotten", || (parked(&owner) == 1).then_some(()));
    // The places are free again.
    let look = hub.native("look");
    look.send(wait());
    assert!(!look.has_reply(300), "it waits");
}

#[test]
fn names_that_one_key_waits_for_are_counted_until_it_is_answered() {
    let (hub, owner) = observed(WAIT_NAMES_MAX);
    let look = hub.native("look");
    let names: Vec<String> = (0..WAIT_NAMES_MAX).map(|n| format!("task-{n}")).collect();
    let wait = |wait_ms| Body::Wait(Wait { wait_ms, names: names.clone(), ..Wait::default() });
    let most = KEY_AWAITED_NAMES_MAX / WAIT_NAMES_MAX;
    for _ in 0..most {
        look.send(wait(60_000));
    }
    eventually("them to be parked", || (parked(&owner) == most as u64).then_some(()));
    assert!(is_busy(&{
        look.send(wait(60_000));
        look.receive()
    }));
    // Each of them is answered once one task is done.
    let worker = plain_worker("w");
    let lease = owner.steal_one(&worker);
    owner.report(&worker, vec![outcome_done(&lease)]);
    for _ in 0..most {
        let reply = look.receive();
        assert!(matches!(&reply.body, Some(reply::Body::Waited(it)) if it.ended.len() == 1));
    }
    look.send(wait(0));
    assert!(!is_busy(&look.receive()), "nothing is held any more");
}

#[test]
fn a_worker_that_comes_back_parks_its_steal_again_and_gets_its_task() {
    let hub = Guarded::start();
    hub.new_key("node", &["work"]);
    let owner = hub.native("owner");
    let steal = || {
        Body::Steal(Steal {
            worker: Some(plain_worker("node")),
            client: vec![7; 16],
            number: 1,
            n: 1,
            wait_ms: 60_000,
            stay: true,
            ..Steal::default()
        })
    };
    let first = hub.native("node");
    first.send(steal());
    eventually("it to be parked", || (parked(&owner) == 1).then_some(()));
    drop(first);
    eventually("it to be forgotten", || (parked(&owner) == 0).then_some(()));
    // The same request again, over another connection.
    let second = hub.native("node");
    second.send(steal());
    assert!(!second.has_reply(300), "it waits");
    owner.create(&[task("a", &[])]);
    let Some(reply::Body::Stolen(stolen)) = second.receive().body else { panic!("no task") };
    assert_eq!(stolen.leases[0].name, "a");
    // And once more: what it got already.
    second.send(steal());
    let Some(reply::Body::Stolen(again)) = second.receive().body else { panic!("no task") };
    assert_eq!(again.leases, stolen.leases);
}

#[test]
fn a_flood_of_questions_of_one_key_holds_up_nobody() {
    let (hub, owner) = observed(2_000);
    // A task that needs all others takes long to show.
    let needs: Vec<String> = (0..1_000).map(|n| format!("task-{n}")).collect();
    owner.create(&[task("all", &needs.iter().map(String::as_str).collect::<Vec<_>>())]);
    let look = hub.native("look");
    for _ in 0..2 * KEY_QUESTIONS_MAX {
        look.send(Body::Show(Show { name: "all".into() }));
    }
    for _ in 0..5 {
        let begin = Instant::now();
        assert_eq!(owner.show("all").needs.len(), 1_000);
        assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    }
    drop(look);
    let begin = Instant::now();
    assert_eq!(owner.show("task-1").needed_by.len(), 1);
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
}

#[test]
fn what_changes_something_goes_on_without_its_asker() {
    let (hub, owner) = observed(20_000);
    hub.new_key("ada", &["submit"]);
    let ada = hub.native("ada");
    let mut patterns: Vec<String> = (0..500).map(|i| format!("*{i}?x")).collect();
    patterns.push("task-1*".into());
    let selection = Some(Selection { patterns, ..Selection::default() });
    ada.send(Body::Cancel(Cancel { selection }));
    eventually("it to have begun", || (owner.counts().cancelled > 0).then_some(()));
    drop(ada);
    eventually("all to be cancelled", || (owner.counts().cancelled == 11_111).then_some(()));
}

/// Of finished tasks, each of which has to be looked up.
#[test]
fn requests_with_thousands_of_names_wait_their_turn_and_are_answered() {
    let (hub, owner) = observed(BATCH_TASKS_MAX);
    owner.ask(Body::Cancel(Cancel {
        selection: Some(Selection { patterns: vec!["task-*".into()], ..Selection::default() }),
    }));
    hub.new_key("node", &["work"]);
    let outcome = |n| Outcome { name: format!("task-{n}"), attempt: 1, ..Outcome::default() };
    let all: Vec<_> = (0..BATCH_TASKS_MAX)
        .map(|n| Outcome { result: Result::Done.into(), ..outcome(n) })
        .collect();
    let complete = |outcomes| {
        Body::Complete(Complete {
            worker: Some(plain_worker("w")),
            outcomes,
            ..Complete::default()
        })
    };
    let nodes: Vec<Native> = (0..6).map(|_| hub.native("node")).collect();
    for node in nodes.iter().cycle().take(24) {
        node.send(complete(all.clone()));
    }
    for _ in 0..10 {
        let begin = Instant::now();
        owner.status();
        assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    }
    // They are heard all the same.
    let answer = nodes[0].receive();
    let Some(reply::Body::Completed(completed)) = answer.body else { panic!("{answer:?}") };
    assert!(!completed.refused.is_empty());
}

/// What came of so many of these requests, sent one after the other: those that are busy, and the others.
fn answers(native: &Native, most: usize, body: Body) -> (usize, Vec<reply::Body>) {
    for _ in 0..most {
        native.send(body.clone());
    }
    let replies: Vec<Reply> = (0..most).map(|_| native.receive()).collect();
    let busy = replies.iter().filter(|reply| is_busy(reply)).count();
    let others = replies.into_iter().filter(|reply| !is_busy(reply));
    (busy, others.filter_map(|reply| reply.body).collect())
}

#[test]
fn a_heartbeat_with_thousands_of_names_is_a_long_request() {
    let (hub, owner) = observed(5_000);
    hub.new_key("node", &["work"]);
    let node = hub.native("node");
    let steal = Steal { worker: Some(worker(1)), n: 5_000, number: 1, ..Steal::default() };
    let leases = node.steal(steal).leases;
    let of =
        |lease: &Lease| Attempt { name: lease.name.clone(), attempt: lease.attempt, started: true };
    let attempts: Vec<Attempt> = leases.iter().map(of).collect();
    let beat = |attempts| Heartbeat { worker: Some(worker(1)), attempts, ..Heartbeat::default() };
    // It is heard, as a request and as a report.
    let started = || owner.status().workers.first().expect("a worker").started;
    let half = attempts[..4_500].to_vec();
    match node.ask(Body::Heartbeat(Heartbeat { note: "busy".into(), ..beat(half) })) {
        reply::Body::Heartbeaten(told) => assert_eq!(told.lost, []),
        other => panic!("{other:?}"),
    }
    assert_eq!((started(), owner.status().workers[0].note.as_str()), (4_500, "busy"));
    let target = hub.target("node");
    let push = client::open(&zmq::Context::new(), &target, zmq::PUSH).expect("a socket");
    push.connect(&reports_of(&target.endpoint)).expect("an endpoint");
    let report = Report { body: Some(report::Body::Heartbeat(beat(attempts.clone()))) };
    push.send(report.encode_to_vec(), 0).expect("to send");
    eventually("the report to be heard", || (started() == 5_000).then_some(()));
    // The owner's are not counted; of others so many at a time.
    let name = |n: usize| Attempt { name: format!("x{n}"), attempt: 1, started: false };
    let all = Body::Heartbeat(beat((0..5_000).map(name).collect()));
    let (busy, heard) = answers(&owner, 64, all.clone());
    assert_eq!((busy, heard.len()), (0, 64));
    let (busy, heard) = answers(&node, 64, all);
    assert!(busy > 0 && !heard.is_empty(), "{busy} busy, {} heard", heard.len());
    assert!(heard.iter().all(|it| matches!(it, reply::Body::Heartbeaten(_))));
}

/// The port after that of requests.
fn reports_of(endpoint: &str) -> String {
    let (host, port) = endpoint.rsplit_once(':').expect("a port");
    format!("{host}:{}", port.parse::<u16>().expect("a port") + 1)
}

/// What would close a ring is found by walking through what waits for what.
#[test]
fn a_walk_through_a_long_chain_is_a_long_request() {
    let (hub, owner) = observed(0);
    let length = 60_000;
    for part in (0..length).collect::<Vec<_>>().chunks(10_000) {
        let link = |&n: &usize| match n {
            0 => task("link-0", &["missing"]),
            n => task(&format!("link-{n}"), &[&format!("link-{}", n - 1)]),
        };
        owner.create(&part.iter().map(link).collect::<Vec<_>>());
    }
    hub.new_key("ada", &["submit"]);
    let ada = hub.native("ada");
    let ring = |last: usize| {
        let tasks = vec![task("missing", &[&format!("link-{last}")])];
        Body::Create(Create { tasks })
    };
    let is_ring = |body: &reply::Body| matches!(body, reply::Body::Error(error) if error.code() == ErrorCode::ErrorCycle);
    // A short walk takes no time to speak of.
    let (busy, refused) = answers(&ada, 64, ring(100));
    assert_eq!((busy, refused.len()), (0, 64));
    let (busy, refused) = answers(&ada, 64, ring(length / 2));
    assert!(busy > 0 && !refused.is_empty(), "{busy} busy, {} refused", refused.len());
    assert!(refused.iter().all(is_ring), "{:?}", refused.iter().find(|it| !is_ring(it)));
    let (busy, refused) = answers(&owner, 20, ring(length / 2));
    assert_eq!((busy, refused.len()), (0, 20), "the owner's are not counted");
    // What closes none is added, however long it takes to see.
    let side: Vec<_> = (0..20_000)
        .map(|n| match n {
            0 => task("side-0", &["never"]),
            n => task(&format!("side-{n}"), &[&format!("side-{}", n - 1)]),
        })
        .collect();
    owner.create(&side);
    assert_eq!(ada.create(&[task("missing", &["side-19999"])]).added, 1);
}
