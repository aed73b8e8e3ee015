//! Why a pool stops by itself, and what the hub may order.

use super::*;

fn limited(slots: usize, limits: Limits) -> Pool {
    let worker = Worker { name: "w".into(), id: vec![7; 16], ..Worker::default() };
    Pool::new(worker, slots, Ahead::Fixed(1), true, limits)
}

fn failed(name: &str, exit_code: i32) -> Option<Outcome> {
    let result = Verdict::Failed.into();
    Some(Outcome { exit_code, result, ..done(name, 1).unwrap() })
}

/// Runs one task of that length.
fn runs(pool: &mut Pool, name: &str, outcome: Option<Outcome>, ms: u64, now: &mut Instant) {
    pool.stolen(leases(&[name]));
    let lease = pool.next_start(*now).expect("a task");
    assert_eq!(lease.name, name);
    *now += Duration::from_millis(ms);
    pool.ended(name, outcome, *now);
}

#[test]
fn no_more_tasks_run_than_allowed() {
    let now = Instant::now();
    let mut pool = limited(2, Limits { tasks: Some(3), ..Limits::default() });
    assert_eq!(asks(&mut pool, now), ["steal 3"]);
    pool.parked_answered(Asked::Steal, leases(&["a", "b", "c"]), now);
    assert_eq!(starts(&mut pool), ["a 1", "b 1"]);
    pool.ended("a", done("a", 1), now);
    // It has what it needs.
    assert_eq!(asks(&mut pool, now), ["complete a +0", "listen"]);
    assert_eq!(pool.reach(now), None);
    let lease = pool.next_start(now).unwrap();
    pool.not_started(lease);
    assert_eq!(pool.reach(now), None, "that one did not start");
    assert_eq!(starts(&mut pool), ["c 1"]);
    pool.stolen(leases(&["d"]));
    assert_eq!(starts(&mut pool), [""; 0]);
    assert_eq!(pool.reach(now), Some(Reached::Tasks(3)));
    assert!(pool.is_draining());
    assert_eq!(pool.reach(now), None);
    assert_eq!(asks(&mut pool, now), ["release d"]);
}

#[test]
fn a_pool_with_nothing_to_run_leaves_after_a_while() {
    let start = Instant::now();
    let idle = Duration::from_secs(10);
    let mut pool = limited(1, Limits { idle: Some(idle), ..Limits::default() });
    assert_eq!(pool.reach(start), None);
    assert_eq!(pool.next_limit_at(start), Some(start + idle));
    let mut now = start + idle / 2;
    runs(&mut pool, "a", done("a", 1), 20_000, &mut now);
    // It counts anew from when the last one ended.
    assert_eq!(pool.reach(now), None);
    assert_eq!(pool.reach(now + idle - Duration::from_millis(1)), None);
    assert_eq!(pool.reach(now + idle), Some(Reached::Idle(idle)));
}

#[test]
fn one_task_that_runs_is_not_idle() {
    let start = Instant::now();
    let mut pool = limited(2, Limits { idle: Some(Duration::from_secs(1)), ..Limits::default() });
    pool.stolen(leases(&["a"]));
    assert_eq!(starts(&mut pool), ["a 1"]);
    assert_eq!(pool.reach(start + Duration::from_secs(100)), None);
    assert_eq!(pool.next_limit_at(start), None);
}

#[test]
fn different_tasks_that_fail_at_once_one_after_the_other_drain_the_pool() {
    let mut now = Instant::now();
    let limits = Limits { failures_in_a_row: Some(3), ..Limits::default() };
    let mut pool = limited(1, limits.clone());
    for name in ["a", "b", "c"] {
        assert_eq!(pool.reach(now), None);
        runs(&mut pool, name, failed(name, 127), 10, &mut now);
    }
    pool.stolen(leases(&["d"]));
    assert_eq!(pool.reach(now), Some(Reached::Failures(3)));
    assert_eq!(starts(&mut pool), [""; 0]);

    // A success or a slow failure between them: tasks do run here.
    for (outcome, ms) in [(done("x", 1), 10), (failed("x", 1), 1000)] {
        let mut pool = limited(1, limits.clone());
        runs(&mut pool, "a", failed("a", 127), 10, &mut now);
        runs(&mut pool, "b", failed("b", 127), 10, &mut now);
        runs(&mut pool, "x", outcome, ms, &mut now);
        runs(&mut pool, "c", failed("c", 127), 10, &mut now);
        assert_eq!(pool.reach(now), None);
    }
}

