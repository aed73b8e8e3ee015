//! Large graphs: nothing overflows a stack, and nothing takes the square of their size.
//!
//! Times are compared with each other, never with a clock: four times the work may take nine times
//! as long, where the square would take sixteen.

mod common;

use std::time::{Duration, Instant};

use common::*;
use dhub::engine::message::*;
use dhub::engine::scheduler::{Scheduler, State};

const BATCH: usize = 1_000;
const SMALL: usize = 15_000;
const LARGE: usize = 4 * SMALL;
const RATIO_MAX: f64 = 12.0;

/// Many tries, in turn, of which the best count: a busy machine disturbs both. What is quadratic
/// comes to 16, however often.
fn assert_not_quadratic(work: impl Fn(usize) -> Duration) {
    let (mut small, mut large) = (Duration::MAX, Duration::MAX);
    for _ in 0..20 {
        small = small.min(work(SMALL));
        large = large.min(work(LARGE));
        // Less than a millisecond is mostly noise.
        if large.as_secs_f64() / small.as_secs_f64().max(0.001) < RATIO_MAX {
            return;
        }
    }
    panic!("{small:?} for {SMALL}, {large:?} for {LARGE}");
}

fn timed(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

fn apply(
    scheduler: &mut Scheduler,
    now: Millis,
    request: impl Into<Request>,
) -> Vec<(Ticket, Answer)> {
    scheduler.apply(now, Request { ticket: 1, ..request.into() }, &Past::new());
    scheduler.take_answers()
}

/// A turn as the server has it; the changes go nowhere.
fn commit(scheduler: &mut Scheduler) -> usize {
    let changes = scheduler.take_changes().len();
    scheduler.committed(0);
    scheduler.folded(0);
    changes
}

fn create(scheduler: &mut Scheduler, tasks: Vec<NewTask>) {
    let count = tasks.len() as u64;
    let answers = apply(scheduler, 0, Body::Create { tasks, merge: false });
    match &answers[..] {
        [(1, Answer::Created { added, .. })] => assert_eq!(*added, count),
        other => panic!("a create was answered with {other:?}"),
    }
    commit(scheduler);
}

/// Each task of the chain needs the one before it.
fn link(i: usize) -> NewTask {
    match i {
        0 => task("0", &[]),
        _ => task(&i.to_string(), &[&(i - 1).to_string()]),
    }
}

fn chain(n: usize, reverse: bool) -> Scheduler {
    let mut scheduler = scheduler();
    let batches = n.div_ceil(BATCH);
    for batch in 0..batches {
        let batch = if reverse { batches - 1 - batch } else { batch };
        let mut tasks: Vec<_> = (batch * BATCH..n.min((batch + 1) * BATCH)).map(link).collect();
        if reverse {
            tasks.reverse();
        }
        create(&mut scheduler, tasks);
    }
    scheduler
}

fn take(scheduler: &mut Scheduler, n: u32) -> Vec<Leased> {
    let who = who("h1");
    let steal = steal(&who, 0, n);
    match &mut apply(scheduler, 0, Request::by(who, Body::Steal(steal)))[..] {
        [(1, Answer::Stolen(stolen))] => std::mem::take(&mut stolen.leases),
        other => panic!("a steal was answered with {other:?}"),
    }
}

fn end(scheduler: &mut Scheduler, leases: Vec<Leased>, verdict: Verdict) {
    let outcomes = leases.iter().map(|lease| outcome(&lease.name, lease.attempt, verdict));
    let (who, outcomes) = (who("h1"), outcomes.collect());
    let complete = Request::by(who, Body::Complete { outcomes, want: None });
    match &apply(scheduler, 0, complete)[..] {
        [(1, Answer::Completed { refused, .. })] => assert_eq!(refused.len(), 0),
        other => panic!("an outcome was answered with {other:?}"),
    }
    commit(scheduler);
}

/// The first of the chain fails; the others are skipped, a few each turn.
fn fail_the_first(scheduler: &mut Scheduler, n: usize) {
    let leases = take(scheduler, 2);
    assert_eq!(leases.len(), 1);
    end(scheduler, leases, Verdict::Failed);
    let mut turns = 0;
    while scheduler.deadline() == Some(0) {
        apply(scheduler, 0, Body::Tick);
        let changes = commit(scheduler);
        assert!(changes <= 2_000, "{changes} changes in one turn");
        turns += 1;
    }
    assert!(turns + 1 >= n / 2_000, "{turns} turns");
    assert_eq!(scheduler.counts().of(State::Skipped), n as u64 - 1);
    assert_eq!(scheduler.phase(), Phase::Finished);
    assert_eq!(scheduler.tasks_from(0).count(), 0);
}

#[test]
fn a_chain_of_a_million() {
    let mut scheduler = chain(1_000_000, false);
    assert_eq!(scheduler.counts().of(State::Waiting), 999_999);
    fail_the_first(&mut scheduler, 1_000_000);
}

#[test]
fn a_chain_of_a_million_in_reverse() {
    let mut scheduler = chain(1_000_000, true);
    assert_eq!(scheduler.counts().of(State::Waiting), 999_999);
    assert_eq!(scheduler.counts().of(State::Missing), 0);
    fail_the_first(&mut scheduler, 1_000_000);
}

#[test]
fn chains_are_not_quadratic() {
    for reverse in [false, true] {
        assert_not_quadratic(|n| timed(|| drop(chain(n, reverse))));
    }
}

/// Closing a long chain to a ring is refused, and the ring is found without a deep stack.
#[test]
fn a_ring_of_two_hundred_thousand_is_refused() {
    let n = 200_000;
    let mut scheduler = scheduler();
    create(&mut scheduler, vec![task("0", &["last"])]);
    for from in (1..n).step_by(BATCH) {
        create(&mut scheduler, (from..n.min(from + BATCH)).map(link).collect());
    }
    let tasks = vec![task("last", &[&(n - 1).to_string()])];
    let answers = apply(&mut scheduler, 0, Body::Create { tasks, merge: false });
    let [(1, Answer::Error { code: Code::Cycle, message, names })] = &answers[..] else {
        panic!("a ring was answered with {answers:?}");
    };
    assert!(message.len() < 1_000, "a message of {} bytes", message.len());
    assert!(names.len() <= n + 2);
    assert_eq!(scheduler.counts().total(), n as u64);
}

/// A chain is worked off, one completion after the other.
#[test]
fn working_off_a_chain_is_not_quadratic() {
    assert_not_quadratic(|n| {
        let mut scheduler = chain(n, true);
        timed(|| {
            for _ in 0..n {
                let leases = take(&mut scheduler, 1);
                end(&mut scheduler, leases, Verdict::Done);
            }
            assert_eq!(scheduler.phase(), Phase::Finished);
        })
    });
}

fn fan_out(n: usize) -> Scheduler {
    let mut scheduler = scheduler();
    create(&mut scheduler, vec![task("root", &[])]);
    for from in (0..n).step_by(BATCH) {
        let leaf = |i: usize| task(&i.to_string(), &["root"]);
        create(&mut scheduler, (from..n.min(from + BATCH)).map(leaf).collect());
    }
    scheduler
}

#[test]
fn a_fan_out_of_a_hundred_thousand() {
    let mut scheduler = fan_out(100_000);
    let leases = take(&mut scheduler, 2);
    end(&mut scheduler, leases, Verdict::Done);
    assert_eq!(scheduler.counts().of(State::Ready), 100_000);
    assert_not_quadratic(|n| timed(|| drop(fan_out(n))));
}

#[test]
fn a_fan_in_of_sixty_thousand() {
    let n = 60_000;
    let names: Vec<String> = (0..n).map(|i| i.to_string()).collect();
    let needs: Vec<&str> = names.iter().map(|name| &**name).collect();
    // Before what it needs, and after.
    for before in [true, false] {
        let mut scheduler = scheduler();
        if before {
            create(&mut scheduler, vec![task("sink", &needs)]);
        }
        for names in needs.chunks(BATCH) {
            create(&mut scheduler, names.iter().map(|name| task(name, &[])).collect());
        }
        if !before {
            create(&mut scheduler, vec![task("sink", &needs)]);
        }
        let leases = take(&mut scheduler, n as u32 + 1);
        assert_eq!(leases.len(), n);
        end(&mut scheduler, leases, Verdict::Done);
        assert_eq!(scheduler.counts().of(State::Ready), 1);
    }
}

/// A worker that took all there was goes silent: it loses them, and is told of each.
#[test]
fn losing_many_leases_is_not_quadratic() {
    assert_not_quadratic(|n| {
        let mut scheduler = scheduler();
        create(&mut scheduler, (0..n).map(|i| task(&i.to_string(), &[])).collect());
        let w1 = who("w1");
        let all = steal(&w1, 1, n as u32);
        let answers = apply(&mut scheduler, 0, Request::by(w1.clone(), Body::Steal(all)));
        assert_eq!(answers.len(), 1);
        timed(|| {
            for now in (0..=WORKER_TIMEOUT_MS).step_by(1_000) {
                apply(&mut scheduler, now, Body::Tick);
            }
            let heartbeat = Request::by(w1, Body::Heartbeat { attempts: Vec::new() });
            match &apply(&mut scheduler, WORKER_TIMEOUT_MS, heartbeat)[..] {
                [(1, Answer::Heartbeaten { lost, .. })] => assert_eq!(lost.len(), n),
                other => panic!("a heartbeat was answered with {} answers", other.len()),
            }
        })
    });
}

/// dwork's Transfer of tasks that are not held, each with a further dependency.
#[test]
fn refusing_many_transfers_is_not_quadratic() {
    assert_not_quadratic(|n| {
        let mut scheduler = scheduler();
        let attempt = |i| AttemptRef { name: format!("{i}").into(), attempt: 0, started: false };
        let attempts = (0..n).map(attempt).collect();
        let needs = vec![vec!["x".into()]; n];
        timed(|| {
            let release = Request::by(who("h1"), Body::Release { attempts, needs });
            match &apply(&mut scheduler, 0, release)[..] {
                [(1, Answer::Released { refused, .. })] => assert_eq!(refused.len(), n),
                other => panic!("a release was answered with {} answers", other.len()),
            }
        })
    });
}

/// dwork programs may add the same dependency again and again: what is done leaves no trace.
#[test]
fn needs_that_are_done_do_not_make_the_row_grow() {
    let mut hub = Hub::on_file();
    let add = |hub: &mut Hub, name: &str, needs: &[&str]| {
        hub.send(Body::Create { tasks: vec![task(name, needs)], merge: true });
        hub.turn();
    };
    add(&mut hub, "a", &[]);
    let who = who("h1");
    let all = steal(&who, 0, 1);
    hub.send(Request::by(who.clone(), Body::Steal(all)));
    let outcomes = vec![outcome("a", 1, Verdict::Done)];
    hub.send(Request::by(who, Body::Complete { outcomes, want: None }));
    hub.turn();
    add(&mut hub, "b", &[]);
    for _ in 0..100 {
        add(&mut hub, "b", &["a"]);
    }
    let needs = hub.changes.iter().filter(|change| matches!(change, Change::Needs { .. }));
    assert_eq!(needs.count(), 0);
    assert_eq!(hub.scheduler.counts().of(State::Ready), 1);
}

fn set_priority(scheduler: &mut Scheduler, name: String, priority: i32) -> usize {
    let (names, to) = (vec![name.into()], Adjustment::Priority(priority));
    apply(scheduler, 0, Body::Adjust { names, to });
    let mut turns = 1;
    while scheduler.deadline() == Some(0) {
        apply(scheduler, 0, Body::Tick);
        turns += 1;
    }
    commit(scheduler);
    turns
}

#[test]
fn all_that_an_urgent_task_needs_is_as_urgent_in_slices() {
    const DEEP: usize = 250_000;
    let mut scheduler = chain(DEEP, false);
    let effective = |scheduler: &Scheduler| scheduler.find("0").map(|task| task.effective);
    assert_eq!(effective(&scheduler), Some(0));
    let last = || (DEEP - 1).to_string();
    assert!(set_priority(&mut scheduler, last(), 9) > 1, "it stops nobody");
    assert_eq!(effective(&scheduler), Some(9));
    assert_eq!(
        scheduler.urgent_for(&(DEEP - 3).to_string()).map(|it| it.name.to_string()),
        Some(last())
    );
    assert!(set_priority(&mut scheduler, last(), -1) > 1, "it stops nobody");
    assert_eq!(effective(&scheduler), Some(0));
}

#[test]
fn many_that_need_one_and_are_urgent_are_cancelled() {
    assert_not_quadratic(|n| {
        let mut scheduler = scheduler();
        create(&mut scheduler, vec![task("0", &[])]);
        let users = |from| (from..n.min(from + BATCH)).map(|i| format!("user{i}"));
        for from in (0..n).step_by(BATCH) {
            let urgent = |name: String| NewTask { priority: 5, ..task(&name, &["0"]) };
            create(&mut scheduler, users(from).map(urgent).collect());
        }
        assert_eq!(scheduler.find("0").map(|task| task.effective), Some(5));
        timed(|| {
            for from in (0..n).step_by(BATCH) {
                let names = users(from).map(Name::from).collect();
                apply(&mut scheduler, 0, Body::Cancel { names });
                commit(&mut scheduler);
            }
        })
    });
}
