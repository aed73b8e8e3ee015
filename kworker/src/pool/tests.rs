use super::*;

mod ahead;
mod limits;

fn pool(slots: usize, ahead: usize) -> Pool {
    Pool::new(
        Worker { name: "w".into(), id: vec![7; 16], ..Worker::default() },
        slots,
        Ahead::Fixed(ahead),
        true,
        Limits::default(),
    )
}

fn lease(name: &str, attempt: u32) -> Lease {
    Lease { name: name.into(), attempt, term_ms: 30_000, ..Lease::default() }
}

fn leases(names: &[&str]) -> Stolen {
    let leases = names.iter().map(|name| lease(name, 1)).collect();
    Stolen { leases, phase: Phase::Active.into(), ..Stolen::default() }
}

fn done(name: &str, attempt: u32) -> Option<Outcome> {
    Some(Outcome { name: name.into(), attempt, result: Verdict::Done.into(), ..Outcome::default() })
}

fn lost(name: &str, attempt: u32) -> Stolen {
    let lost = vec![Attempt { name: name.into(), attempt, started: false }];
    Stolen { lost, ..Stolen::default() }
}

/// What is asked now, shortly: complete names +want, steal n, listen, release names.
fn asks(pool: &mut Pool, now: Instant) -> Vec<String> {
    std::iter::from_fn(|| pool.next_ask(now)).map(|ask| shortly(&ask)).collect()
}

fn shortly(ask: &Ask) -> String {
    let replaces = if ask.replaces { " instead" } else { "" };
    match &ask.body {
        Body::Complete(complete) => {
            assert_eq!(ask.asked, Asked::Complete(complete.want > 0));
            assert_eq!(complete.want > 0, complete.number > 0);
            let names: Vec<_> =
                complete.outcomes.iter().map(|outcome| outcome.name.as_str()).collect();
            format!("complete {} +{}", names.join(","), complete.want)
        }
        Body::Steal(steal) if steal.n == 0 => format!("listen{replaces}"),
        Body::Steal(steal) => format!("steal {}{replaces}", steal.n),
        Body::Release(release) => {
            let names: Vec<_> =
                release.attempts.iter().map(|attempt| attempt.name.as_str()).collect();
            format!("release {}", names.join(","))
        }
        other => format!("{other:?}"),
    }
}

fn starts(pool: &mut Pool) -> Vec<String> {
    std::iter::from_fn(|| pool.next_start(Instant::now()))
        .map(|lease| format!("{} {}", lease.name, lease.attempt))
        .collect()
}

/// Two slots, two ahead, all four taken, two running.
fn busy_pool(now: Instant) -> Pool {
    let mut pool = pool(2, 2);
    assert_eq!(asks(&mut pool, now), ["steal 4"]);
    pool.parked_answered(Asked::Steal, leases(&["a", "b", "c", "d"]), now);
    assert_eq!(starts(&mut pool), ["a 1", "b 1"]);
    assert_eq!(asks(&mut pool, now), ["listen"]);
    pool
}

fn completed(pool: &mut Pool, stolen: Stolen) -> usize {
    let (recorded, refused) =
        pool.completed(Completed { stolen: Some(stolen), refused: vec![] }, Instant::now());
    assert_eq!(refused, []);
    recorded
}

#[test]
fn under_load_one_round_trip_reports_and_steals() {
    let now = Instant::now();
    let mut pool = busy_pool(now);
    pool.ended("a", done("a", 1), Instant::now());
    assert_eq!(starts(&mut pool), ["c 1"]);
    assert_eq!(asks(&mut pool, now), ["complete a +1"]);
    // While it is under way the next outcomes gather.
    pool.ended("b", done("b", 1), Instant::now());
    pool.ended("c", done("c", 1), Instant::now());
    assert_eq!(starts(&mut pool), ["d 1"]);
    assert_eq!(asks(&mut pool, now), [""; 0]);
    assert_eq!(completed(&mut pool, leases(&["e"])), 1);
    assert_eq!(starts(&mut pool), ["e 1"]);
    // The listening request is still parked: none is sent anew.
    assert_eq!(asks(&mut pool, now), ["complete b,c +2"]);
    assert_eq!(completed(&mut pool, leases(&["f", "g"])), 2);
    assert_eq!(asks(&mut pool, now), [""; 0]);
    assert_eq!(pool.tally(), Tally { done: 3, failed: 0 });
}