#[test]
fn a_task_that_is_tried_again_and_again_counts_once() {
    let mut now = Instant::now();
    let mut pool = limited(1, Limits { failures_in_a_row: Some(2), ..Limits::default() });
    for attempt in 1..=5 {
        pool.stolen(Stolen { leases: vec![lease("a", attempt)], ..Stolen::default() });
        pool.next_start(now).expect("a task");
        let outcome = Outcome { attempt, ..failed("a", 1).unwrap() };
        pool.ended("a", Some(outcome), now);
        asks(&mut pool, now);
        completed(&mut pool, Stolen::default());
        assert_eq!(pool.reach(now), None);
    }
    runs(&mut pool, "b", failed("b", 1), 1, &mut now);
    assert_eq!(pool.reach(now), Some(Reached::Failures(2)));
}

#[test]
fn a_pool_halts_at_so_many_tasks_that_failed_here() {
    let mut now = Instant::now();
    let halt = |text: &str| Limits { halt: Some(text.parse().unwrap()), ..Limits::default() };
    let mut pool = limited(2, halt("now,fail=2"));
    runs(&mut pool, "a", failed("a", 1), 5_000, &mut now);
    assert_eq!(pool.reach(now), None);
    // It is tried again: another failure is of the same task, and its end makes it good.
    for (attempt, outcome) in [(2, failed("a", 1)), (3, done("a", 3))] {
        asks(&mut pool, now);
        completed(&mut pool, Stolen::default());
        pool.stolen(Stolen { leases: vec![lease("a", attempt)], ..Stolen::default() });
        pool.next_start(now).expect("a task");
        pool.ended("a", outcome, now);
        assert_eq!(pool.reach(now), None);
    }
    runs(&mut pool, "b", failed("b", 1), 1, &mut now);
    assert_eq!(pool.reach(now), None);
    pool.stolen(leases(&["c", "d", "e"]));
    assert_eq!(starts(&mut pool), ["c 1", "d 1"]);
    pool.ended("c", failed("c", 1), now);
    assert_eq!(pool.reach(now), Some(Reached::Halt(2, "now,fail=2".parse().unwrap())));
    assert_eq!(pool.take_stops(), [StopTask { name: "d".into(), at_once: false }]);
    assert_eq!(starts(&mut pool), [""; 0]);
    assert!(asks(&mut pool, now).contains(&"release e".to_owned()));

    let mut pool = limited(2, halt("soon,fail=1"));
    pool.stolen(leases(&["a", "b"]));
    assert_eq!(starts(&mut pool), ["a 1", "b 1"]);
    pool.ended("a", failed("a", 1), now);
    assert!(matches!(pool.reach(now), Some(Reached::Halt(1, _))));
    assert_eq!((pool.take_stops(), pool.reach(now)), (vec![], None));
}

#[test]
fn nothing_is_begun_that_would_not_end_in_time() {
    let start = Instant::now();
    let hour = Duration::from_secs(3600);
    let time = TimeLimit::new(hour, start).unwrap();
    let mut pool = limited(1, Limits { time: Some(time), ..Limits::default() });
    let mut now = start;
    assert_eq!(pool.reach(now), None);
    // Ten minutes each, and it takes that of the next one a little longer.
    for name in ["a", "b", "c", "d"] {
        runs(&mut pool, name, done(name, 1), 600_000, &mut now);
        assert_eq!(pool.reach(now), None);
    }
    pool.stolen(leases(&["e"]));
    let last = pool.next_limit_at(now).unwrap();
    assert!(last > start + hour * 3 / 4 && last < start + hour * 5 / 6, "{:?}", last - start);
    assert_eq!(starts(&mut pool), ["e 1"]);
    assert_eq!(pool.reach(last), Some(Reached::Time));
    // What runs may end.
    assert!(!pool.stop_in_time(last));
    assert_eq!(pool.take_stops(), []);
}

