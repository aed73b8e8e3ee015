//! Each verb over a bad network: it gets its result by asking again, or says in time that no hub
//! answers.

use e2e::{Cut, Hub, Output, Proxy, Way, eventually};

use crate::run::through;

const TASKS: usize = 60_000;

/// Runs a verb whose answer is lost after the hub has carried it out.
#[track_caller]
pub fn with_lost_answer(hub: &Hub, proxy: &Proxy, args: &[&str]) -> Output {
    meanwhile(hub, proxy, args, || {})
}

/// The same; before the verb asks again, something else happens.
#[track_caller]
pub fn meanwhile(hub: &Hub, proxy: &Proxy, args: &[&str], happens: impl FnOnce()) -> Output {
    let before = proxy.requests.swallowed(Way::ToClient);
    proxy.lose_answers();
    let verb = through(hub, proxy, "dquery", args);
    let lost = || (proxy.requests.swallowed(Way::ToClient) > before).then_some(());
    eventually("an answer to be lost", lost);
    happens();
    proxy.heal();
    verb.end()
}

pub fn behind_proxy() -> (Hub, Proxy) {
    let hub = Hub::start();
    let proxy = Proxy::to(&hub);
    (hub, proxy)
}

#[test]
fn a_steal_and_its_completion_survive_lost_answers() {
    let (hub, proxy) = behind_proxy();
    with_lost_answer(&hub, &proxy, &["create", "a"]).exits(0);
    hub.query(&["create", "b"]).ok();
    assert_eq!(with_lost_answer(&hub, &proxy, &["steal", "-q"]).ok(), "a\n");
    assert_eq!((hub.count("running"), hub.count("ready")), (1, 1));
    with_lost_answer(&hub, &proxy, &["complete", "a"]).exits(0);
    let shown = hub.show("a");
    assert_eq!((&shown["task"]["state"], &shown["task"]["attempt"]), (&"done".into(), &1.into()));
    assert_eq!(shown["attempts"].as_array().map(Vec::len), Some(1));
    assert_eq!(with_lost_answer(&hub, &proxy, &["steal", "-q", "--wait"]).ok(), "b\n");
    assert_eq!(hub.show("b")["task"]["attempt"], 1);
}

#[test]
fn what_is_given_back_or_fails_survives_lost_answers() {
    let (hub, proxy) = behind_proxy();
    hub.query(&["create", "a"]).ok();
    hub.query(&["steal", "-q"]).ok();
    with_lost_answer(&hub, &proxy, &["release", "a", "--attempt", "1"]).exits(0);
    assert_eq!(hub.state("a"), "ready");
    hub.query(&["steal", "-q"]).ok();
    with_lost_answer(&hub, &proxy, &["heartbeat", "a"]).exits(0);
    with_lost_answer(&hub, &proxy, &["fail", "a"]).exits(0);
    assert_eq!(hub.state("a"), "failed");
    assert_eq!(hub.show("a")["task"]["failures"], 1);
}

#[test]
fn what_people_repair_survives_lost_answers() {
    let (hub, proxy) = behind_proxy();
    hub.query(&["create", "a"]).ok();
    with_lost_answer(&hub, &proxy, &["cancel", "a"]).exits(0);
    assert_eq!(hub.state("a"), "cancelled");
    with_lost_answer(&hub, &proxy, &["retry", "a"]).exits(0);
    assert_eq!(hub.state("a"), "ready");
    hub.query(&["steal", "-q", "w"]).ok();
    with_lost_answer(&hub, &proxy, &["exit", "w"]).exits(0);
    assert_eq!(hub.state("a"), "ready");
}

#[test]
fn what_only_reads_survives_lost_answers() {
    let (hub, proxy) = behind_proxy();
    hub.query(&["create", "a"]).ok();
    with_lost_answer(&hub, &proxy, &["status"]).exits(0).prints(&["ready 1"]);
    with_lost_answer(&hub, &proxy, &["list"]).exits(0).prints(&["a"]);
    with_lost_answer(&hub, &proxy, &["show", "a"]).exits(0).prints(&["a"]);
    hub.query(&["steal", "-q"]).ok();
    hub.query(&["complete", "a"]).ok();
    with_lost_answer(&hub, &proxy, &["wait"]).exits(0).prints(&["1 done"]);
}