#[test]
fn when_there_is_too_little_the_rest_is_waited_for() {
    let now = Instant::now();
    let mut pool = busy_pool(now);
    pool.ended("a", done("a", 1), Instant::now());
    assert_eq!(asks(&mut pool, now), ["complete a +1"]);
    completed(&mut pool, leases(&[]));
    assert_eq!(asks(&mut pool, now), ["steal 1 instead"]);
    // One steal at a time: this outcome asks for nothing.
    pool.ended("b", done("b", 1), Instant::now());
    assert_eq!(asks(&mut pool, now), ["complete b +0"]);
    completed(&mut pool, Stolen::default());
    assert_eq!(asks(&mut pool, now), [""; 0]);
    // Renewed when it was answered, for what is free by then.
    pool.parked_answered(Asked::Steal, leases(&["e"]), now);
    assert_eq!(asks(&mut pool, now), ["steal 1"]);
}

#[test]
fn outcomes_of_short_tasks_share_a_request_while_no_slot_waits_for_it() {
    let now = Instant::now();
    let mut pool = pool(1, 2);
    assert_eq!(asks(&mut pool, now), ["steal 3"]);
    pool.parked_answered(Asked::Steal, leases(&["a", "b", "c"]), now);
    assert_eq!(starts(&mut pool), ["a 1"]);
    pool.ended("a", done("a", 1), now);
    assert_eq!(starts(&mut pool), ["b 1"]);
    assert_eq!(asks(&mut pool, now), ["complete a +1"]);
    completed(&mut pool, leases(&["d"]));
    assert_eq!(asks(&mut pool, now), ["listen"]);
    pool.ended("b", done("b", 1), now);
    assert_eq!(starts(&mut pool), ["c 1"]);
    assert_eq!(asks(&mut pool, now), [""; 0]);
    assert_eq!(pool.next_ask_at(now), Some(now + COLLECT));
    let mut early = pool;
    // Nothing is left for the slot: it must not wait for the rest of the time.
    early.ended("c", done("c", 1), now);
    assert_eq!(starts(&mut early), ["d 1"]);
    assert_eq!(asks(&mut early, now), ["complete b,c +2"]);
    completed(&mut early, leases(&["e", "f"]));
    early.ended("d", done("d", 1), now);
    assert_eq!(starts(&mut early), ["e 1"]);
    assert_eq!(asks(&mut early, now + COLLECT), ["complete d +1"]);
}

#[test]
fn numbers_grow_with_each_steal() {
    let now = Instant::now();
    let mut pool = pool(1, 0);
    let number = |ask: Ask| match ask.body {
        Body::Steal(steal) => steal.number,
        Body::Complete(complete) => complete.number,
        other => panic!("{other:?}"),
    };
    let first = number(pool.next_ask(now).unwrap());
    pool.parked_answered(Asked::Steal, leases(&["a"]), now);
    let listen = number(pool.next_ask(now).unwrap());
    starts(&mut pool);
    pool.ended("a", done("a", 1), Instant::now());
    let complete = number(pool.next_ask(now).unwrap());
    assert!(0 < first && first < listen && listen < complete);
}

#[test]
fn a_repeated_lease_is_not_run_twice() {
    let now = Instant::now();
    let mut pool = busy_pool(now);
    pool.ended("a", done("a", 1), Instant::now());
    pool.stolen(leases(&["a", "b", "c", "d"]));
    assert_eq!(asks(&mut pool, now), ["complete a +1"]);
    pool.stolen(leases(&["a", "b", "c", "d"]));
    assert_eq!(starts(&mut pool), ["c 1"]);
    assert_eq!(pool.queue.len(), 1);
    assert_eq!(pool.take_stops(), []);
}

#[test]
fn a_lost_attempt_is_stopped_and_not_reported() {
    let now = Instant::now();
    let mut pool = busy_pool(now);
    pool.parked_answered(Asked::Listen, lost("a", 1), now);
    assert_eq!(pool.take_stops(), [StopTask { name: "a".into(), at_once: false }]);
    assert!(pool.held().iter().all(|attempt| attempt.name != "a"));
    // Its slot is free when it is gone, not before.
    assert_eq!(starts(&mut pool), [""; 0]);
    pool.ended("a", done("a", 1), Instant::now());
    assert_eq!(starts(&mut pool), ["c 1"]);
    assert_eq!(pool.unreported(), 0);
    // Told twice, or of another attempt: nothing happens.
    pool.stolen(lost("a", 1));
    pool.stolen(lost("b", 2));
    assert_eq!(pool.take_stops(), []);
    // One that has not started is only forgotten.
    pool.stolen(lost("d", 1));
    assert_eq!(pool.take_stops(), []);
    assert!(pool.queue.is_empty());
}

#[test]
fn an_outcome_on_its_way_is_reported_even_if_lost() {
    let mut pool = busy_pool(Instant::now());
    pool.ended("a", done("a", 1), Instant::now());
    pool.stolen(lost("a", 1));
    assert_eq!(pool.unreported(), 1);
}

