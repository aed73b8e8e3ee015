//! What a pool holds besides what it runs: nothing that others could run sooner.

use e2e::{Hub, Log, eventually};

const GATE: &str = "echo {} >>started; while test -e run.db && ! test -e gate; do sleep 0.02; done";

#[test]
fn long_tasks_are_left_to_others() {
    let hub = Hub::start();
    for name in ["a", "b"] {
        hub.query(&["create", name]).ok();
    }
    let pool = |name| hub.worker(&["-j", "1", "--name", name, "--until-done", "--shell", GATE]);
    let started = Log::new(hub.path("started"));
    let one = pool("one");
    eventually("the first to start", || (started.len() == 1).then_some(()));
    assert_eq!((hub.count("running"), hub.count("ready")), (1, 1));
    let other = pool("other");
    eventually("the second to start", || (started.len() == 2).then_some(()));
    hub.write("gate", "");
    for pool in [one, other] {
        pool.end().exits(0).says(&["1 task ran here"]);
    }
}

#[test]
fn what_was_stolen_ahead_goes_back_when_tasks_turn_long() {
    let hub = Hub::start();
    let short: String = (0..200).map(|n| format!("s{n}\n")).collect();
    hub.write("tasks.txt", short + "long1\nlong2\nlong3\n");
    hub.query(&["addfile", "tasks.txt"]).ok();
    let script = format!("case {{}} in long*) {GATE};; esac");
    let pool = hub.worker(&["-j", "1", "--until-done", "--shell", &script]);
    let started = Log::new(hub.path("started"));
    eventually("a long one to start", || (started.len() == 1).then_some(()));
    eventually("the others to be given back", || (hub.count("ready") == 2).then_some(()));
    assert_eq!((hub.count("done"), hub.count("running")), (200, 1));
    hub.write("gate", "");
    pool.end().exits(0);
    assert_eq!(hub.count("done"), 203);
}
