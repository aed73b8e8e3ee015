//! Steer and Workers: what a hub says to workers, and of them.

use dhub_proto::wire::reply::Body as Answer;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::*;
use e2e::{Hub, Native, eventually, outcome_done, plain_worker, task, worker};

#[track_caller]
fn steer(native: &Native, names: &[&str], order: Order) -> Steered {
    let workers = names.iter().map(|&name| name.to_owned()).collect();
    match native.ask(Body::Steer(Steer { workers, order: order.into() })) {
        Answer::Steered(steered) => steered,
        other => panic!("not steered: {other:?}"),
    }
}

#[track_caller]
fn workers(native: &Native, limit: u32, after: u64) -> WorkersListed {
    match native.ask(Body::Workers(Workers { limit, after })) {
        Answer::Workers(listed) => listed,
        other => panic!("no workers: {other:?}"),
    }
}

fn listen(byte: u8, number: u64) -> Body {
    let steal = Steal { worker: Some(worker(byte)), number, wait_ms: 60_000, ..Steal::default() };
    Body::Steal(steal)
}

fn heartbeat(native: &Native, heartbeat: Heartbeat) -> Heartbeaten {
    match native.ask(Body::Heartbeat(heartbeat)) {
        Answer::Heartbeaten(heard) => heard,
        other => panic!("not heard: {other:?}"),
    }
}

#[test]
fn a_drained_worker_is_told_at_once_and_gets_nothing_more() {
    let hub = Hub::start();
    let (pool, other) = (hub.native(), hub.native());
    other.create(&[task("a", &[]), task("b", &[])]);
    let lease = pool.steal_one(&worker(1));
    pool.send(listen(1, 2));
    // Steered in the order in which they arrive: the steal is parked by then.
    eventually("the steal", || {
        let told = steer(&other, &["node1:1", "nobody"], Order::Drain);
        assert_eq!((told.workers_total, told.unknown.as_slice()), (1, &["nobody".to_owned()][..]));
        assert_eq!(told.workers, ["node1:1"]);
        pool.has_reply(100).then_some(())
    });
    let Some(Answer::Stolen(told)) = pool.receive().body else { panic!("not stolen") };
    assert!(told.drain && !told.stop && told.leases.is_empty(), "{told:?}");

    // Each answer says it again, and none has a task.
    let completed = pool.complete(Complete {
        worker: Some(worker(1)),
        outcomes: vec![outcome_done(&lease)],
        want: 1,
        number: 3,
        ..Complete::default()
    });
    let told = completed.stolen.expect("a steal");
    assert!(completed.refused.is_empty() && told.drain && told.leases.is_empty(), "{told:?}");
    let heard = heartbeat(&pool, Heartbeat { worker: Some(worker(1)), ..Heartbeat::default() });
    assert!(heard.drain && !heard.stop, "{heard:?}");
    // It may go on listening; others get what is ready.
    pool.send(listen(1, 4));
    assert_eq!(other.steal_one(&worker(2)).name, "b");
    assert!(!pool.has_reply(100), "there is no news");
    assert_eq!(steer(&other, &["node1*"], Order::Stop).workers_total, 1);
    let Some(Answer::Stolen(told)) = pool.receive().body else { panic!("not stolen") };
    assert!(told.drain && told.stop, "{told:?}");

    // The same name in a new process is another worker.
    other.create(&[task("c", &[])]);
    let again = Worker { id: vec![9; 16], ..worker(1) };
    assert_eq!(other.steal_one(&again).name, "c");
}