#[test]
fn a_black_hole_is_no_hub_after_the_timeout() {
    let (hub, proxy) = behind_proxy();
    hub.write("tasks.txt", "x\ny\n");
    hub.query(&["create", "a"]).ok();
    let verbs: [&[&str]; 9] = [
        &["create", "b"],
        &["addfile", "tasks.txt"],
        &["steal", "-q"],
        &["steal", "-q", "--wait"],
        &["complete", "a"],
        &["status"],
        &["list"],
        &["wait"],
        &["shutdown"],
    ];
    for way in [Way::ToHub, Way::ToClient] {
        proxy.swallow(way);
        let started = verbs.map(|verb| {
            through(&hub, &proxy, "dquery", &[verb, &["--timeout", "1s"][..]].concat())
        });
        for verb in started {
            verb.end().exits(7).is_one_message().says(&["no hub answers", &proxy.tcp()]);
        }
        assert!(proxy.requests.swallowed(way) > 0);
        proxy.heal();
    }
    assert_eq!((hub.count("ready"), hub.count("running")), (1, 0), "nothing was carried out");
}

#[test]
fn a_wait_goes_on_after_each_fault_and_ends_when_it_lasts() {
    let (hub, proxy) = behind_proxy();
    hub.query(&["create", "a"]).ok();
    let args = ["wait", "--timeout", "1s", "--wait-limit", "1h", "--hub-timeout", "3s"];
    let mut lasting =
        through(&hub, &proxy, "dquery", &["wait", "--timeout", "1s", "--wait-limit", "1h"]);
    let given_up = through(&hub, &proxy, "dquery", &args);
    eventually("both to wait", || (proxy.requests.accepted() == 2).then_some(()));
    proxy.cut(Cut::Rst);
    proxy.refuse();
    given_up.end().exits(7).says(&["the hub is silent", "no hub answers"]);
    lasting.hear("the hub is silent");
    proxy.heal();
    lasting.hear("the hub is back");
    hub.query(&["steal", "-q"]).ok();
    hub.query(&["complete", "a"]).ok();
    lasting.end().exits(0);
}

/// Each fifth task needs the one before it.
fn write_tasks(hub: &Hub) {
    let line = |n: usize| match n % 5 {
        4 => format!("t{n},t{}\n", n - 1),
        _ => format!("t{n}\n"),
    };
    hub.write("tasks.txt", (0..TASKS).map(line).collect::<String>());
}

/// Waits until some of the tasks are there, and not all.
fn await_middle(hub: &Hub) {
    let native = hub.native();
    let some = eventually("tasks", || {
        let counts = native.counts();
        let there = counts.ready + counts.waiting;
        (there > 0).then_some(there as usize)
    });
    assert!(some < TASKS, "too late to be in the middle");
}

#[track_caller]
fn has_all(hub: &Hub) {
    let counts = hub.native().counts();
    let expected = (TASKS as u64 * 4 / 5, TASKS as u64 / 5, 0);
    assert_eq!((counts.ready, counts.waiting, counts.missing), expected);
}

#[test]
fn an_addfile_that_is_cut_off_is_completed_by_the_same_command() {
    let (hub, proxy) = behind_proxy();
    write_tasks(&hub);
    proxy.delay(Way::ToHub, 100);
    let adding = through(&hub, &proxy, "dquery", &["addfile", "tasks.txt", "--timeout", "1s"]);
    await_middle(&hub);
    proxy.refuse();
    proxy.cut(Cut::Rst);
    adding
        .end()
        .exits(7)
        .is_one_message()
        .says(&["no hub answers", "of 60,000 tasks are in the hub"]);
    proxy.heal();
    let again = through(&hub, &proxy, "dquery", &["addfile", "tasks.txt", "--json"]).end();
    again.exits(0);
    let (added, existing) = (&again.json()["added"], &again.json()["existing"]);
    assert_eq!(added.as_u64().unwrap() + existing.as_u64().unwrap(), TASKS as u64);
    assert!(existing.as_u64().unwrap() > 0, "{again:?}");
    has_all(&hub);
}

#[test]
fn an_addfile_goes_on_over_a_new_connection() {
    for cut in [Cut::Fin, Cut::Rst] {
        let (hub, proxy) = behind_proxy();
        write_tasks(&hub);
        proxy.delay(Way::ToHub, 100);
        let adding = through(&hub, &proxy, "dquery", &["addfile", "tasks.txt"]);
        await_middle(&hub);
        proxy.cut(cut);
        proxy.heal();
        adding.end().exits(0);
        has_all(&hub);
    }
}
