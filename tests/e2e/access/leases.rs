//! A lease is bound to the key that took it, and ends when that is taken back.

use std::thread::sleep;
use std::time::Duration;

use dhub_proto::wire::reply::Body as Answer;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::*;
use e2e::{Native, eventually, outcome_done, plain_worker, task, worker};

use super::Guarded;

/// A hub with a task that the key 'lab' has a lease of, and the keys 'lab' and 'evil'.
fn leased() -> (Guarded, Lease) {
    let hub = Guarded::start();
    hub.new_key("lab", &["work"]);
    hub.new_key("evil", &["work"]);
    hub.native("owner").create(&[task("a", &[])]);
    let lease = hub.native("lab").steal_one(&worker(1));
    (hub, lease)
}

fn attempt(lease: &Lease) -> Attempt {
    Attempt { name: lease.name.clone(), attempt: lease.attempt, started: true }
}

fn beat(native: &Native, lease: &Lease) -> usize {
    let attempts = vec![attempt(lease)];
    let body = Heartbeat { worker: Some(worker(1)), attempts, ..Heartbeat::default() };
    match native.ask(Body::Heartbeat(body)) {
        Answer::Heartbeaten(told) => told.lost.len(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_names_the_id_of_another_keys_worker_is_not_that_worker() {
    let (hub, lease) = leased();
    let (evil, owner) = (hub.native("evil"), hub.native("owner"));
    assert_eq!(beat(&evil, &lease), 1, "the lease is none of its own");
    assert_eq!(evil.report(&worker(1), vec![outcome_done(&lease)]), [ErrorCode::ErrorStale]);
    let attempts = vec![attempt(&lease)];
    let give_back = Body::Release(Release { worker: Some(worker(1)), attempts });
    match evil.ask(give_back) {
        Answer::Released(Released { released, .. }) => assert_eq!(released, 0),
        other => panic!("{other:?}"),
    }
    let exit = || Body::Exit(Exit { worker: Some(worker(1)) });
    assert_eq!(evil.error(exit()).0, ErrorCode::ErrorNotFound);
    let repeat = Steal { worker: Some(worker(1)), n: 1, number: 1, ..Steal::default() };
    assert_eq!(evil.steal(repeat).leases, []);
    assert_eq!(owner.state("a"), State::Running);
    // The worker itself, and the owner, who acts for all.
    assert_eq!(beat(&hub.native("lab"), &lease), 0);
    assert_eq!(beat(&owner, &lease), 0);
    assert_eq!(owner.report(&worker(1), vec![outcome_done(&lease)]), []);
    let shown = owner.show("a");
    assert_eq!(
        (shown.attempts[0].key.as_str(), shown.attempts[0].outcome.as_str()),
        ("lab", "done")
    );
}

#[test]
fn each_attempt_says_with_which_key_it_was_handed_in() {
    let (hub, lease) = leased();
    let owner = hub.native("owner");
    assert_eq!(owner.show("a").attempts[0].key, "lab", "while it runs");
    assert_eq!(hub.native("lab").report(&worker(1), vec![outcome_done(&lease)]), []);
    owner.create(&[task("b", &[])]);
    let own = owner.steal_one(&plain_worker("here"));
    owner.report(&plain_worker("here"), vec![outcome_done(&own)]);
    let wait = Wait { names: vec!["a".into(), "b".into()], ..Wait::default() };
    let Answer::Waited(waited) = owner.ask(Body::Wait(wait)) else { panic!("no answer") };
    let key = |name: &str| {
        let of = |it: &&EndedTask| it.task.as_ref().is_some_and(|task| task.name == name);
        let ended = waited.ended.iter().find(of).expect("a task that ended");
        ended.attempt.as_ref().expect("an attempt").key.clone()
    };
    assert_eq!((key("a").as_str(), key("b").as_str()), ("lab", ""));
    let shown = hub.space.run("dquery", &["show", "a", "--json"]);
    assert_eq!(shown.json()["attempts"][0]["key"], "lab");
    let keys: Vec<_> = owner.status().workers.into_iter().map(|it| it.key).collect();
    assert!(keys.contains(&"lab".to_owned()), "{keys:?}");
}

#[test]
fn what_a_key_holds_goes_to_others_as_soon_as_it_is_taken_back() {
    let (hub, lease) = leased();
    hub.dhub(&["access", "revoke", "lab"]).exits(0);
    let owner = hub.native("owner");
    eventually("the task to be ready", || (owner.state("a") == State::Ready).then_some(()));
    // The same name again is another key of that name: what the first one held is over.
    hub.new_key("lab", &["work"]);
    let lab = hub.native("lab");
    assert_eq!(lab.report(&worker(1), vec![outcome_done(&lease)]), [ErrorCode::ErrorStale]);
    let task = owner.show("a").task.expect("a task");
    assert_eq!((task.state(), task.reclaims), (State::Ready, 0));
}

#[test]
fn a_key_that_is_taken_back_while_the_hub_is_down_holds_nothing_when_it_starts() {
    let (mut hub, _) = leased();
    hub.terminate().exits(0);
    hub.dhub(&["access", "revoke", "lab"]);
    hub.start_again(&[]);
    assert_eq!(hub.native("owner").state("a"), State::Ready);
}

#[test]
fn a_key_that_is_made_anew_while_the_hub_is_down_has_nothing_of_the_old_one() {
    let (mut hub, lease) = leased();
    hub.terminate().exits(0);
    hub.dhub(&["access", "revoke", "lab"]).exits(0);
    hub.new_key("lab", &["work"]);
    hub.start_again(&[]);
    let (lab, owner) = (hub.native("lab"), hub.native("owner"));
    assert_eq!(owner.state("a"), State::Ready);
    assert_eq!(beat(&lab, &lease), 1);
    assert_eq!(lab.report(&worker(1), vec![outcome_done(&lease)]), [ErrorCode::ErrorStale]);
    // And what it takes is its own, under the name that people know.
    let own = lab.steal_one(&worker(1));
    assert_eq!((own.name.as_str(), own.attempt), ("a", 2));
    assert_eq!(owner.show("a").attempts[0].key, "lab");
    assert_eq!(lab.report(&worker(1), vec![outcome_done(&own)]), []);
    assert_eq!(owner.show("a").attempts[0].key, "lab");
}

/// As a hub of a few days ago wrote it.
#[test]
fn workers_that_are_stored_with_the_name_of_their_key_alone_are_those_of_its_present_key() {
    let (mut hub, lease) = leased();
    hub.terminate().exits(0);
    change_file(&hub, "UPDATE workers SET key = 'lab'");
    hub.start_again(&[]);
    assert_eq!(beat(&hub.native("lab"), &lease), 0);
    hub.process().kill9();
    hub.start_again(&[]);
    assert_eq!(beat(&hub.native("lab"), &lease), 0);
    hub.terminate().exits(0);
    change_file(&hub, "UPDATE workers SET key = 'gone'");
    hub.start_again(&[]);
    assert_eq!(hub.native("owner").state("a"), State::Ready);
}

fn change_file(hub: &Guarded, sql: &str) {
    let db = e2e::open_file(&hub.space.path("run.db"));
    db.execute_batch(sql).expect("a change");
}

/// Before version 5 a file did not say whose workers are.
const TO_VERSION_4: &str = "DROP VIEW task_list; DROP VIEW dependencies;
    ALTER TABLE tasks DROP COLUMN sum; ALTER TABLE attempts DROP COLUMN left_behind;
    DROP TABLE requests;
    DROP INDEX workers_key; ALTER TABLE workers DROP COLUMN key;
    CREATE UNIQUE INDEX workers_key ON workers (coalesce(client, name));
    PRAGMA user_version = 4";

#[test]
fn leases_of_an_older_file_are_those_of_the_first_key_that_names_their_worker() {
    let (mut hub, lease) = leased();
    hub.terminate().exits(0);
    change_file(&hub, TO_VERSION_4);
    hub.new_key("look", &["observe"]);
    hub.start_again(&[]);
    let owner = hub.native("owner");
    assert_eq!(owner.state("a"), State::Running);
    assert_eq!(owner.show("a").attempts[0].key, "?");
    // Who may not work takes nothing over.
    let body = Body::Heartbeat(Heartbeat { worker: Some(worker(1)), ..Heartbeat::default() });
    assert_eq!(hub.native("look").error(body).0, ErrorCode::ErrorDenied);
    assert_eq!(beat(&hub.native("lab"), &lease), 0);
    assert_eq!(owner.show("a").attempts[0].key, "lab");
    assert_eq!(beat(&hub.native("evil"), &lease), 1, "once");
    hub.process().kill9();
    hub.start_again(&[]);
    let lab = hub.native("lab");
    assert_eq!(beat(&hub.native("evil"), &lease), 1, "it is stored");
    assert_eq!(lab.report(&worker(1), vec![outcome_done(&lease)]), []);
}

#[test]
fn leases_of_an_older_file_are_the_owners_if_the_owner_names_their_worker() {
    let (mut hub, lease) = leased();
    hub.terminate().exits(0);
    change_file(&hub, TO_VERSION_4);
    hub.start_again(&[]);
    let owner = hub.native("owner");
    assert_eq!(beat(&owner, &lease), 0);
    assert_eq!(owner.show("a").attempts[0].key, "");
    assert_eq!(beat(&hub.native("lab"), &lease), 1);
    assert_eq!(owner.report(&worker(1), vec![outcome_done(&lease)]), []);
}

#[test]
fn leases_of_a_key_stay_through_a_restart() {
    let (mut hub, lease) = leased();
    hub.process().kill9();
    hub.start_again(&[]);
    let owner = hub.native("owner");
    assert_eq!(owner.state("a"), State::Running);
    assert_eq!(
        hub.native("evil").report(&worker(1), vec![outcome_done(&lease)]),
        [ErrorCode::ErrorStale]
    );
    assert_eq!(hub.native("lab").report(&worker(1), vec![outcome_done(&lease)]), []);
}

#[test]
fn ids_that_were_never_given_anything_are_not_remembered() {
    let (hub, _) = leased();
    let (evil, owner) = (hub.native("evil"), hub.native("owner"));
    for number in 0..3_000u32 {
        let id = [number.to_le_bytes().as_slice(), &[7; 12]].concat();
        let who = Worker { name: "flood".into(), id, ..Worker::default() };
        let body = Heartbeat { worker: Some(who.clone()), ..Heartbeat::default() };
        evil.send(Body::Heartbeat(body));
        evil.send(Body::Steal(Steal { worker: Some(who), n: 1, ..Steal::default() }));
        evil.receive();
        evil.receive();
    }
    sleep(Duration::from_millis(50));
    assert!(owner.status().workers_total <= 1_001, "{}", owner.status().workers_total);
    drop(evil);
    let mut hub = hub;
    hub.terminate().exits(0);
    let db = rusqlite::Connection::open(hub.space.path("run.db")).expect("a file");
    let rows: i64 = db.query_row("SELECT count(*) FROM workers", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1, "the one that was given something");
}

/// Nobody knows which key they were handed in with: not the owner's, which is believed.
#[test]
fn attempts_that_ended_before_an_upgrade_are_nobodys() {
    let (mut hub, lease) = leased();
    assert_eq!(hub.native("lab").report(&worker(1), vec![outcome_done(&lease)]), []);
    hub.terminate().exits(0);
    change_file(&hub, TO_VERSION_4);
    hub.start_again(&[]);
    let owner = hub.native("owner");
    assert_eq!(owner.show("a").attempts[0].key, "?");
    // Also when the owner's worker has the same id by now.
    owner.steal(Steal { worker: Some(worker(1)), n: 1, ..Steal::default() });
    assert_eq!(owner.show("a").attempts[0].key, "?");
}
