//! How long attempts ran, by clocks that nobody sets: here those of the hub and of the workers go on while the wall
//! clock as good as stands still, as if it had been set back.

mod common;

use common::*;
use dhub::engine::message::*;

fn steals(hub: &mut Hub, names: &[&str]) {
    let tasks = names.iter().map(|name| task(name, &[])).collect();
    hub.ask(Body::Create { tasks, merge: false });
    let (who, n) = (who("w1"), names.len() as u32);
    let steal = steal(&who, 1, n);
    hub.ask(Request::by(who, Body::Steal(steal)));
}

fn done(hub: &mut Hub, name: &str, run_ms: Option<u64>) -> u64 {
    let report = Report { run_ms, ..Report::default() };
    let outcomes = vec![Outcome { report, ..outcome(name, 1, Verdict::Done) }];
    let who = who("w1");
    hub.ask(Request::by(who, Body::Complete { outcomes, want: None }));
    let row = hub.store().task(name).expect("a row").expect("a task");
    let attempts = hub.store().attempts(row.id, 10).expect("its attempts");
    assert_eq!(attempts[0].ended_ms - attempts[0].started_ms, row.run_ms);
    row.run_ms
}

#[test]
fn how_long_it_ran_its_worker_says_or_else_the_hub_knows() {
    let mut hub = Hub::on_file();
    steals(&mut hub, &["a", "b", "c", "d"]);
    hub.now += 5_000;
    hub.turn();
    assert_eq!(hub.scheduler.running_ms("a"), Some(5_000));
    assert_eq!(done(&mut hub, "a", Some(3_000)), 3_000);
    assert_eq!(done(&mut hub, "b", None), 5_000);
    assert_eq!(done(&mut hub, "c", Some(0)), 0);
    // It cannot have run for longer than its worker had it.
    assert_eq!(done(&mut hub, "d", Some(u64::MAX)), 5_000);
    assert_eq!(hub.scheduler.running_ms("a"), None);
}

#[test]
fn what_an_earlier_hub_gave_out_ran_as_long_as_its_worker_says() {
    let mut hub = Hub::on_file();
    steals(&mut hub, &["a", "b"]);
    hub.now += 5_000;
    hub.restart();
    hub.now += 2_000;
    hub.turn();
    assert_eq!(done(&mut hub, "a", Some(7_000)), 7_000);
    let absurd = done(&mut hub, "b", Some(u64::MAX));
    assert_eq!(absurd, 1_000 * 365 * 86_400_000, "what the file can hold");
}

#[test]
fn a_lost_attempt_ran_until_it_was_taken_back() {
    let mut hub = Hub::on_file();
    steals(&mut hub, &["a"]);
    hub.now += WORKER_TIMEOUT_MS;
    hub.scheduler.apply(hub.now - 1, Body::Tick.into(), &Past::new());
    // In turns, or the hub itself would have been asleep.
    for _ in 0..40 {
        hub.now += TURN_MS;
        hub.turn();
    }
    let row = hub.store().task("a").expect("a row").expect("a task");
    let attempts = hub.store().attempts(row.id, 10).expect("its attempts");
    assert_eq!(attempts[0].outcome, "reclaimed");
    let ran = attempts[0].ended_ms - attempts[0].started_ms;
    assert!((WORKER_TIMEOUT_MS..=WORKER_TIMEOUT_MS + 41_000).contains(&ran), "{ran}");
}