#[test]
fn what_runs_at_the_end_is_asked_to_stop_then_killed() {
    let start = Instant::now();
    let time = TimeLimit::new(Duration::from_secs(60), start).unwrap();
    assert_eq!(time.stop_at - start, Duration::from_secs(53));
    assert_eq!(time.kill_at - start, Duration::from_secs(58));
    let mut pool = limited(1, Limits { time: Some(time), ..Limits::default() });
    pool.stolen(leases(&["a", "b"]));
    assert_eq!(starts(&mut pool), ["a 1"]);
    assert_eq!(pool.next_limit_at(start), Some(time.stop_at));
    assert_eq!(pool.reach(time.stop_at), Some(Reached::Time));
    assert!(!pool.stop_in_time(time.stop_at));
    assert_eq!(pool.take_stops(), [StopTask { name: "a".into(), at_once: false }]);
    assert_eq!(pool.next_limit_at(time.stop_at), Some(time.kill_at));
    // Once is enough; until its end it is held.
    assert!(!pool.stop_in_time(time.stop_at + Duration::from_secs(1)));
    assert_eq!(pool.take_stops(), []);
    assert_eq!(pool.held().len(), 1);
    assert!(pool.stop_in_time(time.kill_at));
    pool.abandon();
    assert!(!pool.stop_in_time(time.kill_at));
}

#[test]
fn a_short_time_leaves_room_for_the_end_too() {
    let start = Instant::now();
    let time = TimeLimit::new(Duration::from_secs(2), start).unwrap();
    assert!(time.stop_at > start + Duration::from_secs(1));
    assert!(time.kill_at < start + Duration::from_secs(2));
}

#[test]
fn failures_with_other_codes_are_final() {
    let mut now = Instant::now();
    let retry_on = Some("75,130-140".parse().unwrap());
    let mut pool = limited(1, Limits { retry_on, ..Limits::default() });
    for (name, code) in [("a", 75), ("b", 1), ("c", 137)] {
        runs(&mut pool, name, failed(name, code), 1, &mut now);
    }
    runs(&mut pool, "d", done("d", 1), 1, &mut now);
    let finals: Vec<bool> = pool.ended.iter().map(|outcome| outcome.r#final).collect();
    assert_eq!(finals, [false, true, false, false]);
    // Without the option the hub decides alone.
    let mut pool = limited(1, Limits::default());
    runs(&mut pool, "a", failed("a", 1), 1, &mut now);
    assert!(!pool.ended[0].r#final);
}

#[test]
fn a_pool_that_is_told_to_stop_drains_and_says_so() {
    let now = Instant::now();
    let mut pool = busy_pool(now);
    pool.parked_answered(Asked::Listen, Stolen { stop: true, ..Stolen::default() }, now);
    assert!(pool.is_stopped() && pool.is_draining());
    assert_eq!(asks(&mut pool, now), ["release c,d", "listen"]);

    let mut pool = busy_pool(now);
    pool.heartbeaten(&Heartbeaten { drain: true, ..Heartbeaten::default() });
    assert!(!pool.is_stopped() && pool.is_draining());
    pool.heartbeaten(&Heartbeaten { stop: true, ..Heartbeaten::default() });
    assert!(pool.is_stopped());
}

#[test]
fn a_paused_pool_keeps_what_it_has() {
    let now = Instant::now();
    let mut pool = busy_pool(now);
    pool.pause(true);
    pool.ended("a", done("a", 1), now);
    assert_eq!(starts(&mut pool), [""; 0]);
    assert_eq!(asks(&mut pool, now), ["complete a +0"]);
    pool.pause(false);
    assert_eq!(starts(&mut pool), ["c 1"]);
}
