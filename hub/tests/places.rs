//! No more workers hold tasks than there is room for, and who holds nothing gives way.

mod common;

use common::*;
use dhub::engine::message::*;

fn with_tasks(count: usize) -> Hub {
    let mut hub = Hub::in_memory();
    let tasks = (0..count).map(|n| task(&format!("t{n}"), &[])).collect();
    hub.ask(Body::Create { tasks, merge: false });
    hub
}

/// A steal that may wait.
fn ask(hub: &mut Hub, name: &str, number: u64) -> Ticket {
    let steal = Steal { wait_ms: 20_000, stay: true, ..steal(&who(name), number, 1) };
    hub.send(Request::by(who(name), Body::Steal(steal)))
}

/// What it was given, if it was answered in this turn, and whether it is to come back later.
fn answer(answers: &[(Ticket, Answer)], ticket: Ticket) -> Option<(Vec<Name>, bool)> {
    answers.iter().find(|(to, _)| *to == ticket).map(|(_, answer)| match answer {
        Answer::Stolen(it) => (it.leases.iter().map(|it| it.name.clone()).collect(), it.away),
        other => panic!("{other:?}"),
    })
}

fn complete(hub: &mut Hub, name: &str, task: &str, want: Option<Steal>) -> Answer {
    let outcomes = vec![outcome(task, 1, Verdict::Done)];
    hub.ask(Request::by(who(name), Body::Complete { outcomes, want }))
}

#[test]
fn so_many_hold_tasks_and_the_next_gets_one_when_another_has_ended_its_own() {
    let mut hub = with_tasks(9);
    hub.scheduler.set_places(2);
    let asked = ["w1", "w2", "w3", "w4"].map(|name| ask(&mut hub, name, 1));
    let shell = ask(&mut hub, "shell", 1);
    let answers = hub.turn();
    let given = asked.map(|ticket| answer(&answers, ticket));
    assert_eq!(
        given,
        [Some((vec!["t0".into()], false)), Some((vec!["t1".into()], false)), None, None]
    );
    assert_eq!(answer(&answers, shell), Some((vec!["t2".into()], false)), "it has no connection");
    // Who holds some may have more.
    let more = ask(&mut hub, "w1", 2);
    assert_eq!(answer(&hub.turn(), more), Some((vec!["t3".into()], false)));
    complete(&mut hub, "w2", "t1", None);
    hub.send(Request::by(who("w2"), Body::Exit));
    let answers = hub.turn();
    assert_eq!(answer(&answers, asked[2]), None, "it was given t4 in the turn of the outcome");
    assert!(hub.scheduler.worker_id(&who("w3")).is_some_and(|id| {
        hub.scheduler.worker(id).is_some_and(|worker| worker.leases.len() == 1)
    }));
    assert_eq!(answer(&answers, asked[3]), None);
}

#[test]
fn who_holds_nothing_gives_way_when_others_wait_at_the_door() {
    let mut hub = with_tasks(1);
    let asked = ["w1", "w2", "shell"].map(|name| ask(&mut hub, name, 1));
    let answers = hub.turn();
    assert_eq!(answer(&answers, asked[0]), Some((vec!["t0".into()], false)));
    hub.scheduler.set_crowded(true);
    let answers = hub.turn();
    assert_eq!(answer(&answers, asked[1]), Some((vec![], true)));
    assert_eq!(answer(&answers, asked[2]), None, "it has no connection");
    // One that comes back before it should is kept until then, whether it knows what it was told or not.
    let again = ask(&mut hub, "w2", 2);
    assert_eq!(answer(&hub.turn(), again), None);
    hub.now += 1_000;
    assert_eq!(answer(&hub.turn(), again), Some((vec![], true)));
    // One whose last task has ended is sent away, too.
    let holder = ask(&mut hub, "w1", 2);
    assert_eq!(answer(&hub.turn(), holder), None, "it holds one");
    match complete(&mut hub, "w1", "t0", Some(steal(&who("w1"), 3, 1))) {
        Answer::Completed { stolen: Some(stolen), .. } => assert!(stolen.away, "{stolen:?}"),
        other => panic!("{other:?}"),
    }
    hub.scheduler.set_crowded(false);
    let stays = ask(&mut hub, "w2", 3);
    assert_eq!(answer(&hub.turn(), stays), None);
}

