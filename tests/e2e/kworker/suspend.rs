//! SIGSTOP for longer than the worker time-out, then SIGCONT: what a laptop's lid does.
//!
//! Here time has to pass: the sleeps are what is tested.

use std::time::Duration;

use dhub_proto::wire::reply::Body as Answer;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::{Attempt, Heartbeat, State, Steal};
use e2e::{Hub, Log, Native, Process, eventually, outcome_done, plain_worker, task, worker};
use rustix::process::{Pid, Signal, kill_process_group};

const TERM: [&str; 2] = ["--worker-timeout", "3s"];
const LONGER: Duration = Duration::from_secs(7);

/// Says that it runs, and ends when the file `gate` is there, or its directory is not.
const TASK: &str =
    "echo $$ >pid.$DHUB_ATTEMPT; while test -e run.db && ! test -e gate; do sleep 0.02; done";

fn pool(hub: &Hub, name: &str) -> Process {
    hub.worker(&["-j", "1", "--ahead", "0", "--name", name, "--until-done", "--shell", TASK])
}

/// Process of that attempt at `a`, once the hub knows that it runs.
fn running(hub: &Hub, attempt: u32, name: &str) -> u32 {
    eventually("the task to run", || {
        let task = &hub.show("a")["task"];
        let there = task["attempt"] == attempt && task["worker"] == name;
        let pid = std::fs::read_to_string(hub.path(&format!("pid.{attempt}"))).unwrap_or_default();
        (there && pid.ends_with('\n')).then(|| pid.trim().parse().expect("a number"))
    })
}

fn is_there(pid: u32) -> bool {
    std::fs::exists(format!("/proc/{pid}")).expect("/proc")
}

/// How the attempts at `a` ended.
fn outcomes(hub: &Hub) -> Vec<String> {
    let shown = hub.show("a");
    let attempts = shown["attempts"].as_array().expect("attempts");
    attempts.iter().map(|it| it["outcome"].as_str().expect("an outcome").to_owned()).collect()
}

#[test]
fn a_hub_that_slept_takes_nothing_back() {
    let mut hub = Hub::with(&TERM);
    hub.query(&["create", "a"]).ok();
    let pool = pool(&hub, "pool");
    let pid = running(&hub, 1, "pool");
    // It says nothing at all while the hub sleeps, so no heartbeat waits for the hub to wake.
    let native = hub.native();
    native.create(&[task("held", &[])]);
    let lease = native.steal_one(&worker(1));

    hub.signal(Signal::STOP);
    std::thread::sleep(LONGER);
    hub.signal(Signal::CONT);

    let held = Attempt { name: lease.name.clone(), attempt: lease.attempt, started: true };
    let beat = Heartbeat { worker: Some(worker(1)), attempts: vec![held], ..Heartbeat::default() };
    match native.ask(Body::Heartbeat(beat)) {
        Answer::Heartbeaten(beaten) => assert_eq!(beaten.lost, []),
        other => panic!("{other:?}"),
    }
    assert_eq!(native.show("held").task.unwrap().attempt, 1);
    assert_eq!(hub.state("a"), "running");
    assert!(is_there(pid));
    assert_eq!(native.report(&worker(1), vec![outcome_done(&lease)]), []);
    hub.write("gate", "");
    pool.end().exits(0);
    assert_eq!(outcomes(&hub), ["done"]);
}

#[test]
fn a_pool_that_slept_kills_what_others_run_by_now() {
    let hub = Hub::with(&TERM);
    hub.query(&["create", "a"]).ok();
    let sleeper = pool(&hub, "sleeper");
    let first = running(&hub, 1, "sleeper");
    // All of the machine sleeps: the pool and its task.
    sleeper.signal_pool(Signal::STOP);
    let group = Pid::from_raw(first as i32).unwrap();
    kill_process_group(group, Signal::STOP).unwrap();
    let other = pool(&hub, "other");
    let second = running(&hub, 2, "other");

    sleeper.signal_pool(Signal::CONT);
    eventually("the first process to be killed", || (!is_there(first)).then_some(()));
    assert!(is_there(second));
    assert_eq!(hub.state("a"), "running");
    hub.write("gate", "");
    for pool in [sleeper, other] {
        pool.end().exits(0);
    }
    assert_eq!(outcomes(&hub), ["reclaimed", "done"]);
}

