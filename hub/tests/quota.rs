//! What workers of one key may take of the hub's memory, and that the owner's are not meant.

mod common;

use common::*;
use dhub::engine::message::*;

fn numbered(key: &str, number: u32) -> Who {
    let mut id = [7; 16];
    id[..4].copy_from_slice(&number.to_le_bytes());
    Who { name: "w".into(), id: Some(id), key: key.into(), ..Who::default() }
}

fn ask_steal(hub: &mut Hub, who: &Who, wait_ms: u64) -> Ticket {
    let steal = Steal { wait_ms, ..steal(who, 1, 1) };
    hub.send(Request::by(who.clone(), Body::Steal(steal)))
}

/// A hub that is awake all the time.
fn pass(hub: &mut Hub, seconds: u64) {
    for _ in 0..seconds {
        hub.now += 1_000;
        hub.turn();
    }
}

fn workers(hub: &Hub) -> usize {
    hub.scheduler.workers().count()
}

fn stored(hub: &Hub) -> usize {
    hub.changes.iter().filter(|change| matches!(change, Change::Worker { .. })).count()
}

#[test]
fn ids_by_the_thousand_that_are_given_nothing_are_forgotten_and_never_stored() {
    let mut hub = Hub::in_memory();
    for number in 0..60_000 {
        let (who, attempts) = (numbered("evil", number), Vec::new());
        hub.apply(Request::by(who, Body::Heartbeat { attempts }));
    }
    assert_eq!(workers(&hub), 0, "a heartbeat makes nobody known");
    for number in 0..60_000 {
        ask_steal(&mut hub, &numbered("evil", number), 0);
        assert!(workers(&hub) <= 1_000);
    }
    hub.turn();
    // The last ones are those that are known.
    assert!(hub.scheduler.worker_id(&numbered("evil", 59_999)).is_some());
    pass(&mut hub, 61);
    assert_eq!((workers(&hub), stored(&hub)), (0, 0));
    for number in 0..2_000 {
        ask_steal(&mut hub, &numbered("", number), 0);
    }
    hub.turn();
    assert_eq!(workers(&hub), 2_000, "the owner's are not counted");
}

#[test]
fn who_waits_is_not_forgotten_for_others_of_its_key() {
    let mut hub = Hub::in_memory();
    hub.ask(Body::Create { tasks: vec![task("later", &["never"])], merge: false });
    let waiting = Steal { wait_ms: 60_000, stay: true, ..steal(&who("lab/w1"), 1, 1) };
    let parked = hub.send(Request::by(who("lab/w1"), Body::Steal(waiting)));
    for number in 0..5_000 {
        ask_steal(&mut hub, &numbered("lab", number), 0);
    }
    hub.turn();
    hub.send(Body::Create { tasks: vec![task("a", &[])], merge: false });
    let answers = hub.turn();
    let answer = answers.iter().find(|(to, _)| *to == parked).expect("an answer");
    assert!(matches!(&answer.1, Answer::Stolen(stolen) if stolen.leases.len() == 1));
}

#[test]
fn there_are_twenty_thousand_workers_of_a_key_at_most() {
    let mut hub = Hub::in_memory();
    let tasks = |from: u32| (from..from + 20_050).map(|i| task(&format!("t{i}"), &[])).collect();
    hub.ask(Body::Create { tasks: tasks(0), merge: false });
    for number in 0..20_000 {
        ask_steal(&mut hub, &numbered("lab", number), 0);
    }
    hub.turn();
    assert_eq!(stored(&hub), 20_000);
    let last = ask_steal(&mut hub, &numbered("lab", 20_000), 0);
    let others = [ask_steal(&mut hub, &numbered("", 1), 0), ask_steal(&mut hub, &who("b/w1"), 0)];
    let known = ask_steal(&mut hub, &numbered("lab", 3), 0);
    let answers = hub.turn();
    let of = |ticket| &answers.iter().find(|(to, _)| *to == ticket).expect("an answer").1;
    match of(last) {
        Answer::Error { code: Code::Busy, message, .. } => {
            assert_eq!(
                message,
                "the key 'lab' has 20000 workers, which is the limit; ask again later"
            );
        }
        other => panic!("{other:?}"),
    }
    for ticket in [others[0], others[1], known] {
        assert!(matches!(of(ticket), Answer::Stolen(stolen) if stolen.leases.len() == 1));
    }
    // Nor by the way of a Complete.
    let who = numbered("lab", 20_001);
    let want = Some(steal(&who, 1, 1));
    let said = hub.ask(Request::by(who, Body::Complete { outcomes: Vec::new(), want }));
    assert!(matches!(said, Answer::Completed { stolen: None, .. }), "{said:?}");
}

fn comes_and_goes(hub: &mut Hub, who: &Who) {
    ask_steal(hub, who, 0);
    hub.send(Request::by(who.clone(), Body::Exit));
}