#[test]
fn a_newer_attempt_waits_until_the_older_one_is_killed() {
    let now = Instant::now();
    let mut pool = busy_pool(now);
    let newer = Stolen { leases: vec![lease("a", 2)], ..Stolen::default() };
    pool.parked_answered(Asked::Listen, newer, now);
    assert_eq!(pool.take_stops(), [StopTask { name: "a".into(), at_once: true }]);
    pool.ended("b", done("b", 1), Instant::now());
    assert_eq!(starts(&mut pool), ["c 1"]);
    pool.ended("c", done("c", 1), Instant::now());
    assert_eq!(starts(&mut pool), ["d 1"]);
    pool.ended("d", done("d", 1), Instant::now());
    assert_eq!(starts(&mut pool), [""; 0]);
    pool.ended("a", done("a", 1), Instant::now());
    assert_eq!(starts(&mut pool), ["a 2"]);
    assert_eq!(pool.tally().done, 3);
}

#[test]
fn a_drain_gives_back_what_has_not_started() {
    let now = Instant::now();
    let mut pool = busy_pool(now);
    assert_eq!(pool.drain(), 2);
    pool.ended("a", done("a", 1), Instant::now());
    assert_eq!(starts(&mut pool), [""; 0]);
    assert_eq!(asks(&mut pool, now), ["release c,d", "complete a +0"]);
    pool.released();
    completed(&mut pool, Stolen::default());
    assert!(!pool.is_empty());
    pool.ended("b", done("b", 1), Instant::now());
    assert_eq!(asks(&mut pool, now), ["complete b +0"]);
    completed(&mut pool, Stolen::default());
    assert!(pool.is_empty());
}

#[test]
fn a_drain_takes_back_a_parked_steal_and_returns_what_it_brought() {
    let now = Instant::now();
    let mut pool = pool(1, 1);
    assert_eq!(asks(&mut pool, now), ["steal 2"]);
    assert_eq!(pool.drain(), 0);
    assert_eq!(asks(&mut pool, now), ["listen instead"]);
    // The hub had answered before it saw that.
    pool.parked_answered(Asked::Steal, leases(&["a"]), now);
    assert!(!pool.is_empty());
    assert_eq!(asks(&mut pool, now), ["release a"]);
    pool.released();
    assert!(pool.is_empty());
}

#[test]
fn the_hub_can_drain_too() {
    let mut pool = busy_pool(Instant::now());
    pool.stolen(Stolen { drain: true, ..leases(&["e"]) });
    assert!(pool.is_draining());
    assert_eq!(asks(&mut pool, Instant::now()), ["release c,d,e"]);
}

#[test]
fn a_hub_without_work_is_not_asked_in_a_circle() {
    let mut now = Instant::now();
    let mut pool = pool(1, 0);
    let mut asked = 0;
    let end = now + Duration::from_secs(60);
    while now < end {
        if asks(&mut pool, now).len() == 1 {
            asked += 1;
            let finished = Stolen { phase: Phase::Finished.into(), ..Stolen::default() };
            pool.parked_answered(Asked::Steal, finished, now);
        }
        now = pool.next_ask_at(now).unwrap();
    }
    assert!((15..25).contains(&asked), "{asked}");
    assert_eq!(pool.phase(), Phase::Finished);
}

#[test]
fn what_was_refused_for_now_is_asked_again_later() {
    let now = Instant::now();
    let mut pool = busy_pool(now);
    pool.ended("a", done("a", 1), Instant::now());
    assert_eq!(asks(&mut pool, now), ["complete a +1"]);
    pool.ended("b", done("b", 1), Instant::now());
    pool.busy(Asked::Complete(true), now);
    assert_eq!(pool.held().len(), 4);
    let later = pool.next_ask_at(now).unwrap();
    assert_eq!(asks(&mut pool, later), ["complete a,b +2"]);
}

#[test]
fn a_hub_that_takes_no_outcomes_gets_no_more_than_fits() {
    let mut pool = pool(2, 2);
    pool.ended = (0..HELD_MAX).map(|i| done(&format!("t{i}"), 1).unwrap()).collect();
    assert_eq!(pool.free(Instant::now()), 0);
}

#[test]
fn large_outputs_go_in_several_requests() {
    let now = Instant::now();
    let mut pool = pool(2, 2);
    for i in 0..1000 {
        let outcome = Outcome { output: vec![0; 64 * 1024], ..done(&format!("t{i}"), 1).unwrap() };
        pool.ended.push_back(outcome);
    }
    let mut rounds = 0;
    while pool.unreported() > 0 {
        pool.next_ask(now).unwrap();
        assert!(pool.reporting.len() <= 128);
        completed(&mut pool, Stolen::default());
        rounds += 1;
    }
    assert_eq!(rounds, 8);
}