/// Those that held tasks before count, whether they are back or not.
#[test]
fn after_a_restart_there_is_room_for_those_that_hold_tasks() {
    let mut hub = Hub::on_file();
    let tasks = vec![task("t0", &[]), task("t1", &[]), task("t2", &[])];
    hub.ask(Body::Create { tasks, merge: false });
    for name in ["w1", "w2"] {
        ask(&mut hub, name, 1);
    }
    hub.turn();
    hub.restart();
    hub.scheduler.set_places(2);
    let other = ask(&mut hub, "w3", 1);
    assert_eq!(answer(&hub.turn(), other), None);
    complete(&mut hub, "w1", "t0", None);
    assert_eq!(hub.state("t2"), Some(dhub::engine::scheduler::State::Running));
}

/// So many workers of a key ask.
fn crowd(hub: &mut Hub, key: &str, workers: usize) -> Vec<Ticket> {
    let ask = |n| ask(hub, &format!("{key}/w{n}"), 1);
    (0..workers).map(ask).collect()
}

fn holds(hub: &Hub, name: &str) -> usize {
    let worker = hub.scheduler.worker_id(&who(name)).and_then(|id| hub.scheduler.worker(id));
    worker.map_or(0, |worker| worker.leases.len())
}

fn fed(answers: &[(Ticket, Answer)], asked: &[Ticket]) -> usize {
    let got = |&&ticket: &&Ticket| answer(answers, ticket).is_some_and(|(it, _)| !it.is_empty());
    asked.iter().filter(got).count()
}

#[test]
fn a_key_with_many_ids_leaves_places_to_other_keys_and_to_the_owner() {
    let mut hub = with_tasks(40);
    hub.scheduler.set_places(8);
    let asked = ["evil", "good", ""].map(|key| crowd(&mut hub, key, 9));
    let answers = hub.turn();
    assert_eq!(asked.each_ref().map(|asked| fed(&answers, asked)), [4, 2, 2]);
    assert_eq!(hub.scheduler.workers_kept(), 5 + 7 + 7);
    // What a key gives back it may have again, whoever else has waited for longer.
    complete(&mut hub, "good/w0", "t4", None);
    assert_eq!(["evil/w4", "good/w2", "w2"].map(|name| holds(&hub, name)), [0, 1, 0]);
}

#[test]
fn a_key_that_has_all_its_places_keeps_nobody_else_waiting() {
    let mut hub = with_tasks(0);
    hub.scheduler.set_places(4);
    let evil = crowd(&mut hub, "evil", 5);
    ask(&mut hub, "good/w", 1);
    let tasks = (0..5).map(|n| task(&format!("t{n}"), &[])).collect();
    hub.ask(Body::Create { tasks, merge: false });
    assert_eq!(hub.scheduler.workers_kept(), 3);
    hub.ask(Request::by(who("evil/w0"), Body::Exit));
    assert_eq!(hub.scheduler.workers_kept(), 2, "the next one of the key has its place");
    hub.apply(Body::Forget { tickets: evil.into_iter().collect() });
    assert_eq!(hub.scheduler.workers_kept(), 0);
}

/// A worker of a file of before keys has the key of the first who is called so, and its place.
#[test]
fn a_place_goes_with_its_worker_to_another_key() {
    let mut hub = with_tasks(9);
    hub.scheduler.set_places(4);
    crowd(&mut hub, "old", 2);
    hub.apply(Body::Marked { old: "old".into(), key: "new".into() });
    let (old, new) = (ask(&mut hub, "old/w7", 1), ask(&mut hub, "new/w7", 1));
    let answers = hub.turn();
    assert_eq!([old, new].map(|it| answer(&answers, it).is_some()), [true, false]);
}