/// As pools in a shell loop.
#[test]
fn those_that_left_make_room_for_others_of_their_key() {
    let mut hub = Hub::in_memory();
    hub.ask(Body::Create { tasks: vec![task("a", &[])], merge: false });
    for number in 0..60_000 {
        comes_and_goes(&mut hub, &numbered("lab", number));
        if number % 100 == 0 {
            hub.now += 100;
            hub.turn();
            assert!(workers(&hub) <= 20_000);
        }
    }
    assert_eq!(stored(&hub), 59_901);
    hub.turn();
    // One that was forgotten is the same again.
    let who = numbered("lab", 7);
    assert_eq!(hub.scheduler.worker_id(&who), None);
    comes_and_goes(&mut hub, &who);
    hub.turn();
    assert_eq!((hub.scheduler.worker_id(&who), stored(&hub)), (Some(8), 60_000));
}

/// Else their rows would be written twice.
#[test]
fn nobody_is_forgotten_before_the_tables_have_it() {
    let mut hub = Hub::in_memory();
    hub.ask(Body::Create { tasks: vec![task("a", &[])], merge: false });
    for number in 0..20_000 {
        comes_and_goes(&mut hub, &numbered("lab", number));
    }
    let late = ask_steal(&mut hub, &numbered("lab", 20_000), 0);
    let answers = hub.turn();
    let answer = &answers.iter().find(|(to, _)| *to == late).expect("an answer").1;
    assert!(matches!(answer, Answer::Error { code: Code::Busy, .. }), "{answer:?}");
    hub.now += 1_000;
    for number in [20_000, 0, 1] {
        comes_and_goes(&mut hub, &numbered("lab", number));
    }
    hub.turn();
    assert_eq!(stored(&hub), 20_001);
}

#[test]
fn who_holds_or_waits_or_has_something_to_be_told_stays() {
    let mut hub = Hub::in_memory();
    let tasks = vec![task("a", &[]), task("b", &[])];
    hub.ask(Body::Create { tasks, merge: false });
    let (holds, waits, drains) = (who("lab/w1"), who("lab/w2"), who("lab/w3"));
    comes_and_goes(&mut hub, &waits);
    comes_and_goes(&mut hub, &drains);
    ask_steal(&mut hub, &drains, 0);
    let id = hub.scheduler.worker_id(&drains).expect("a worker");
    hub.ask(Body::Steer { workers: vec![id], order: Order::Drain });
    let attempts = vec![AttemptRef { name: "a".into(), attempt: 0, started: false }];
    let (who, needs) = (drains.clone(), Vec::new());
    hub.ask(Request::by(who, Body::Release { attempts, needs }));
    ask_steal(&mut hub, &holds, 0);
    let waiting = Steal { wait_ms: 600_000, n: 0, ..steal(&waits, 9, 1) };
    hub.send(Request::by(waits.clone(), Body::Steal(waiting)));
    hub.turn();
    for number in 0..25_000 {
        comes_and_goes(&mut hub, &numbered("lab", number));
        if number % 100 == 0 {
            hub.now += 100;
            hub.turn();
        }
    }
    assert!(workers(&hub) < 25_000);
    for who in [holds, waits, drains] {
        assert!(hub.scheduler.worker_id(&who).is_some(), "{}", who.name);
    }
}

#[test]
fn names_of_what_was_lost_are_bounded_by_the_key() {
    let mut hub = Hub::in_memory();
    let tasks = (0..200).map(|i| task(&format!("t{i}"), &[])).collect();
    hub.ask(Body::Create { tasks, merge: false });
    let beat = |key: &str, number: u32| {
        let name = |i: u32| format!("{number} {i} {}", "x".repeat(1_000)).into();
        let attempts = (0..1_000).map(|i| AttemptRef { name: name(i), attempt: 1, started: false });
        Request::by(numbered(key, number), Body::Heartbeat { attempts: attempts.collect() })
    };
    for key in ["evil", ""] {
        for number in 0..50 {
            ask_steal(&mut hub, &numbered(key, number), 0);
            hub.apply(beat(key, number));
        }
    }
    let bytes = |key: &str| -> usize {
        let workers = hub.scheduler.workers().filter(|(_, worker)| worker.who.key == key);
        workers.flat_map(|(_, worker)| worker.lost()).map(|(name, _)| name.len()).sum()
    };
    assert!((1 << 20..=16 << 20).contains(&bytes("evil")), "{}", bytes("evil"));
    assert_eq!(bytes("") / 1_000_000, 50, "the owner's are told of all");
}

#[test]
fn clients_of_a_key_are_bounded_too() {
    let mut hub = Hub::in_memory();
    let steal_as = |client: u32, key: &str| {
        let mut id = [9; 16];
        id[..4].copy_from_slice(&client.to_le_bytes());
        let who = Who { name: "h".into(), key: key.into(), ..Who::default() };
        let steal = Steal { client: Some(id), ..steal(&who, 1, 1) };
        Request::by(who, Body::Steal(steal))
    };
    for client in 0..100_000 {
        hub.send(steal_as(client, "evil"));
    }
    hub.turn();
    let said = hub.ask(steal_as(100_000, "evil"));
    assert!(matches!(said, Answer::Error { code: Code::Busy, .. }), "{said:?}");
    assert!(matches!(hub.ask(steal_as(100_000, "")), Answer::Stolen(_)));
    pass(&mut hub, 150);
    assert!(matches!(hub.ask(steal_as(100_000, "evil")), Answer::Stolen(_)), "for two minutes");
}
