//! What the scheduler allocates for its tasks, and that it gives it back.

mod common;

use common::*;
use dhub::engine::message::*;
use dhub::engine::scheduler::{Scheduler, State};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

const TASKS: usize = 300_000;
const BATCH: usize = 1_000;
const NAME_BYTES: usize = 20;
/// The hub's process may need 150, with what the store and the sockets need.
const TASK_BYTES_MAX: usize = 125;
/// One chunk each of tasks, edges and leases stays, and 64 small tables of names.
const REST_BYTES_MAX: usize = 4 << 20;

fn name(i: usize) -> String {
    format!("memory.task.{i:08}")
}

fn apply(scheduler: &mut Scheduler, turn: Turn, request: impl Into<Request>) -> Answer {
    scheduler.apply(0, Request { ticket: 1, ..request.into() }, &Past::new());
    drop(scheduler.take_changes());
    scheduler.committed(turn);
    scheduler.folded(turn);
    scheduler.take_answers().pop().expect("an answer").1
}

#[test]
fn a_task_needs_little_and_leaves_nothing() {
    let mut scheduler = scheduler();
    let empty = ALLOCATED.current_usage();
    for from in (0..TASKS).step_by(BATCH) {
        let need = |i: usize| i.checked_sub(BATCH).map(name);
        let new = |i| match need(i) {
            Some(need) => task(&name(i), &[&need]),
            None => task(&name(i), &[]),
        };
        let tasks = (from..from + BATCH).map(new).collect();
        apply(&mut scheduler, 1, Body::Create { tasks, merge: false });
    }
    assert_eq!(scheduler.counts().of(State::Waiting), (TASKS - BATCH) as u64);
    assert_eq!(name(0).len(), NAME_BYTES);
    let beyond_name = (ALLOCATED.current_usage() - empty) / TASKS - NAME_BYTES;
    println!("{beyond_name} bytes a task beyond its name");
    assert!(beyond_name <= TASK_BYTES_MAX, "{beyond_name} bytes a task beyond its name");

    while scheduler.counts().unfinished() > 0 {
        let who = who("h1");
        let all = steal(&who, 0, BATCH as u32);
        let Answer::Stolen(stolen) =
            apply(&mut scheduler, 2, Request::by(who.clone(), Body::Steal(all)))
        else {
            panic!("a steal has another answer");
        };
        let done = |lease: &Leased| outcome(&lease.name, lease.attempt, Verdict::Done);
        let outcomes = stolen.leases.iter().map(done).collect();
        apply(&mut scheduler, 3, Request::by(who, Body::Complete { outcomes, want: None }));
    }
    assert_eq!(scheduler.counts().of(State::Done), TASKS as u64);
    let rest = ALLOCATED.current_usage() - empty;
    println!("{rest} bytes when all are done");
    assert!(rest <= REST_BYTES_MAX, "{rest} bytes are left of tasks that are done");
}