#[test]
fn refused_outcomes_are_told_and_not_kept() {
    let now = Instant::now();
    let mut pool = busy_pool(now);
    pool.ended("a", done("a", 1), Instant::now());
    pool.ended("b", done("b", 1), Instant::now());
    asks(&mut pool, now);
    let mut refused =
        dhub_proto::wire::Refused { name: "b".into(), attempt: 1, ..Default::default() };
    refused.set_code(ErrorCode::ErrorStale);
    let (recorded, refused) =
        pool.completed(Completed { refused: vec![refused], stolen: None }, now);
    assert_eq!((recorded, refused.len()), (1, 1));
    assert_eq!((refused[0].name.as_str(), refused[0].code), ("b", ErrorCode::ErrorStale));
    assert_eq!(pool.unreported(), 0);
}

#[test]
fn a_heartbeat_lists_all_that_is_held() {
    let mut pool = busy_pool(Instant::now());
    pool.ended("a", done("a", 1), Instant::now());
    let mut held: Vec<_> = pool.held().into_iter().map(|held| (held.name, held.started)).collect();
    held.sort();
    let expected = [("a", true), ("b", true), ("c", false), ("d", false)];
    assert_eq!(held, expected.map(|(name, started)| (name.to_owned(), started)));
}

#[test]
fn the_shortest_term_counts_while_it_is_held() {
    let now = Instant::now();
    let mut pool = busy_pool(now);
    let short = Lease { term_ms: 2000, ..lease("e", 1) };
    pool.stolen(Stolen { leases: vec![short], ..Stolen::default() });
    assert_eq!(pool.term(), Some(Duration::from_secs(2)));
    pool.stolen(lost("e", 1));
    pool.forget_old_terms();
    assert_eq!(pool.term(), Some(Duration::from_secs(30)));
}

#[test]
fn abandoned_means_that_only_outcomes_are_told() {
    let now = Instant::now();
    let mut pool = busy_pool(now);
    pool.ended("a", done("a", 1), Instant::now());
    pool.abandon();
    assert_eq!(asks(&mut pool, now), ["complete a +0"]);
    pool.ended("b", done("b", 1), Instant::now());
    assert_eq!(pool.unreported(), 1);
    completed(&mut pool, Stolen::default());
    assert!(pool.is_empty());
}

#[test]
fn a_task_that_cannot_start_now_stays_first() {
    let mut pool = busy_pool(Instant::now());
    pool.ended("a", done("a", 1), Instant::now());
    let lease = pool.next_start(Instant::now()).unwrap();
    assert_eq!(lease.name, "c");
    pool.not_started(lease);
    assert_eq!(starts(&mut pool), ["c 1"]);
}

/// The answer to what is replaced may have been lost; the hub is told so until it answers.
#[test]
fn what_was_replaced_and_not_answered_is_named_until_the_hub_answers() {
    let mut pool = pool(2, 0);
    let now = Instant::now();
    let steal = |pool: &mut Pool| match pool.next_ask(now).map(|ask| ask.body) {
        Some(Body::Steal(steal)) => (steal.number, steal.n, steal.replaces),
        other => panic!("no steal: {other:?}"),
    };
    assert_eq!(steal(&mut pool), (1, 2, 0));
    pool.pause(true);
    assert_eq!(steal(&mut pool), (2, 0, 1));
    pool.pause(false);
    assert_eq!(steal(&mut pool), (3, 2, 1));
    pool.parked_answered(Asked::Steal, leases(&["a"]), now);
    assert_eq!(steal(&mut pool), (4, 1, 0));
}

#[test]
fn a_suspect_starts_when_the_hub_knows_what_has_ended() {
    let (mut pool, now) = (pool(1, 2), Instant::now());
    let _ = asks(&mut pool, now);
    let mut stolen = leases(&["a", "pill", "b"]);
    stolen.leases[1].suspect = true;
    pool.parked_answered(Asked::Steal, stolen, now);
    assert_eq!(starts(&mut pool), ["a 1"]);
    pool.ended("a", done("a", 1), now);
    assert_eq!(starts(&mut pool), [""; 0], "a would be blamed for it");
    let _ = asks(&mut pool, now);
    assert_eq!(starts(&mut pool), [""; 0]);
    pool.completed(Completed::default(), now);
    assert_eq!(starts(&mut pool), ["pill 1"]);
}

#[test]
fn the_hub_hears_how_many_run_at_a_time() {
    let (mut pool, now) = (pool(3, 0), Instant::now());
    let Some(Ask { body: Body::Steal(steal), .. }) = pool.next_ask(now) else { panic!("no steal") };
    assert_eq!(steal.slots, 3);
    pool.parked_answered(Asked::Steal, leases(&["a"]), now);
    assert_eq!(starts(&mut pool), ["a 1"]);
    pool.ended("a", done("a", 1), now);
    let Some(Ask { body: Body::Complete(it), .. }) = pool.next_ask(now) else {
        panic!("no report")
    };
    assert_eq!(it.slots, 3);
}
