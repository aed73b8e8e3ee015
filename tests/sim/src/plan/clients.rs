//! What people and scripts ask for, and when.

use dhub::engine::message::{Adjustment, Millis, Name, Order};
use dhub::engine::message::{Deed, Selection};
use dhub::engine::scheduler::State;

use super::tasks::{batches, name};
use super::{ClientPlan, MINUTE, SECOND, Step};
use crate::random::Random;

pub fn clients(random: &mut Random, seed: u64, calm_at: Millis) -> Vec<ClientPlan> {
    let mut plans = adding(random, seed, calm_at);
    plans.extend(adjusting(seed, calm_at));
    plans.extend(steering(seed, calm_at));
    plans
}

/// Who adds the tasks, and cancels and retries some of them.
fn adding(random: &mut Random, seed: u64, calm_at: Millis) -> Vec<ClientPlan> {
    let mut steps: Vec<Step> = batches(random, seed);
    let count = 50;
    let interventions = *random.pick(&[0, 3, 8, 25]);
    for _ in 0..interventions {
        let names: Vec<Name> =
            (0..random.within(1, 3)).map(|_| name(random.below(count))).collect();
        let by_name = Selection { names: names.clone(), ..Selection::default() };
        let step = match random.below(10) {
            0 | 1 => Step::Cancel(names),
            2 => Step::Sweep { selection: one_state(random), deed: Deed::Cancel },
            3 | 4 => Step::Retry { selection: by_name, done: false },
            5 if random.chance(300) => Step::Retry { selection: by_name, done: true },
            5 => Step::Wait(random.within(SECOND, MINUTE)),
            _ => {
                let states = vec![State::Failed, State::Skipped, State::Cancelled];
                let selection = Selection { states, ..Selection::default() };
                Step::Retry { selection, done: false }
            }
        };
        let at = random.below(steps.len() as u64 + 1) as usize;
        // Most of it makes sense only later.
        let at = if random.chance(700) { steps.len() } else { at };
        steps.insert(at, step);
    }
    let clients = random.within(1, 3) as usize;
    let pause = 2 * calm_at / (steps.len() as u64 * 3 + 1);
    let mut plans = Vec::new();
    for i in 0..clients {
        let own = steps.iter().skip(i).step_by(clients);
        plans.push(ClientPlan {
            steps: own.map(|step| (random.mostly_low(0, pause), step.clone())).collect(),
            patience_ms: *random.pick(&[2 * SECOND, 10 * SECOND]),
        });
    }
    plans
}

fn one_state(random: &mut Random) -> Selection {
    let state = *random.pick(&[State::Waiting, State::Ready, State::Running]);
    Selection { states: vec![state], ..Selection::default() }
}

/// A person who holds tasks and changes priorities, and in the end lets all of them go; and one who waits.
fn adjusting(seed: u64, calm_at: Millis) -> Vec<ClientPlan> {
    // From numbers of its own, so that seeds stay what they are.
    let mut random = Random::apart(seed, 4);
    let random = &mut random;
    if random.chance(500) {
        return Vec::new();
    }
    let mut steps = Vec::new();
    for _ in 0..random.within(1, 12) {
        let names = (0..random.within(1, 4)).map(|_| name(random.below(12))).collect();
        let pattern: Name = format!("t{}*", random.below(5)).into();
        let by_pattern = Selection { patterns: vec![pattern], ..Selection::default() };
        let held = Adjustment::Held(random.chance(600));
        let priority = Adjustment::Priority(random.below(5) as i32 - 2);
        let step = match random.below(12) {
            0..3 => Step::Adjust { names, to: held },
            3 => Step::Adjust { names, to: priority },
            4 => Step::Sweep { selection: one_state(random), deed: Deed::Adjust(held) },
            5 => {
                let other: Name = format!("t{}*", random.below(5)).into();
                let other = Selection { patterns: vec![other], ..Selection::default() };
                let hold = Step::Sweep { selection: by_pattern, deed: Deed::Adjust(held) };
                let raise = Step::Sweep { selection: other, deed: Deed::Adjust(priority) };
                Step::Together(vec![hold, raise])
            }
            6 => Step::Retry { selection: by_pattern, done: false },
            // One that is there most likely, and not finished yet.
            _ => {
                let names = vec![name(random.mostly_low(0, 12))];
                Step::Await { names, wait_ms: random.within(20 * SECOND, MINUTE) }
            }
        };
        steps.push((random.mostly_low(0, calm_at / 12), step));
    }
    let selection = Selection { held: true, ..Selection::default() };
    let deed = Deed::Adjust(Adjustment::Held(false));
    // Again and again: one who was killed with a hold in its hands may have sent it late.
    for _ in 0..3 {
        steps.push((calm_at / 3, Step::Sweep { selection: selection.clone(), deed }));
    }
    vec![ClientPlan { steps, patience_ms: 10 * SECOND }]
}

/// Who tells workers to leave, says that they are gone, and asks for several long things at once.
fn steering(seed: u64, calm_at: Millis) -> Option<ClientPlan> {
    // From numbers of its own, so that seeds stay what they are.
    let mut random = Random::apart(seed, 9);
    let random = &mut random;
    if random.chance(500) {
        return None;
    }
    let steps = (0..random.within(1, 8)).map(|_| {
        let step = match random.below(4) {
            0 => together(random),
            1 => Step::Dismiss(format!("host{}", random.below(5)).into()),
            _ => steer(random),
        };
        (random.mostly_low(0, calm_at / 6), step)
    });
    Some(ClientPlan { steps: steps.collect(), patience_ms: 10 * SECOND })
}

fn steer(random: &mut Random) -> Step {
    let order = if random.chance(600) { Order::Drain } else { Order::Stop };
    let which = random.below(10);
    let workers = match random.below(4) {
        0 => vec!["*".into()],
        1 => vec!["pool*".into()],
        2 => vec![format!("pool{which}").into(), format!("host{}", which / 2).into()],
        _ => vec![format!("pool{which}").into(), format!("pool{}*", which + 1).into()],
    };
    Step::Steer { workers, order }
}

/// Two of the same kind, or of two kinds.
fn together(random: &mut Random) -> Step {
    let mut one = || {
        let pattern: Name = format!("t{}*", random.below(5)).into();
        let selection = Selection { patterns: vec![pattern], ..Selection::default() };
        match random.below(12) {
            0 => Step::Sweep { selection, deed: Deed::Cancel },
            1 | 2 => Step::Retry { selection, done: false },
            3 | 4 => steer(random),
            _ => {
                let deed = Deed::Adjust(Adjustment::Priority(random.below(5) as i32 - 2));
                Step::Sweep { selection, deed }
            }
        }
    };
    let (first, second) = (one(), one());
    Step::Together(vec![first, second])
}