#[test]
fn what_a_sleeping_pool_finished_comes_too_late_once_others_have_begun() {
    let hub = Hub::with(&TERM);
    hub.query(&["create", "a"]).ok();
    let script = format!(
        "test $DHUB_ATTEMPT = 1 || {{ {TASK}; exit; }}
        echo $$ >pid.1; while test -e run.db && ! test -e wrong; do sleep 0.02; done; exit 3"
    );
    let start = |name| hub.worker(&["-j", "1", "--name", name, "--until-done", "--shell", &script]);
    let mut sleeper = start("sleeper");
    let first = running(&hub, 1, "sleeper");
    sleeper.signal_pool(Signal::STOP);
    let other = start("other");
    running(&hub, 2, "other");
    // It fails while nobody looks.
    hub.write("wrong", "");
    let stat = format!("/proc/{first}/stat");
    eventually("the first process to end", || {
        let stat = std::fs::read_to_string(&stat).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });

    sleeper.signal_pool(Signal::CONT);
    eventually("the first process to be noticed", || (!is_there(first)).then_some(()));
    assert_eq!(hub.state("a"), "running");
    hub.write("gate", "");
    other.end().exits(0);
    eventually("the first pool to leave", || (!sleeper.is_running()).then_some(()));
    sleeper.end().exits(0);
    assert_eq!(outcomes(&hub), ["reclaimed", "done"]);
    assert_eq!(hub.show("a")["task"]["failures"], 0);
}

#[track_caller]
fn both_sleep(hub_wakes_first: bool) {
    let mut hub = Hub::with(&TERM);
    hub.query(&["create", "a"]).ok();
    let pool = pool(&hub, "pool");
    let pid = running(&hub, 1, "pool");
    pool.signal_pool(Signal::STOP);
    hub.signal(Signal::STOP);
    std::thread::sleep(LONGER);
    if hub_wakes_first {
        hub.signal(Signal::CONT);
        // What was left of the term is left: at least until its next heartbeat was due.
        assert_eq!(hub.state("a"), "running");
        pool.signal_pool(Signal::CONT);
    } else {
        pool.signal_pool(Signal::CONT);
        hub.signal(Signal::CONT);
    }
    let native = hub.native();
    eventually("the pool to be heard", || {
        let status = native.status();
        let seen = status.workers.iter().find(|it| it.name == "pool")?.last_seen_ago_ms;
        (seen < 1000).then_some(())
    });
    assert!(is_there(pid));
    hub.write("gate", "");
    pool.end().exits(0);
    assert_eq!(outcomes(&hub), ["done"]);
}

#[test]
fn both_sleep_and_the_hub_wakes_first() {
    both_sleep(true);
}

#[test]
fn both_sleep_and_the_pool_wakes_first() {
    both_sleep(false);
}

#[test]
fn who_comes_while_the_hub_sleeps_is_served_when_it_wakes() {
    let mut hub = Hub::with(&TERM);
    let tasks: u32 = 30;
    let steal = |name: &str| {
        let worker = Some(plain_worker(name));
        Body::Steal(Steal { worker, n: 1, wait_ms: 60_000, stay: true, ..Steal::default() })
    };
    // Some are parked already, and half of these do not live to see the hub wake.
    let parked: Vec<Native> = (0..10).map(|_| hub.native()).collect();
    for (n, native) in parked.iter().enumerate() {
        native.send(steal(&format!("parked{n}")));
    }
    let known = || (hub.native().status().workers_total == 10).then_some(());
    eventually("the steals to be parked", known);
    hub.signal(Signal::STOP);
    let mut waiting: Vec<Native> = parked.into_iter().skip(5).collect();
    for n in 0..tasks - 5 {
        let native = hub.native();
        native.send(steal(&format!("new{n}")));
        waiting.push(native);
    }
    let impatient = hub.query_process(&["--timeout", "2s", "status"]);
    impatient.end().exits(7);
    let pool = hub.worker(&["-j", "1", "--wait-for-hub", "--shell", "echo {} >>log"]);
    std::thread::sleep(LONGER - Duration::from_secs(2));
    hub.signal(Signal::CONT);

    let native = hub.native();
    let names: Vec<String> = (0..tasks).map(|n| format!("t{n}")).collect();
    eventually("all to be parked", || {
        let known = native.status().workers_total;
        // The pool, too: it looks again when its last try is over.
        (known > u64::from(tasks) + 5).then_some(())
    });
    let log = Log::new(hub.path("log"));
    let mut got = Vec::new();
    // One by one, so that each goes to somebody who waits; what the pool takes, it runs.
    for name in &names {
        native.create(&[task(name, &[])]);
    }
    eventually("every task to reach somebody who lives", || {
        waiting.retain(|native| {
            let has = native.has_reply(0);
            if has {
                let Some(Answer::Stolen(stolen)) = native.receive().body else {
                    panic!("not stolen")
                };
                got.extend(stolen.leases.into_iter().map(|lease| lease.name));
            }
            !has
        });
        (got.len() + log.len() == names.len()).then_some(())
    });
    got.extend(log.names());
    got.sort();
    let mut names = names;
    names.sort();
    assert_eq!(got, names, "each once");
    for name in &got {
        let state = native.state(name);
        assert!(state == State::Running || state == State::Done, "{name}: {state:?}");
    }
    pool.signal(Signal::TERM);
    pool.end().exits(0);
}