#[test]
fn names_may_stand_for_many() {
    let hub = Hub::start();
    let native = hub.native();
    for byte in 1..=12 {
        let steal = Steal { worker: Some(worker(byte)), ..Steal::default() };
        native.steal(Steal { n: 1, ..steal });
    }
    let told = |names: &[&str]| steer(&native, names, Order::Drain);
    assert_eq!(told(&["node?:1"]).workers_total, 9);
    assert_eq!(told(&["node1?:*"]).workers, ["node10:1", "node11:1", "node12:1"]);
    assert_eq!(told(&["*"]).workers_total, 12);
    let both = told(&["node1:1", "node1*", "none*", "[n]ode1:1"]);
    assert_eq!(both.workers, ["node1:1", "node10:1", "node11:1", "node12:1"]);
    assert_eq!(both.unknown, ["none*", "[n]ode1:1"]);
    // One that said goodbye is not there any more.
    native.ask(Body::Exit(Exit { worker: Some(worker(12)) }));
    assert_eq!(told(&["node12:1"]).unknown, ["node12:1"]);
    let refuse =
        |workers: Vec<String>, order: i32| native.error(Body::Steer(Steer { workers, order })).0;
    assert_eq!(refuse(vec!["a".into()], 0), ErrorCode::ErrorInvalid);
    assert_eq!(refuse(Vec::new(), 1), ErrorCode::ErrorInvalid);
    assert_eq!(refuse(vec![String::new()], 1), ErrorCode::ErrorLimit);
    assert_eq!(refuse(vec!["a".into(); 1_001], 1), ErrorCode::ErrorLimit);
}

#[test]
fn a_loop_that_steals_by_name_ends_when_it_is_drained() {
    let hub = Hub::start();
    hub.native().create(&[task("a", &[]), task("b", &[])]);
    let lease = hub.native().steal_one(&plain_worker("login"));
    assert_eq!(lease.name, "a");
    assert_eq!(steer(&hub.native(), &["login"], Order::Drain).workers_total, 1);
    // Each process of the loop is new to it.
    for _ in 0..2 {
        hub.query(&["steal", "--wait", "--worker", "login"]).exits(13).says(&["told to leave"]);
    }
    assert_eq!(hub.dwork().steal("login", 1), Err(dhub_proto::dwork::query_msg::Type::Exit));
    // Until it says goodbye.
    hub.query(&["exit", "login"]).ok();
    assert_eq!(hub.query(&["steal", "-q", "--worker", "login"]).ok(), "a\n");
}

#[test]
fn workers_are_listed_in_pages_with_what_they_said() {
    let hub = Hub::start();
    let native = hub.native();
    let host = |byte: u8| Worker { host: format!("node{byte}"), ..worker(byte) };
    for byte in 1..=5 {
        native.steal(Steal { worker: Some(host(byte)), n: 1, ..Steal::default() });
    }
    // What it said first counts; and one that leaves is gone.
    let moved = Worker { host: "elsewhere".into(), ..worker(2) };
    let sample = Sample { slots: 3, disk_free_bytes: 5, ..Sample::default() };
    let output_files = "/scratch/{name}.out".to_owned();
    let beat = Heartbeat {
        worker: Some(moved),
        sample: Some(sample),
        output_files: output_files.clone(),
        ..Heartbeat::default()
    };
    heartbeat(&native, beat);
    native.ask(Body::Exit(Exit { worker: Some(worker(3)) }));
    steer(&native, &["node4:1"], Order::Stop);

    let mut seen = Vec::new();
    let mut after = 0;
    loop {
        let page = workers(&native, 2, after);
        assert!(page.workers.len() <= 2);
        seen.extend(page.workers);
        after = page.next;
        if after == 0 {
            break;
        }
    }
    let names: Vec<_> = seen.iter().map(|it| (it.name.as_str(), it.host.as_str())).collect();
    let expected =
        [("node1:1", "node1"), ("node2:1", "node2"), ("node4:1", "node4"), ("node5:1", "node5")];
    assert_eq!(names, expected);
    assert_eq!((&seen[1].output_files, seen[1].sample), (&output_files, Some(sample)));
    assert_eq!((seen[1].order(), seen[2].order()), (Order::Unspecified, Order::Stop));
    assert_eq!(workers(&native, 0, 0).workers.len(), 4);
    assert_eq!(
        native.error(Body::Workers(Workers { limit: 1, after: u64::MAX })).0,
        ErrorCode::ErrorInvalid
    );
    let long = Worker { host: "h".repeat(256), ..worker(9) };
    let steal = Steal { worker: Some(long), ..Steal::default() };
    assert_eq!(native.error(Body::Steal(steal)).0, ErrorCode::ErrorLimit);
}
